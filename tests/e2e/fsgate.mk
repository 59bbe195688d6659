# fsgate alone: a supervisor for it, and what runs on its mount
check_PROGRAMS += %D%/fs_mount %D%/fs_try
%C%_fs_mount_SOURCES = %D%/fs_mount.c
%C%_fs_mount_LDADD = $(COMMON_LIBS)
%C%_fs_try_SOURCES = %D%/fs_try.c
dist_check_SCRIPTS += %D%/fsgate.sh
TESTS += %D%/fsgate.sh
EXTRA_DIST += %D%/fsgate.yaml %D%/fs_io.py %D%/fs_matrix.py

dist_check_SCRIPTS += %D%/blocked.sh
TESTS += %D%/blocked.sh
