gate_PROGRAMS += %D%/agentsh-netgate
noinst_LIBRARIES += %D%/libnetgate.a
%C%_libnetgate_a_CFLAGS = $(AM_CFLAGS) $(NL_CFLAGS) $(NLROUTE_CFLAGS) $(MNL_CFLAGS) $(NFTNL_CFLAGS) \
	$(CARES_CFLAGS)
%C%_libnetgate_a_SOURCES = \
	%D%/http_body.c %D%/http_body.h \
	%D%/http_head.c %D%/http_head.h \
	%D%/net.h \
	%D%/net_addr.c %D%/net_addr.h \
	%D%/net_conf.c %D%/net_conf.h \
	%D%/net_dns.c %D%/net_dns.h \
	%D%/net_dns_wire.c %D%/net_dns_wire.h \
	%D%/net_fence.c %D%/net_fence.h \
	%D%/net_flow.c %D%/net_flow.h %D%/net_flow_i.h \
	%D%/net_flow_classify.c \
	%D%/net_flow_decide.c \
	%D%/net_flow_dial.c \
	%D%/net_flow_http.c \
	%D%/net_flow_refuse.c \
	%D%/net_flow_relay.c \
	%D%/net_judge.c %D%/net_judge.h \
	%D%/net_link.c %D%/net_link.h \
	%D%/net_name.c %D%/net_name.h \
	%D%/net_nft.c %D%/net_nft.h \
	%D%/net_owner.c %D%/net_owner.h \
	%D%/net_pool.c %D%/net_pool.h \
	%D%/net_record.c %D%/net_record.h \
	%D%/net_resolve.c %D%/net_resolve.h \
	%D%/net_setup.c %D%/net_setup.h \
	%D%/net_wait.c %D%/net_wait.h \
	%D%/tls_hello.c %D%/tls_hello.h
%C%_agentsh_netgate_SOURCES = %D%/main.c
%C%_agentsh_netgate_CFLAGS = $(%C%_libnetgate_a_CFLAGS)
%C%_agentsh_netgate_LDADD = %D%/libnetgate.a $(COMMON_LIBS) $(NLROUTE_LIBS) $(NL_LIBS) $(NFTNL_LIBS) \
	$(MNL_LIBS) $(CARES_LIBS)
