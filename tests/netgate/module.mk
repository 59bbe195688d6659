# netgate alone, against real servers and clients: the rig plays the supervisor.
check_PROGRAMS += %D%/rig
%C%_rig_SOURCES = %D%/rig_setup.c
%C%_rig_LDADD = $(COMMON_LIBS)
dist_check_SCRIPTS += %D%/netgate.py
TESTS += %D%/netgate.py
