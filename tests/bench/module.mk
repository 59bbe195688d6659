# make bench [BENCH_FLAGS=--json]. The programs are compiled by make check, so that they keep up.
check_PROGRAMS += %D%/spawn_loop %D%/file_loop %D%/net_loop %D%/audit_loop
%C%_spawn_loop_SOURCES = %D%/spawn_loop.c %D%/clock.h
%C%_file_loop_SOURCES = %D%/file_loop.c %D%/clock.h
%C%_net_loop_SOURCES = %D%/net_loop.c %D%/clock.h
%C%_net_loop_LDADD = $(OPENSSL_LIBS)
%C%_audit_loop_SOURCES = %D%/audit_loop.c %D%/clock.h
%C%_audit_loop_LDADD = $(COMMON_LIBS)
EXTRA_DIST += %D%/bench.py %D%/policy.yaml %D%/fs_bench.py %D%/fs_work.py %D%/fs_policy.yaml

.PHONY: bench
bench: all %D%/spawn_loop %D%/file_loop %D%/net_loop %D%/audit_loop
	python3 '$(srcdir)/tests/bench/bench.py' --build '$(abs_top_builddir)' $(BENCH_FLAGS)
	python3 '$(srcdir)/tests/bench/fs_bench.py' --build '$(abs_top_builddir)' $(BENCH_FLAGS)
