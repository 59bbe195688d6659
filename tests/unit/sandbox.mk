SANDBOX_LIBS = agentsh/libsandbox.a $(UNIT_LIBS)
check_PROGRAMS += %D%/test_sandbox
%C%_test_sandbox_SOURCES = %D%/test_sandbox.c
%C%_test_sandbox_LDADD = $(SANDBOX_LIBS)
TESTS += %D%/test_sandbox
