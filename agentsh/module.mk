# what a session's sandbox is made of, in a library so that tests reach it
noinst_LIBRARIES += %D%/libsandbox.a
%C%_libsandbox_a_SOURCES = \
	%D%/cgroup.c %D%/cgroup.h \
	%D%/git_dir.c %D%/git_dir.h \
	%D%/mount.h \
	%D%/mount_dev_setup.c \
	%D%/mount_proc_setup.c \
	%D%/mount_setup.c \
	%D%/plan.c %D%/plan.h %D%/plan_i.h \
	%D%/plan_files.c \
	%D%/plan_mounts.c \
	%D%/plan_roots.c \
	%D%/plan_sockets.c \
	%D%/sandbox.c %D%/sandbox.h %D%/sandbox_i.h \
	%D%/sandbox_agent_setup.c \
	%D%/sandbox_fence.c \
	%D%/sandbox_ids.c \
	%D%/sandbox_init.c \
	%D%/sandbox_init_setup.c \
	%D%/tty.c %D%/tty.h

bin_PROGRAMS += %D%/agentsh
%C%_agentsh_SOURCES = \
	%D%/approve.c \
	%D%/broker.c %D%/broker.h \
	%D%/cmd.h \
	%D%/detect.c %D%/detect.h \
	%D%/detect_setup.c \
	%D%/env.c %D%/env.h \
	%D%/gate_config.c %D%/gate_config.h \
	%D%/gate_link.c %D%/gate_link.h \
	%D%/main.c \
	%D%/mount_cmd.c %D%/mount_cmd_i.h \
	%D%/mount_cmd_run.c \
	%D%/mount_stale.c %D%/mount_stale.h \
	%D%/mount_table.c %D%/mount_table.h \
	%D%/outside.c %D%/outside.h \
	%D%/plan_print.c %D%/plan_print.h \
	%D%/prompt.c %D%/prompt.h \
	%D%/session.c %D%/session.h \
	%D%/session_cmd.c \
	%D%/session_plan.c %D%/session_plan.h \
	%D%/session_policy.c %D%/session_policy.h \
	%D%/session_remove.c \
	%D%/spawn_setup.c %D%/spawn_setup.h \
	%D%/supervisor.c %D%/supervisor.h %D%/supervisor_i.h \
	%D%/supervisor_record.c \
	%D%/supervisor_start.c \
	%D%/umount.c \
	%D%/unmount_setup.c %D%/unmount_setup.h \
	%D%/trash.c %D%/trash.h \
	%D%/trash_cmd.c \
	%D%/trash_restore.c \
	%D%/undo_cmd.h \
	%D%/diff_cmd.c \
	%D%/undo_find.c \
	%D%/undo_i.h \
	%D%/undo_list.c \
	%D%/undo_load.c \
	%D%/undo_cmd.c \
	%D%/undo_opts.c \
	%D%/undo_place.c \
	%D%/undo_run.c \
	%D%/undo_store.c %D%/undo_store.h \
	%D%/undo_text.c \
	%D%/vars.c %D%/vars.h \
	%D%/wrap.c \
	%D%/wrap_mount.c %D%/wrap_mount.h
%C%_agentsh_LDADD = %D%/libsandbox.a $(COMMON_LIBS) $(JANSSON_LIBS)
include %D%/policy_cmd.mk
include %D%/audit_cmd.mk
include %D%/completion/module.mk
