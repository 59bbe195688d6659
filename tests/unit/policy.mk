# Unit tests of the policy model.
EXTRA_DIST += %D%/policy_fixture.h
POLICY_TESTS = %D%/test_match %D%/test_policy_decide %D%/test_policy_globs %D%/test_policy_load \
	%D%/test_policy_tree
check_PROGRAMS += $(POLICY_TESTS)
TESTS += $(POLICY_TESTS)
%C%_test_match_SOURCES = %D%/test_match.c
%C%_test_match_LDADD = $(UNIT_LIBS)
%C%_test_policy_decide_SOURCES = %D%/test_policy_decide.c
%C%_test_policy_decide_LDADD = $(UNIT_LIBS)
%C%_test_policy_globs_SOURCES = %D%/test_policy_globs.c
%C%_test_policy_globs_LDADD = $(UNIT_LIBS)
%C%_test_policy_load_SOURCES = %D%/test_policy_load.c
%C%_test_policy_load_LDADD = $(UNIT_LIBS)
%C%_test_policy_tree_SOURCES = %D%/test_policy_tree.c
%C%_test_policy_tree_LDADD = $(UNIT_LIBS)
dist_check_SCRIPTS += %D%/policy_cmd.sh
TESTS += %D%/policy_cmd.sh
