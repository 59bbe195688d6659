bin_PROGRAMS += %D%/agentsh
%C%_agentsh_SOURCES = %D%/main.c %D%/cmd.h
%C%_agentsh_LDADD = $(COMMON_LIBS) $(JANSSON_LIBS)
include %D%/policy_cmd.mk
include %D%/audit_cmd.mk
