#include "tests/unit/unit.h"

#include <string.h>

#include "common/audit_key.h"
#include "common/auto.h"
#include "common/merkle.h"

/* The leaves and roots of the certificate-transparency reference tests (RFC 6962/9162 hashing). */
static const struct {
	const char *leaf;
	size_t len;
} leaves[] = {
	{"", 0}, {"\x00", 1}, {"\x10", 1}, {"\x20\x21", 2}, {"\x30\x31", 2},
	{"\x40\x41\x42\x43", 4}, {"\x50\x51\x52\x53\x54\x55\x56\x57", 8},
	{"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f", 16},
};

static const char *const roots[] = {
	"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
	"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
	"fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
	"aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
	"d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
	"4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
	"76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
	"ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
	"5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
};

static void check_root(struct sha256 *s, const struct merkle *m, const char *want)
{
	uint8_t root[SHA256_LEN];
	char hex[65];

	CU_ASSERT_EQUAL(merkle_root(s, root, m), 0);
	audit_hex(hex, root, SHA256_LEN);
	CU_ASSERT_STRING_EQUAL(hex, want);
}

static void test_vectors(void)
{
	AUTO(sha256_free) struct sha256 *s = NULL;
	struct merkle m = {0};
	uint8_t leaf[SHA256_LEN];

	CU_ASSERT_EQUAL_FATAL(sha256_new(&s), 0);
	check_root(s, &m, roots[0]);
	for (size_t i = 0; i < ARRAY_LEN(leaves); i++) {
		CU_ASSERT_EQUAL(merkle_leaf(s, leaf, leaves[i].leaf, leaves[i].len), 0);
		CU_ASSERT_EQUAL(merkle_add(s, &m, leaf), 0);
		CU_ASSERT_EQUAL(m.size, i + 1);
		check_root(s, &m, roots[i + 1]);
	}
}

/* MTH as RFC 9162 2.1.1 writes it: split at the largest power of two below n. */
static void recursive(struct sha256 *s, uint8_t out[SHA256_LEN], const uint8_t (*leaf)[SHA256_LEN],
		      size_t n)
{
	uint8_t left[SHA256_LEN], right[SHA256_LEN];
	size_t k = 1;

	if (n == 1) {
		memcpy(out, leaf[0], SHA256_LEN);
		return;
	}
	while (k * 2 < n)
		k *= 2;
	recursive(s, left, leaf, k);
	recursive(s, right, leaf + k, n - k);
	CU_ASSERT_EQUAL(merkle_node(s, out, left, right), 0);
}

static void test_against_definition(void)
{
	static uint8_t leaf[300][SHA256_LEN];
	AUTO(sha256_free) struct sha256 *s = NULL;
	struct merkle m = {0};
	uint8_t want[SHA256_LEN], got[SHA256_LEN];

	CU_ASSERT_EQUAL_FATAL(sha256_new(&s), 0);
	for (uint32_t i = 0; i < ARRAY_LEN(leaf); i++) {
		CU_ASSERT_EQUAL(merkle_leaf(s, leaf[i], &i, sizeof(i)), 0);
		CU_ASSERT_EQUAL(merkle_add(s, &m, leaf[i]), 0);
		CU_ASSERT_EQUAL(m.n, (unsigned)__builtin_popcountll(m.size));
		recursive(s, want, leaf, i + 1);
		CU_ASSERT_EQUAL(merkle_root(s, got, &m), 0);
		CU_ASSERT_EQUAL(memcmp(got, want, SHA256_LEN), 0);
	}
}

/* RFC 4231 test cases 1, 2, 6 (key longer than a block) */
static void test_hmac(void)
{
	static const struct {
		const char *key;
		size_t key_len;
		const char *text, *mac;
	} cases[] = {
		{"\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b", 20,
		 "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
		{"Jefe", 4, "what do ya want for nothing?",
		 "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
	};
	AUTO(sha256_free) struct sha256 *s = NULL;
	uint8_t mac[SHA256_LEN], key[131];
	char hex[65];

	CU_ASSERT_EQUAL_FATAL(sha256_new(&s), 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *t = cases[i].text;
		/* in two pieces, and twice with one key */
		const struct sha256_piece v[] = {{t, 3}, {t + 3, strlen(t) - 3}};

		CU_ASSERT_EQUAL(sha256_key(s, (const uint8_t *)cases[i].key, cases[i].key_len), 0);
		for (int twice = 0; twice < 2; twice++) {
			CU_ASSERT_EQUAL(sha256_mac(s, mac, v, 2), 0);
			audit_hex(hex, mac, SHA256_LEN);
			CU_ASSERT_STRING_EQUAL(hex, cases[i].mac);
		}
	}
	memset(key, 0xaa, sizeof(key));
	CU_ASSERT_EQUAL(sha256_key(s, key, sizeof(key)), 0);
	CU_ASSERT_EQUAL(sha256_mac(s, mac,
				   &(struct sha256_piece){"Test Using Larger Than Block-Size Key - "
							  "Hash Key First", 54}, 1), 0);
	audit_hex(hex, mac, SHA256_LEN);
	CU_ASSERT_STRING_EQUAL(hex, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

static const struct unit_case cases[] = {
	{"vectors", test_vectors},
	{"against the definition", test_against_definition},
	{"hmac", test_hmac},
};

UNIT_MAIN("merkle", cases)
