# agentsh policy: sources are listed here.
%C%_agentsh_SOURCES += \
	%D%/policy_cmd.c %D%/policy_cmd.h \
	%D%/policy_explain.c \
	%D%/policy_opts.c %D%/policy_opts.h \
	%D%/policy_request.c %D%/policy_request.h \
	%D%/policy_show.c \
	%D%/policy_test.c
