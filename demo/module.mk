# The demo, and the test that it works
dist_check_SCRIPTS += %D%/check.sh
TESTS += %D%/check.sh
EXTRA_DIST += %D%/agent.sh %D%/nginx.conf.in %D%/policy.yaml %D%/run.sh %D%/servers.sh \
	%D%/dependency/README %D%/dependency/slug.c %D%/dependency/slug.h \
	%D%/project/.gitignore %D%/project/Makefile %D%/project/README \
	%D%/project/src/main.c %D%/project/src/title.c %D%/project/src/title.h \
	%D%/project/tests/expected.txt %D%/project/tests/input.txt %D%/project/tests/run.sh

.PHONY: demo
demo: all
	$(SHELL) '$(srcdir)/demo/run.sh' --agentsh '$(abs_top_builddir)/agentsh/agentsh'
