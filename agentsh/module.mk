# what a session's sandbox is made of, in a library so that tests reach it
noinst_LIBRARIES += %D%/libsandbox.a
%C%_libsandbox_a_SOURCES = \
	%D%/cgroup.c %D%/cgroup.h \
	%D%/mount.h \
	%D%/mount_dev_setup.c \
	%D%/mount_proc_setup.c \
	%D%/mount_setup.c \
	%D%/plan.c %D%/plan.h %D%/plan_i.h \
	%D%/plan_files.c \
	%D%/plan_roots.c \
	%D%/sandbox.c %D%/sandbox.h %D%/sandbox_i.h \
	%D%/sandbox_agent_setup.c \
	%D%/sandbox_ids.c \
	%D%/sandbox_init.c \
	%D%/sandbox_init_setup.c \
	%D%/tty.c %D%/tty.h

bin_PROGRAMS += %D%/agentsh
%C%_agentsh_SOURCES = %D%/main.c %D%/cmd.h
%C%_agentsh_LDADD = %D%/libsandbox.a $(COMMON_LIBS) $(JANSSON_LIBS)
include %D%/policy_cmd.mk
include %D%/audit_cmd.mk
