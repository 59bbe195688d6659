#include "netgate/net_name.h"

#include <arpa/inet.h>
#include <string.h>

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || is_digit(c) || c == '-' || c == '_';
}

/* A last label that inet_aton(3) would take for a number makes the whole an address. */
static bool is_numeric_label(const char *label, size_t len)
{
	size_t i = 0;

	if (len > 1 && label[0] == '0' && label[1] == 'x') {
		for (i = 2; i < len; i++)
			if (!is_digit(label[i]) && !(label[i] >= 'a' && label[i] <= 'f'))
				return false;
		return true;
	}
	while (i < len && is_digit(label[i]))
		i++;
	return i == len;
}

bool net_name_normalise(char *out, const char *text, size_t len)
{
	char name[NET_NAME_SIZE];
	size_t label = 0; /* where the current label starts */

	if (len && text[len - 1] == '.')
		len--;
	if (len == 0 || len > 253)
		return false;
	for (size_t i = 0; i <= len; i++) {
		char c = i < len ? lower(text[i]) : '.';

		name[i] = c;
		if (c != '.') {
			if (!is_name_char(c))
				return false;
			continue;
		}
		if (i == label || i - label > 63 || name[label] == '-' || name[i - 1] == '-')
			return false;
		if (i == len && is_numeric_label(name + label, i - label))
			return false;
		label = i + 1;
	}
	memcpy(out, name, len);
	out[len] = '\0';
	return true;
}

bool net_name_to_addr(struct policy_addr *out, const char *text, size_t len)
{
	struct policy_addr a = {0};
	char buf[INET6_ADDRSTRLEN];

	if (len == 0 || len >= sizeof(buf) || memchr(text, '\0', len))
		return false;
	memcpy(buf, text, len);
	buf[len] = '\0';
	if (inet_pton(AF_INET, buf, a.bytes) == 1)
		a.family = 4;
	else if (inet_pton(AF_INET6, buf, a.bytes) == 1)
		a.family = 6;
	else
		return false;
	*out = a;
	return true;
}

bool net_name_is_localhost(const char *name)
{
	size_t len = strlen(name);

	return strcmp(name, "localhost") == 0 ||
	       (len > 10 && strcmp(name + len - 10, ".localhost") == 0);
}

void net_name_of_addr(char *out, const struct policy_addr *a)
{
	out[0] = '\0';
	if (a->family)
		inet_ntop(a->family == 4 ? AF_INET : AF_INET6, a->bytes, out, NET_ADDR_TEXT);
}

bool net_name_same_addr(const struct policy_addr *a, const struct policy_addr *b)
{
	return a->family && a->family == b->family &&
	       memcmp(a->bytes, b->bytes, a->family == 4 ? 4 : 16) == 0;
}
