/*
 * unit.h - a CUnit program is a table of cases
 *
 * UNIT_MAIN("module", cases) runs them all, fails a case that leaves a descriptor open, prints
 * CUnit's summary and exits 1 when any assertion failed.
 */
#ifndef TESTS_UNIT_H
#define TESTS_UNIT_H

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

struct unit_case {
	const char *name;
	void (*fn)(void);
};

static int unit_open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	if (!d)
		return -1;
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static int unit_fds_before;

static void unit_setup(void)
{
	unit_fds_before = unit_open_fds();
}

static void unit_teardown(void)
{
	CU_ASSERT_EQUAL(unit_open_fds(), unit_fds_before);
}

static int unit_run(const char *module, const struct unit_case *cases, size_t n)
{
	unsigned failures;
	CU_pSuite suite;

	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	suite = CU_add_suite_with_setup_and_teardown(module, NULL, NULL, unit_setup, unit_teardown);
	for (size_t i = 0; suite && i < n; i++)
		if (!CU_add_test(suite, cases[i].name, cases[i].fn))
			return 2;
	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	failures = CU_get_number_of_failures();
	CU_cleanup_registry();
	return failures ? 1 : 0;
}

#define UNIT_MAIN(module, cases)                                                                   \
	int main(void)                                                                             \
	{                                                                                          \
		return unit_run(module, cases, sizeof(cases) / sizeof((cases)[0]));                \
	}

#endif
