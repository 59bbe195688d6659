noinst_LIBRARIES += %D%/libexecgate.a
%C%_libexecgate_a_CPPFLAGS = $(AM_CPPFLAGS) $(SECCOMP_CFLAGS) $(OPENSSL_CFLAGS)
%C%_libexecgate_a_SOURCES = \
	%D%/exec_alias.c %D%/exec_alias.h \
	%D%/exec_call.c %D%/exec_call.h \
	%D%/exec_depth.c %D%/exec_depth.h \
	%D%/exec_filter.c %D%/exec_filter.h \
	%D%/exec_hash.c %D%/exec_hash.h \
	%D%/exec_image.c %D%/exec_image.h \
	%D%/exec_judge.c %D%/exec_judge.h \
	%D%/exec_loader.c %D%/exec_loader.h \
	%D%/exec_notice.c %D%/exec_notice.h \
	%D%/exec_notify.c %D%/exec_notify.h \
	%D%/exec_record.c %D%/exec_record.h \
	%D%/exec_resolve.c %D%/exec_resolve.h \
	%D%/exec_serve.c %D%/exec_serve.h \
	%D%/exec_target.c %D%/exec_target.h \
	%D%/exec_threads.c %D%/exec_threads.h \
	%D%/exec_verify.c %D%/exec_verify.h \
	%D%/exec_walk.c %D%/exec_walk.h
EXECGATE_LIBS = %D%/libexecgate.a $(COMMON_LIBS) $(SECCOMP_LIBS)

gate_PROGRAMS += %D%/agentsh-execgate
%C%_agentsh_execgate_SOURCES = %D%/main.c
%C%_agentsh_execgate_LDADD = $(EXECGATE_LIBS)
