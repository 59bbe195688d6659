# the host and the sandbox change one tree
dist_check_SCRIPTS += %D%/coherence.sh
TESTS += %D%/coherence.sh
EXTRA_DIST += %D%/coherence.yaml %D%/coherence.py
