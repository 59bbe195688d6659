# agentsh audit: sources are listed here.
%C%_agentsh_SOURCES += \
	%D%/audit_cat.c \
	%D%/audit_cmd.c %D%/audit_i.h \
	%D%/audit_init.c \
	%D%/audit_verify_cmd.c \
	%D%/audit_view.c %D%/audit_view.h
