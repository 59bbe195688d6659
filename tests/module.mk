# Tests: what each folder holds is in its own fragment.
#   build/   the checks of the tree itself      unit/    one CUnit program a module
#   e2e/     through the command                attack/  hostile programs inside the sandbox
#   fuzz/    parsers fed with a corpus          bench/   numbers
AM_TESTS_ENVIRONMENT = \
	AGENTSH='$(abs_top_builddir)/agentsh/agentsh'; export AGENTSH; \
	AGENTSH_TEST_BUILD='$(abs_top_builddir)'; export AGENTSH_TEST_BUILD; \
	CC='$(CC)'; export CC;
EXTRA_DIST += %D%/lib/tap.sh build-aux/check-size.sh build-aux/cppcheck.cfg
dist_check_SCRIPTS += build-aux/check-layers.sh build-aux/check-symbols.sh %D%/build/checks.sh
TESTS += build-aux/check-layers.sh build-aux/check-symbols.sh %D%/build/checks.sh

.PHONY: lint
lint:
	srcdir='$(srcdir)' $(SHELL) '$(srcdir)/build-aux/check-layers.sh'
	srcdir='$(srcdir)' $(SHELL) '$(srcdir)/build-aux/check-size.sh'
	cd '$(srcdir)' && find bootstrap build-aux tests .ci -type f \( -name '*.sh' -o -name bootstrap \) \
		! -name ltmain.sh -exec shellcheck -x -S warning {} +
	cd '$(srcdir)' && cppcheck -q --error-exitcode=1 --enable=warning,performance,portability \
		--suppress=memleak --suppress=resourceLeak --inline-suppr -I. -D_GNU_SOURCE \
		--library=build-aux/cppcheck.cfg --std=c11 common fsgate netgate execgate agentsh
UNIT_CPPFLAGS = $(AM_CPPFLAGS)
UNIT_LIBS = $(COMMON_LIBS) $(CUNIT_LIBS)
EXTRA_DIST += %D%/unit/unit.h
include %D%/unit/base.mk
include %D%/unit/policy.mk
include %D%/unit/audit.mk
include %D%/unit/fsgate.mk
include %D%/unit/netgate.mk
include %D%/unit/execgate.mk
include %D%/unit/sandbox.mk
include %D%/netgate/module.mk
include %D%/e2e/module.mk
include %D%/e2e/coherence.mk
include %D%/attack/module.mk
include %D%/torture/module.mk
include %D%/bench/module.mk
include %D%/fuzz/module.mk
