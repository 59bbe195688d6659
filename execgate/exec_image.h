/*
 * exec_image.h - what kind of executable some bytes are
 *
 * Shape:    the first bytes of a file -> exec_image_parse() -> ELF | SCRIPT, or -ENOEXEC
 * Pure:     no I/O, no allocation
 * Source:   elf(5); the kernel's fs/binfmt_elf.c and fs/binfmt_script.c, whose limits are kept
 * Limits:   EXEC_HEAD bytes; program headers beyond them are not looked at
 */
#ifndef EXECGATE_EXEC_IMAGE_H
#define EXECGATE_EXEC_IMAGE_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#define EXEC_HEAD 4096u
#define EXEC_SCRIPT_HEAD 256u /**< BINPRM_BUF_SIZE: all that the kernel reads of a #! line */

enum exec_kind { EXEC_ELF, EXEC_SCRIPT };

struct exec_image {
	enum exec_kind kind;
	char interp[EXEC_SCRIPT_HEAD]; /**< script: interpreter as written */
	char arg[EXEC_SCRIPT_HEAD];    /**< script: its one argument, or "" */
	uint64_t interp_off;	       /**< ELF: place of the PT_INTERP string */
	uint64_t interp_len;	       /**< its size with the NUL; 0: none */
};

/** @return 0; -ENOEXEC: the kernel would not start it here (or only by a binfmt_misc handler) */
int exec_image_parse(struct exec_image *out, const uint8_t *head, size_t len);

#endif
