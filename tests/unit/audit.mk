# Unit tests of the audit chain.
AUDIT_TESTS = %D%/test_cbor %D%/test_merkle %D%/test_audit_crash %D%/test_audit_ring %D%/test_audit_tamper
check_PROGRAMS += $(AUDIT_TESTS)
TESTS += $(AUDIT_TESTS)
EXTRA_DIST += %D%/audit_fixture.h
%C%_test_cbor_SOURCES = %D%/test_cbor.c
%C%_test_cbor_LDADD = $(UNIT_LIBS)
%C%_test_merkle_SOURCES = %D%/test_merkle.c
%C%_test_merkle_LDADD = $(UNIT_LIBS)
%C%_test_audit_crash_SOURCES = %D%/test_audit_crash.c
%C%_test_audit_crash_LDADD = $(UNIT_LIBS)
%C%_test_audit_tamper_SOURCES = %D%/test_audit_tamper.c
%C%_test_audit_tamper_LDADD = $(UNIT_LIBS)
%C%_test_audit_ring_SOURCES = %D%/test_audit_ring.c
%C%_test_audit_ring_LDADD = $(UNIT_LIBS)
