# the server's parts, for the program and its tests
noinst_LIBRARIES += %D%/libfsgate.a
%C%_libfsgate_a_CPPFLAGS = $(AM_CPPFLAGS) $(FUSE_CFLAGS) $(JANSSON_CFLAGS) $(SECCOMP_CFLAGS)
%C%_libfsgate_a_SOURCES = \
	%D%/fs.h \
	%D%/fs_at.c %D%/fs_at.h \
	%D%/fs_call.c %D%/fs_call.h \
	%D%/fs_conf.c %D%/fs_conf.h \
	%D%/fs_confine_setup.c %D%/fs_confine_setup.h \
	%D%/fs_cred_setup.c %D%/fs_cred_setup.h \
	%D%/fs_decide.c %D%/fs_decide.h \
	%D%/fs_entry.c %D%/fs_entry.h \
	%D%/fs_file.c %D%/fs_file.h \
	%D%/fs_filter.c %D%/fs_filter.h \
	%D%/fs_hold.c %D%/fs_hold.h \
	%D%/fs_lock.c %D%/fs_lock.h \
	%D%/fs_loop.c %D%/fs_loop.h \
	%D%/fs_node.c %D%/fs_node.h %D%/fs_node_i.h \
	%D%/fs_node_fd.c \
	%D%/fs_node_move.c \
	%D%/fs_node_stray.c \
	%D%/fs_ops.c %D%/fs_ops.h %D%/fs_ops_i.h \
	%D%/fs_ops_attr.c \
	%D%/fs_ops_dir.c \
	%D%/fs_ops_file.c \
	%D%/fs_ops_ioctl.c \
	%D%/fs_ops_name.c \
	%D%/fs_ops_open.c \
	%D%/fs_ops_rename.c \
	%D%/fs_place_setup.c %D%/fs_place_setup.h \
	%D%/fs_pass.c %D%/fs_pass.h \
	%D%/fs_node_spot.c %D%/fs_spot.h \
	%D%/fs_record.c %D%/fs_record.h \
	%D%/fs_serve.c %D%/fs_serve.h \
	%D%/fs_setup.c %D%/fs_setup.h \
	%D%/fs_tmpfile.c %D%/fs_tmpfile.h \
	%D%/fs_virtual.c %D%/fs_virtual.h \
	%D%/fs_full.c %D%/fs_full.h \
	%D%/fs_redirect.c %D%/fs_redirect.h %D%/fs_redirect_i.h \
	%D%/fs_redirect_act.c \
	%D%/fs_trash.c %D%/fs_trash.h \
	%D%/fs_undo.c %D%/fs_undo.h %D%/fs_undo_i.h \
	%D%/fs_undo_keep.c \
	%D%/fs_undo_ops.c \
	%D%/fs_undo_table.c \
	%D%/fs_walk.c %D%/fs_walk.h \
	%D%/fs_watch.c %D%/fs_watch.h %D%/fs_watch_i.h \
	%D%/fs_watch_tell.c \
	%D%/fs_who.c %D%/fs_who.h \
	%D%/fs_why.c %D%/fs_why.h \
	%D%/fs_why_policy.c
FSGATE_LIBS = %D%/libfsgate.a $(COMMON_LIBS) $(FUSE_LIBS) $(JANSSON_LIBS) $(SECCOMP_LIBS)

gate_PROGRAMS += %D%/agentsh-fsgate
%C%_agentsh_fsgate_CPPFLAGS = $(AM_CPPFLAGS) $(FUSE_CFLAGS)
%C%_agentsh_fsgate_SOURCES = %D%/main.c
%C%_agentsh_fsgate_LDADD = $(FSGATE_LIBS)
