#include "execgate/exec_notice.h"

#include <string.h>

#include "tests/unit/unit.h"

static void test_notice(void)
{
	const char *argv[] = {"curl", "https://x\033[2J", "b"};
	char line[EXEC_NOTICE_MAX], big[5000];
	const char *many[] = {big, big};

	exec_notice_format(line, sizeof(line), argv, 3, "no-curl", "use the package mirror");
	CU_ASSERT_STRING_EQUAL(line, "agentsh: denied: curl https://x\\x1b[2J b (rule no-curl): "
				     "use the package mirror\n");
	exec_notice_format(line, sizeof(line), argv, 1, "", "");
	CU_ASSERT_STRING_EQUAL(line, "agentsh: denied: curl\n");
	memset(big, 'a', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	exec_notice_format(line, sizeof(line), many, 2, "r", big);
	CU_ASSERT(strlen(line) < sizeof(line));
	CU_ASSERT_EQUAL(line[strlen(line) - 1], '\n');
}

static const struct unit_case cases[] = {
	{"the line on stderr", test_notice},
};

UNIT_MAIN("exec_notice", cases)
