gate_PROGRAMS += %D%/agentsh-execgate
%C%_agentsh_execgate_SOURCES = %D%/main.c
%C%_agentsh_execgate_LDADD = $(COMMON_LIBS)
