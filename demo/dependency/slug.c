#include "slug.h"

#include <ctype.h>

void slug_make(char *out, size_t size, const char *text)
{
	size_t n = 0;

	for (; *text && n + 2 < size; text++) {
		unsigned char c = (unsigned char)*text;

		if (isalnum(c))
			out[n++] = (char)tolower(c);
		else if (n && out[n - 1] != '-')
			out[n++] = '-';
	}
	if (n && out[n - 1] == '-')
		n--;
	out[n] = '\0';
}
