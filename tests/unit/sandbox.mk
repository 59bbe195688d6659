SANDBOX_LIBS = agentsh/libsandbox.a $(UNIT_LIBS)
EXTRA_DIST += %D%/sandbox_fixture.h
check_PROGRAMS += %D%/test_sandbox %D%/test_tty
%C%_test_sandbox_SOURCES = %D%/test_sandbox.c
%C%_test_sandbox_LDADD = $(SANDBOX_LIBS)
%C%_test_tty_SOURCES = %D%/test_tty.c
%C%_test_tty_LDADD = $(SANDBOX_LIBS)
TESTS += %D%/test_sandbox %D%/test_tty
