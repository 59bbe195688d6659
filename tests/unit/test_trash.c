#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "common/file_copy.h"
#include "common/trash.h"
#include "tests/unit/unit.h"

static struct trash_meta odd = {
	.token = "0123456789ab",
	.session = "s-1",
	.path = "/w/ two  spaces\n\\ and \xff\x01",
	.root = "/host/w",
	.rel = " two  spaces\n\\ and \xff\x01",
	.target = "../\xe2\x80\xaex",
	.rule = "keep",
	.comm = "r m",
	.sha256 = "00",
	.pid = 42,
	.why = TRASH_TRUNCATE,
	.mode = S_IFLNK | 04751,
	.uid = 4294967294u,
	.gid = 7,
	.size = 1ll << 40,
	.atime = {-5, 1},
	.mtime = {1700000000, 999999999},
	.deleted = {1700000001, 3},
	.expires = 1800000000,
};

static void there_and_back(void)
{
	struct trash_meta got;
	size_t len = 0;
	char lines[] = "xattr user.a 00ff\nxattr user.b \n";
	autofree char *text = NULL;

	odd.xattrs = lines;
	text = trash_meta_format(&odd, &len);
	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	CU_ASSERT_EQUAL_FATAL(trash_meta_parse(&got, text, len), 0);
	CU_ASSERT_STRING_EQUAL(got.token, odd.token);
	CU_ASSERT_STRING_EQUAL(got.path, odd.path);
	CU_ASSERT_STRING_EQUAL(got.root, odd.root);
	CU_ASSERT_STRING_EQUAL(got.rel, odd.rel);
	CU_ASSERT_STRING_EQUAL(got.target, odd.target);
	CU_ASSERT_STRING_EQUAL(got.comm, odd.comm);
	CU_ASSERT_EQUAL(got.why, odd.why);
	CU_ASSERT_EQUAL(got.mode, odd.mode);
	CU_ASSERT_EQUAL(got.uid, odd.uid);
	CU_ASSERT_EQUAL(got.size, odd.size);
	CU_ASSERT_EQUAL(got.atime.tv_sec, -5);
	CU_ASSERT_EQUAL(got.mtime.tv_nsec, 999999999);
	CU_ASSERT_EQUAL(got.expires, odd.expires);
	CU_ASSERT_PTR_NOT_NULL_FATAL(got.xattrs);
	CU_ASSERT_STRING_EQUAL(got.xattrs, lines);
	trash_meta_free(&got);
}

/* What a crash or a full disk left of a meta file is no item; nor does a changed one break us. */
static void damaged(void)
{
	struct trash_meta got;
	size_t len = 0;
	autofree char *text = NULL, *copy = NULL;

	odd.xattrs = NULL;
	text = trash_meta_format(&odd, &len);
	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	for (size_t i = 0; i < len; i++)
		CU_ASSERT_TRUE(trash_meta_parse(&got, text, i) < 0);
	copy = malloc(len);
	CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
	for (size_t i = 0; i < len; i++) {
		memcpy(copy, text, len);
		copy[i] ^= 0x15;
		if (trash_meta_parse(&got, copy, len) == 0)
			trash_meta_free(&got);
		copy[i] = '\n';
		if (trash_meta_parse(&got, copy, len) == 0)
			trash_meta_free(&got);
	}
}

