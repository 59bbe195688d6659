# Unit tests of the common base.
BASE_TESTS = %D%/test_err %D%/test_ipc %D%/test_loop %D%/test_path %D%/test_redact %D%/test_str \
	%D%/test_trash %D%/test_undo
check_PROGRAMS += $(BASE_TESTS)
TESTS += $(BASE_TESTS)
%C%_test_err_SOURCES = %D%/test_err.c
%C%_test_err_LDADD = $(UNIT_LIBS)
%C%_test_ipc_SOURCES = %D%/test_ipc.c
%C%_test_ipc_LDADD = $(UNIT_LIBS)
%C%_test_loop_SOURCES = %D%/test_loop.c
%C%_test_loop_LDADD = $(UNIT_LIBS)
%C%_test_path_SOURCES = %D%/test_path.c
%C%_test_path_LDADD = $(UNIT_LIBS)
%C%_test_str_SOURCES = %D%/test_str.c
%C%_test_str_LDADD = $(UNIT_LIBS)
%C%_test_trash_SOURCES = %D%/test_trash.c
%C%_test_trash_LDADD = $(UNIT_LIBS)
%C%_test_undo_SOURCES = %D%/test_undo.c
%C%_test_undo_LDADD = $(UNIT_LIBS)
%C%_test_redact_SOURCES = %D%/test_redact.c
%C%_test_redact_LDADD = $(UNIT_LIBS)
