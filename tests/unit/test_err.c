#include "common/err.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/unit.h"

static void texts(void)
{
	struct err e = ERR_INIT;

	CU_ASSERT_EQUAL(err_set(&e, ENOENT, "open %s", "/x"), -ENOENT);
	CU_ASSERT_STRING_EQUAL(e.text, "open /x: No such file or directory");
	CU_ASSERT_EQUAL(err_wrap(&e, "policy %d", 7), -ENOENT);
	CU_ASSERT_STRING_EQUAL(e.text, "policy 7: open /x: No such file or directory");
	CU_ASSERT_EQUAL(err_say(&e, EINVAL, "two\nlines\x1b"), -EINVAL);
	CU_ASSERT_STRING_EQUAL(e.text, "two?lines?");
	CU_ASSERT_EQUAL(err_set(NULL, EPERM, "nobody listens"), -EPERM);
	CU_ASSERT_EQUAL(err_set(&e, 0, "zero is never success"), -EIO);
}

static void long_texts(void)
{
	char big[2000];
	struct err e = ERR_INIT;

	memset(big, 'a', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	err_set(&e, EIO, "%s", big);
	CU_ASSERT_EQUAL(strlen(e.text), sizeof(e.text) - 1);
	err_wrap(&e, "%s", big);
	CU_ASSERT_EQUAL(strlen(e.text), sizeof(e.text) - 1);
}

static const struct unit_case cases[] = {{"texts", texts}, {"long texts", long_texts}};

UNIT_MAIN("err", cases)
