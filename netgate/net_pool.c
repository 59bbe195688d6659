#include "netgate/net_pool.h"

#include <errno.h>
#include <string.h>

/* Theory: names[] by index; slots[] is an open-addressing hash of indexes, at most half full. */
struct net_pool {
	uint32_t n, max;
	uint32_t n_slots; /* power of two */
	uint32_t *slots;  /* 0: free */
	char **names;	  /* [1..n]; room for cap */
	uint32_t cap;
};

static const uint8_t prefix4[2] = {198, 18};
static const uint8_t prefix6[12] = {0xfd, 0, 0xff, 0xff, 0, 1};

int net_pool_new(struct net_pool **out, uint32_t max_names)
{
	struct net_pool *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->max = max_names < NET_POOL_MAX ? max_names : NET_POOL_MAX;
	p->n_slots = 64;
	p->slots = calloc(p->n_slots, sizeof(*p->slots));
	if (!p->slots) {
		free(p);
		return -ENOMEM;
	}
	*out = p;
	return 0;
}

void net_pool_free(struct net_pool *p)
{
	if (!p)
		return;
	for (uint32_t i = 1; i <= p->n; i++)
		free(p->names[i]);
	free(p->names);
	free(p->slots);
	free(p);
}

/* FNV-1a: the names come from the agent, but the table is bounded and its own */
static uint32_t hash(const char *name)
{
	uint32_t h = 2166136261u;

	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * 16777619u;
	return h;
}

static uint32_t *find(const struct net_pool *p, uint32_t *slots, uint32_t n_slots, const char *name)
{
	uint32_t i = hash(name) & (n_slots - 1);

	while (slots[i] && strcmp(p->names[slots[i]], name) != 0)
		i = (i + 1) & (n_slots - 1);
	return &slots[i];
}

static int grow_names(struct net_pool *p)
{
	uint32_t cap = p->cap ? p->cap * 2 : 64;
	char **names;

	if (p->n + 1 < p->cap)
		return 0;
	names = realloc(p->names, cap * sizeof(*names));
	if (!names)
		return -ENOMEM;
	p->names = names;
	p->cap = cap;
	return 0;
}

static int grow_slots(struct net_pool *p)
{
	uint32_t n = p->n_slots * 2;
	uint32_t *slots;

	if ((p->n + 1) * 2 <= p->n_slots)
		return 0;
	slots = calloc(n, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	for (uint32_t i = 1; i <= p->n; i++)
		*find(p, slots, n, p->names[i]) = i;
	free(p->slots);
	p->slots = slots;
	p->n_slots = n;
	return 0;
}

int net_pool_get(struct net_pool *p, const char *name)
{
	uint32_t *slot = find(p, p->slots, p->n_slots, name);
	char *copy;

	if (*slot)
		return (int)*slot;
	if (p->n == p->max)
		return -ENOSPC;
	copy = strdup(name);
	if (!copy || grow_names(p) < 0 || grow_slots(p) < 0) {
		free(copy);
		return -ENOMEM;
	}
	slot = find(p, p->slots, p->n_slots, name);
	p->names[++p->n] = copy;
	*slot = p->n;
	return (int)p->n;
}

struct policy_addr net_pool_addr(uint8_t family, uint32_t index)
{
	struct policy_addr a = {.family = family};

	if (family == 4) {
		a.bytes[0] = prefix4[0];
		a.bytes[1] = (uint8_t)(prefix4[1] + (index >> 16));
		a.bytes[2] = (uint8_t)(index >> 8);
		a.bytes[3] = (uint8_t)index;
	} else {
		memcpy(a.bytes, prefix6, sizeof(prefix6));
		for (unsigned i = 0; i < 4; i++)
			a.bytes[15 - i] = (uint8_t)(index >> (8 * i));
	}
	return a;
}

bool net_pool_contains(const struct policy_addr *a)
{
	if (a->family == 4)
		return a->bytes[0] == prefix4[0] && (a->bytes[1] & 0xfe) == prefix4[1];
	return a->family == 6 && memcmp(a->bytes, prefix6, sizeof(prefix6)) == 0;
}

const char *net_pool_name(const struct net_pool *p, const struct policy_addr *a)
{
	uint32_t index = 0;

	if (!net_pool_contains(a))
		return NULL;
	if (a->family == 4)
		index = (uint32_t)(a->bytes[1] - prefix4[1]) << 16 | (uint32_t)a->bytes[2] << 8 |
			a->bytes[3];
	else
		for (unsigned i = 12; i < 16; i++)
			index = index << 8 | a->bytes[i];
	return index >= 1 && index <= p->n ? p->names[index] : NULL;
}
