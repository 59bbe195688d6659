# Fuzz targets: fuzz_NAME.c has the libFuzzer entry, corpus/NAME its seeds. Without libFuzzer each is
# linked with replay_main.c, which also mutates: fuzz_NAME -r 1000000 corpus/NAME
FUZZ_TARGETS = %D%/fuzz_audit_file %D%/fuzz_dns_wire %D%/fuzz_http_head %D%/fuzz_ipc_frame \
	%D%/fuzz_policy %D%/fuzz_policy_image %D%/fuzz_tls_hello
FUZZ_REPLAY = %D%/replay_main.c %D%/fuzz.h
FUZZ_LIBS = netgate/libnetgate.a $(COMMON_LIBS)
check_PROGRAMS += $(FUZZ_TARGETS)
%C%_fuzz_audit_file_SOURCES = %D%/fuzz_audit_file.c $(FUZZ_REPLAY)
%C%_fuzz_audit_file_LDADD = $(COMMON_LIBS)
%C%_fuzz_ipc_frame_SOURCES = %D%/fuzz_ipc_frame.c $(FUZZ_REPLAY)
%C%_fuzz_ipc_frame_LDADD = $(COMMON_LIBS)
%C%_fuzz_dns_wire_SOURCES = %D%/fuzz_dns_wire.c $(FUZZ_REPLAY)
%C%_fuzz_dns_wire_LDADD = $(FUZZ_LIBS)
%C%_fuzz_http_head_SOURCES = %D%/fuzz_http_head.c $(FUZZ_REPLAY)
%C%_fuzz_http_head_LDADD = $(FUZZ_LIBS)
%C%_fuzz_policy_SOURCES = %D%/fuzz_policy.c $(FUZZ_REPLAY)
%C%_fuzz_policy_LDADD = $(COMMON_LIBS)
%C%_fuzz_policy_image_SOURCES = %D%/fuzz_policy_image.c $(FUZZ_REPLAY)
%C%_fuzz_policy_image_LDADD = $(COMMON_LIBS)
%C%_fuzz_tls_hello_SOURCES = %D%/fuzz_tls_hello.c $(FUZZ_REPLAY)
%C%_fuzz_tls_hello_LDADD = $(FUZZ_LIBS)
dist_check_SCRIPTS += %D%/replay.sh
TESTS += %D%/replay.sh
EXTRA_DIST += %D%/corpus
