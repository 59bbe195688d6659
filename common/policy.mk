# The policy model: YAML -> checked documents -> image -> decisions.
%C%_libcommon_a_SOURCES += \
	%D%/arena.c %D%/arena.h \
	%D%/file_op.c \
	%D%/match.c %D%/match_addr.c \
	%D%/policy_i.h \
	%D%/policy_build.c \
	%D%/policy_check.c %D%/policy_check_rule.c \
	%D%/policy_compile.c \
	%D%/policy_eval.c %D%/policy_eval_command.c %D%/policy_eval_env.c %D%/policy_eval_net.c \
	%D%/policy_idna.c \
	%D%/policy_image.c \
	%D%/policy_json.c \
	%D%/policy_load.c \
	%D%/policy_merge.c \
	%D%/policy_message.c \
	%D%/policy_parse.c \
	%D%/policy_schema.c \
	%D%/policy_settings.c \
	%D%/policy_tree.c \
	%D%/policy_vars.c \
	%D%/policy_walk.c \
	%D%/policy_yaml.c \
	%D%/regex.c %D%/regex.h
