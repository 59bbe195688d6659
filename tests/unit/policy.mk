# Unit tests of the policy model.
EXTRA_DIST += %D%/policy_fixture.h
check_PROGRAMS += %D%/test_match
%C%_test_match_SOURCES = %D%/test_match.c
%C%_test_match_LDADD = $(UNIT_LIBS)
TESTS += %D%/test_match