static void refused(void)
{
	static const char *const texts[] = {
		"agentsh-trash 1\nend\n",
		"agentsh-trash 2\ntoken 0123456789ab\npath /a\nroot /r\nrel a\nend\n",
		"agentsh-trash 1\ntoken ../etc/pass0\npath /a\nroot /r\nrel a\nend\n",
		"agentsh-trash 1\ntoken 0123456789ab\npath /a\nroot r\nrel a\nend\n",
		"agentsh-trash 1\ntoken 0123456789ab\npath /a\nroot /r\nrel a\nmode 9\nend\n",
		"agentsh-trash 1\ntoken 0123456789ab\npath /a\nroot /r\nrel a\nwhy not\nend\n",
		"agentsh-trash 1\ntoken 0123456789ab\npath /a\nroot /r\nrel a\\x00\nend\n",
		"agentsh-trash 1\ntoken 0123456789ab\npath /a\nroot /r\nrel a\nzzz 1\nend\n",
		"agentsh-trash 1\ntoken 0123456789ab\npath /a\nroot /r\nrel a\nend\nmore\n",
	};
	struct trash_meta got;

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		CU_ASSERT_EQUAL(trash_meta_parse(&got, texts[i], strlen(texts[i])), -EINVAL);
}

static void tokens(void)
{
	char a[TRASH_TOKEN_LEN + 1], b[TRASH_TOKEN_LEN + 1];

	trash_token(a);
	trash_token(b);
	CU_ASSERT_TRUE(trash_is_token(a));
	CU_ASSERT_STRING_NOT_EQUAL(a, b);
	CU_ASSERT_FALSE(trash_is_token("../../../etc"));
	CU_ASSERT_FALSE(trash_is_token("0123456789aB"));
}

static int temporary(void)
{
	char path[] = "/tmp/test-trash.XXXXXX";
	int fd = mkstemp(path);

	unlink(path);
	return fd;
}

/* Content with holes, mode, times and attributes. */
static void copied(void)
{
	const struct timespec times[2] = {{100, 1}, {200, 2}};
	autoclose int from = temporary(), to = temporary();
	char a[40], value[8] = "";
	struct stat x, y;

	CU_ASSERT_TRUE_FATAL(from >= 0 && to >= 0);
	snprintf(a, sizeof(a), "/proc/self/fd/%d", to);
	CU_ASSERT_EQUAL(pwrite(from, "begin", 5, 0), 5);
	CU_ASSERT_EQUAL(pwrite(from, "middle", 6, 5 << 20), 6);
	CU_ASSERT_EQUAL(ftruncate(from, 10 << 20), 0);
	CU_ASSERT_EQUAL(fchmod(from, 0751), 0);
	CU_ASSERT_EQUAL(futimens(from, times), 0);
	CU_ASSERT_EQUAL_FATAL(fstat(from, &x), 0);
	CU_ASSERT_EQUAL(file_copy(to, from, FILE_COPY_ALL), 0);
	CU_ASSERT_EQUAL(trash_copy_attr(from, to, &x), 0);
	CU_ASSERT_EQUAL_FATAL(fstat(to, &y), 0);
	CU_ASSERT_EQUAL(y.st_size, x.st_size);
	CU_ASSERT_EQUAL(y.st_mode, x.st_mode);
	CU_ASSERT_EQUAL(y.st_mtim.tv_sec, 200);
	CU_ASSERT_EQUAL(pread(to, value, 6, 5 << 20), 6);
	CU_ASSERT_STRING_EQUAL(value, "middle");
	if (fsetxattr(from, "user.k", "v\n\0x", 4, 0) == 0) {
		CU_ASSERT_EQUAL(trash_copy_attr(from, to, &x), 0);
		CU_ASSERT_EQUAL(getxattr(a, "user.k", value, sizeof(value)), 4);
		CU_ASSERT_EQUAL(memcmp(value, "v\n\0x", 4), 0);
	}
	/* only what is ever kept comes back */
	CU_ASSERT_EQUAL(trash_xattrs_set(a, "xattr security.capability 00\n"), -EINVAL);
	CU_ASSERT_EQUAL(trash_xattrs_set(a, "xattr user.a 0g\n"), -EINVAL);
}

static const struct unit_case cases[] = {
	{"format and parse", there_and_back},
	{"damaged meta files", damaged},
	{"meta files that are refused", refused},
	{"tokens", tokens},
	{"copies of files", copied},
};

UNIT_MAIN("trash", cases)
