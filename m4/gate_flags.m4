# GATE_FLAGS_INIT: nothing to set up, but a place to look for what follows.
AC_DEFUN([GATE_FLAGS_INIT], [AC_LANG_ASSERT([C])])

# GATE_CFLAGS(VAR, FLAGS): append each flag that the compiler takes without a warning.
AC_DEFUN([GATE_CFLAGS], [
for gate_flag in m4_normalize([$2]); do
	gate_save="$CFLAGS"
	CFLAGS="$CFLAGS -Werror $gate_flag"
	AC_COMPILE_IFELSE([AC_LANG_PROGRAM([[]], [[]])], [$1="[$]$1 $gate_flag"])
	CFLAGS="$gate_save"
done])

# GATE_LDFLAGS(VAR, FLAGS): the same for the linker.
AC_DEFUN([GATE_LDFLAGS], [
for gate_flag in m4_normalize([$2]); do
	gate_save="$LDFLAGS"
	gate_save_c="$CFLAGS"
	CFLAGS="$CFLAGS -fPIE"
	LDFLAGS="$LDFLAGS $gate_flag"
	AC_LINK_IFELSE([AC_LANG_PROGRAM([[]], [[]])], [$1="[$]$1 $gate_flag"])
	LDFLAGS="$gate_save"
	CFLAGS="$gate_save_c"
done])
