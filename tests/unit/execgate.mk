# Unit tests of execgate.
EXECGATE_TESTS = %D%/test_exec_alias %D%/test_exec_filter %D%/test_exec_image \
	%D%/test_exec_notice %D%/test_exec_resolve %D%/test_exec_serve %D%/test_exec_race
check_PROGRAMS += $(EXECGATE_TESTS)
TESTS += $(EXECGATE_TESTS)
%C%_test_exec_alias_SOURCES = %D%/test_exec_alias.c
%C%_test_exec_alias_LDADD = $(EXECGATE_LIBS) $(CUNIT_LIBS)
%C%_test_exec_alias_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=policy_each_command
%C%_test_exec_filter_SOURCES = %D%/test_exec_filter.c
%C%_test_exec_filter_CPPFLAGS = $(AM_CPPFLAGS) -DSYSCALLS_MD='"$(abs_top_srcdir)/docs/SYSCALLS.md"'
%C%_test_exec_filter_LDADD = $(EXECGATE_LIBS) $(CUNIT_LIBS)
%C%_test_exec_image_SOURCES = %D%/test_exec_image.c
%C%_test_exec_image_LDADD = $(EXECGATE_LIBS) $(CUNIT_LIBS)
%C%_test_exec_notice_SOURCES = %D%/test_exec_notice.c
%C%_test_exec_notice_LDADD = $(EXECGATE_LIBS) $(CUNIT_LIBS)
%C%_test_exec_resolve_SOURCES = %D%/test_exec_resolve.c
%C%_test_exec_resolve_LDADD = $(EXECGATE_LIBS) $(CUNIT_LIBS)
# the policy and the audit ring are played by the test: it decides by name and keeps the records
%C%_test_exec_serve_SOURCES = %D%/test_exec_serve.c %D%/exec_rig.c %D%/exec_rig.h
%C%_test_exec_serve_LDADD = $(EXECGATE_LIBS) $(CUNIT_LIBS)
EXECGATE_RIG_FLAGS = $(AM_LDFLAGS) -Wl,--wrap=policy_decide -Wl,--wrap=policy_each_command \
	-Wl,--wrap=policy_message -Wl,--wrap=audit_append -Wl,--wrap=audit_append_start \
	-Wl,--wrap=audit_append_finish -Wl,--wrap=gate_ask
%C%_test_exec_serve_LDFLAGS = $(EXECGATE_RIG_FLAGS)
%C%_test_exec_race_SOURCES = %D%/test_exec_race.c %D%/exec_rig.c %D%/exec_rig.h
%C%_test_exec_race_LDADD = $(EXECGATE_LIBS) $(CUNIT_LIBS)
%C%_test_exec_race_LDFLAGS = $(EXECGATE_RIG_FLAGS)
