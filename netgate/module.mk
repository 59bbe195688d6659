gate_PROGRAMS += %D%/agentsh-netgate
%C%_agentsh_netgate_SOURCES = %D%/main.c
%C%_agentsh_netgate_LDADD = $(COMMON_LIBS)
