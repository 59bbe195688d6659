# Long and random: the same work natively and on the mount, compared. Short in make check; the
# environment variables that each script names make it long.
check_PROGRAMS += %D%/fs_random
%C%_fs_random_SOURCES = %D%/fs_random.c %D%/fs_random_ops.c %D%/fs_random.h
dist_check_SCRIPTS += %D%/fs_random.sh %D%/pjdfstest.sh
TESTS += %D%/fs_random.sh
