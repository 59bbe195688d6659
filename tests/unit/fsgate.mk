# Unit tests of fsgate.
FSGATE_TESTS = %D%/test_fs_node %D%/test_fs_decide
FSGATE_TESTS += %D%/test_fs_confine
check_PROGRAMS += $(FSGATE_TESTS)
TESTS += $(FSGATE_TESTS)
%C%_test_fs_node_SOURCES = %D%/test_fs_node.c
%C%_test_fs_node_CPPFLAGS = $(AM_CPPFLAGS) $(FUSE_CFLAGS)
%C%_test_fs_node_LDADD = $(FSGATE_LIBS) $(CUNIT_LIBS)
%C%_test_fs_decide_SOURCES = %D%/test_fs_decide.c
%C%_test_fs_decide_CPPFLAGS = $(AM_CPPFLAGS) $(FUSE_CFLAGS)
%C%_test_fs_decide_LDADD = $(FSGATE_LIBS) $(CUNIT_LIBS)
%C%_test_fs_confine_SOURCES = %D%/test_fs_confine.c
%C%_test_fs_confine_CPPFLAGS = $(AM_CPPFLAGS) $(FUSE_CFLAGS)
%C%_test_fs_confine_LDADD = $(FSGATE_LIBS) $(CUNIT_LIBS)
