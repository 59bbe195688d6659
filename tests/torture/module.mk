# Long and random: the same work natively and on the mount, compared. Short in make check; the
# environment variables that each script names make it long.
check_PROGRAMS += %D%/fs_random %D%/fs_races %D%/fs_posix
%C%_fs_posix_SOURCES = %D%/fs_posix.c
%C%_fs_random_SOURCES = %D%/fs_random.c %D%/fs_random_ops.c %D%/fs_random.h
%C%_fs_races_SOURCES = %D%/fs_races.c
%C%_fs_races_LDADD = -lpthread
dist_check_SCRIPTS += %D%/fs_full.sh %D%/git_both.sh %D%/fs_posix.sh %D%/fs_races.sh %D%/fs_random.sh %D%/pjdfstest.sh
TESTS += %D%/fs_full.sh %D%/fs_posix.sh %D%/fs_races.sh %D%/fs_random.sh
