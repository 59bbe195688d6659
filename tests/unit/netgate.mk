# netgate's parsers and tables; what moves bytes is tested by tests/netgate.
NETGATE_UNIT_LIBS = netgate/libnetgate.a $(UNIT_LIBS) $(MNL_LIBS)
check_PROGRAMS += %D%/test_net_name %D%/test_tls_hello %D%/test_http_head %D%/test_net_dns_wire
%C%_test_net_name_SOURCES = %D%/test_net_name.c
%C%_test_net_name_LDADD = $(NETGATE_UNIT_LIBS)
%C%_test_tls_hello_SOURCES = %D%/test_tls_hello.c
%C%_test_tls_hello_LDADD = $(NETGATE_UNIT_LIBS)
%C%_test_http_head_SOURCES = %D%/test_http_head.c
%C%_test_http_head_LDADD = $(NETGATE_UNIT_LIBS)
%C%_test_net_dns_wire_SOURCES = %D%/test_net_dns_wire.c
%C%_test_net_dns_wire_LDADD = $(NETGATE_UNIT_LIBS)
TESTS += %D%/test_net_name %D%/test_tls_hello %D%/test_http_head %D%/test_net_dns_wire
