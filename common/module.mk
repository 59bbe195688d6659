noinst_LIBRARIES += %D%/libcommon.a
%C%_libcommon_a_SOURCES = \
	%D%/auto.h \
	%D%/audit.h \
	%D%/dirs.c %D%/dirs.h \
	%D%/err.c %D%/err.h \
	%D%/gate.c %D%/gate.h \
	%D%/ipc.c %D%/ipc.h \
	%D%/log.c %D%/log.h \
	%D%/file_copy.c %D%/file_copy.h \
	%D%/loop.c %D%/loop.h \
	%D%/match.h \
	%D%/path.c %D%/path.h \
	%D%/policy.h \
	%D%/priv.c %D%/priv.h \
	%D%/redact.c %D%/redact.h \
	%D%/str.c %D%/str.h \
	%D%/sys.c %D%/sys.h \
	%D%/trash.h %D%/trash_file.c %D%/trash_meta.c \
	%D%/undo.h \
	%D%/undo_file.c \
	%D%/undo_frame.c \
	%D%/verdict.c %D%/verdict.h
%C%_libcommon_a_CPPFLAGS = $(AM_CPPFLAGS) -DAGENTSH_SRCDIR='"$(abs_top_srcdir)"'
COMMON_LIBS = %D%/libcommon.a $(OPENSSL_LIBS) $(PCRE2_LIBS) $(YAML_LIBS) -lpthread
include %D%/policy.mk
include %D%/audit.mk
