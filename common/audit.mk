# The audit chain: sources, the writer program and its links are listed here.
%C%_libcommon_a_SOURCES += \
	%D%/audit_chain.c %D%/audit_chain.h \
	%D%/audit_client.c \
	%D%/audit_disk.c %D%/audit_disk.h \
	%D%/audit_event.c \
	%D%/audit_frame.c %D%/audit_frame.h \
	%D%/audit_i.h \
	%D%/audit_key.c %D%/audit_key.h \
	%D%/audit_log.c %D%/audit_log.h %D%/audit_log_i.h \
	%D%/audit_log_open.c \
	%D%/audit_note.c %D%/audit_note.h \
	%D%/audit_reader.c %D%/audit_reader.h \
	%D%/audit_ring.c \
	%D%/audit_segment.c %D%/audit_segment.h \
	%D%/audit_setup.c \
	%D%/audit_sys.c %D%/audit_sys.h \
	%D%/audit_verify.c %D%/audit_verify.h %D%/audit_verify_i.h \
	%D%/audit_verify_local.c \
	%D%/audit_verify_record.c \
	%D%/audit_writer.c %D%/audit_writer.h \
	%D%/cbor.c %D%/cbor.h \
	%D%/crc32c.c %D%/crc32c.h \
	%D%/merkle.c %D%/merkle.h \
	%D%/sha256.c %D%/sha256.h

gate_PROGRAMS += %D%/agentsh-auditd
%C%_agentsh_auditd_SOURCES = %D%/audit_auditd_main.c
%C%_agentsh_auditd_LDADD = $(COMMON_LIBS)
