/* The journal of undo: what is written is read; what is torn or damaged is skipped, and only that. */
#include <stdlib.h>
#include <string.h>

#include "common/undo.h"
#include "tests/unit/unit.h"

static size_t put(uint8_t *buf, size_t size, const struct undo_frame *f)
{
	int n = undo_encode(buf, size, f);

	CU_ASSERT(n > 0);
	CU_ASSERT_EQUAL(n % 8, 0);
	return n > 0 ? (size_t)n : 0;
}

static struct undo_frame sample(unsigned n)
{
	struct undo_frame f = {
		.type = (enum undo_type)(1 + n % (UNDO_TYPES - 1)),
		.flags = n % 2 ? UNDO_F_LAST | UNDO_F_LATER : 0,
		.pseq = 1000 + n,
		.wall_ns = 1ull << 60,
		.op = n,
		.ref = {n, 2},
		.ref2 = {3, n},
		.dir = {5, 6},
		.dir2 = {7, 8},
		.dir_mtime = {-1, 999999999},
		.dir2_mtime = {1ll << 40, 1},
		.attr = {0100644, 1, 2, 1ull << 50, {10, 11}, {12, 13}},
		.object = n,
	};

	f.name = undo_text_of("a name");
	f.name2 = (struct undo_text){"\xff\n", 2};
	f.xattrs = (struct undo_text){"user.x\0\1\0\0\0v", 12};
	return f;
}

static void reads_what_was_written(void)
{
	uint8_t buf[8192];
	struct undo_frame f, g;
	size_t len = 0, at = 0, skipped = 0;

	for (unsigned n = 0; n < UNDO_TYPES - 1; n++) {
		f = sample(n);
		len += put(buf + len, sizeof(buf) - len, &f);
	}
	for (unsigned n = 0; n < UNDO_TYPES - 1; n++) {
		f = sample(n);
		CU_ASSERT_EQUAL_FATAL(undo_decode(&g, buf, len, &at, &skipped), 1);
		CU_ASSERT_EQUAL(g.type, f.type);
		CU_ASSERT_EQUAL(g.flags, f.flags);
		CU_ASSERT_EQUAL(g.pseq, f.pseq);
		CU_ASSERT_EQUAL(g.op, f.op);
		if (f.type != UNDO_MOVE)
			continue;
		CU_ASSERT_EQUAL(g.dir_mtime.s, -1);
		CU_ASSERT_EQUAL(g.dir2_mtime.s, 1ll << 40);
		CU_ASSERT_EQUAL(g.ref2.ino, n);
		CU_ASSERT_EQUAL(g.name2.len, 2);
		CU_ASSERT_EQUAL(memcmp(g.name2.p, "\xff\n", 2), 0);
	}
	CU_ASSERT_EQUAL(undo_decode(&g, buf, len, &at, &skipped), 0);
	CU_ASSERT_EQUAL(skipped, 0);
}

static void every_cut_loses_only_the_last(void)
{
	uint8_t buf[1024];
	struct undo_frame a = {.type = UNDO_END, .op = 1}, b = sample(UNDO_MOVE - 1), g;
	size_t first = put(buf, sizeof(buf), &a);
	size_t len = first + put(buf + first, sizeof(buf) - first, &b);

	for (size_t cut = first; cut < len; cut++) {
		uint8_t *exact = malloc(cut ? cut : 1); /* so that a read beyond it is seen */
		size_t at = 0, skipped = 0;

		memcpy(exact, buf, cut);
		CU_ASSERT_EQUAL(undo_decode(&g, exact, cut, &at, &skipped), 1);
		CU_ASSERT_EQUAL(g.op, 1);
		CU_ASSERT_EQUAL(undo_decode(&g, exact, cut, &at, &skipped), 0);
		CU_ASSERT_EQUAL(skipped, cut - first);
		free(exact);
	}
}

static void every_flipped_bit_is_seen(void)
{
	uint8_t buf[2048];
	struct undo_frame a = {.type = UNDO_END, .op = 1}, b = sample(UNDO_KEEP - 1),
			  c = {.type = UNDO_END, .op = 3}, g;
	size_t first = put(buf, sizeof(buf), &a);
	size_t second = first + put(buf + first, sizeof(buf) - first, &b);
	size_t len = second + put(buf + second, sizeof(buf) - second, &c);

	for (size_t i = first; i < second; i++) {
		size_t at = 0, skipped = 0;

		buf[i] ^= 1u << i % 8;
		CU_ASSERT_EQUAL(undo_decode(&g, buf, len, &at, &skipped), 1);
		CU_ASSERT_EQUAL(g.op, 1);
		CU_ASSERT_EQUAL(undo_decode(&g, buf, len, &at, &skipped), 1);
		CU_ASSERT_EQUAL(g.op, 3);
		CU_ASSERT_EQUAL(skipped, second - first);
		buf[i] ^= 1u << i % 8;
	}
}

static void what_is_too_large_is_refused(void)
{
	struct undo_frame f = sample(UNDO_ADD - 1);
	uint8_t small[UNDO_HEAD];

	CU_ASSERT(undo_encode(small, sizeof(small), &f) < 0);
}

static const struct unit_case cases[] = {
	{"reads what was written", reads_what_was_written},
	{"every cut loses only the last frame", every_cut_loses_only_the_last},
	{"every flipped bit is seen", every_flipped_bit_is_seen},
	{"what is too large is refused", what_is_too_large_is_refused},
};

UNIT_MAIN("undo", cases)
