gate_PROGRAMS += %D%/agentsh-fsgate
%C%_agentsh_fsgate_SOURCES = %D%/main.c
%C%_agentsh_fsgate_LDADD = $(COMMON_LIBS)
