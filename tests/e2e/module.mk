# Listed here.
include %D%/fsgate.mk
