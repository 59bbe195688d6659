# Unit tests: one CUnit program a module; each folder's list is its own fragment.
UNIT_CPPFLAGS = $(AM_CPPFLAGS)
UNIT_LIBS = $(COMMON_LIBS) $(CUNIT_LIBS)
EXTRA_DIST += %D%/unit/unit.h
include %D%/unit/base.mk
include %D%/unit/policy.mk
include %D%/unit/audit.mk
include %D%/unit/fsgate.mk
include %D%/unit/netgate.mk
include %D%/unit/execgate.mk
include %D%/e2e/module.mk
include %D%/attack/module.mk
include %D%/bench/module.mk
include %D%/fuzz/module.mk
