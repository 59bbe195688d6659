# Through the command, as a person or a script uses it.
e2e_scripts = %D%/status.sh %D%/io.sh %D%/terminal.sh %D%/programs.sh %D%/network.sh %D%/badinput.sh \
	%D%/approve.sh %D%/audit.sh %D%/kill.sh %D%/policy.sh %D%/programs2.sh %D%/nested.sh %D%/user.sh %D%/why.sh
e2e_scripts += %D%/confine.sh %D%/ops.sh %D%/ops_user.sh
EXTRA_DIST += %D%/ops.py
e2e_scripts += %D%/held.sh
e2e_scripts += %D%/mount.sh
e2e_scripts += %D%/trash.sh %D%/redirect.sh
e2e_scripts += %D%/workspaces.sh
e2e_scripts += %D%/outside.sh
e2e_scripts += %D%/undo.sh
dist_check_SCRIPTS += $(e2e_scripts)
TESTS += $(e2e_scripts)
EXTRA_DIST += %D%/lib.sh %D%/undo_do.py tests/lib/world.py
include %D%/fsgate.mk
