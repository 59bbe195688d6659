#include "execgate/exec_image.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#if defined(__x86_64__)
#define NATIVE_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define NATIVE_MACHINE EM_AARCH64
#elif defined(__riscv)
#define NATIVE_MACHINE EM_RISCV
#else
#define NATIVE_MACHINE EM_NONE /* a port begins here: until then nothing starts */
#endif

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static void copy(char *out, const char *from, const char *end)
{
	size_t n = strnlen(from, (size_t)(end - from));

	memcpy(out, from, n);
	out[n] = '\0';
}

/* As load_script(): the line ends at the newline, or at the end of the 256 bytes. */
static int parse_script(struct exec_image *out, const uint8_t *head, size_t len)
{
	char line[EXEC_SCRIPT_HEAD] = {0};
	const char *p = line + 2, *end, *sep;

	memcpy(line, head, len < sizeof(line) ? len : sizeof(line));
	end = memchr(line, '\n', sizeof(line));
	if (!end) {
		const char *limit = line + sizeof(line) - 1;

		while (p < limit && is_blank(*p))
			p++;
		sep = p;
		while (sep < limit && *sep && !is_blank(*sep))
			sep++;
		if (sep == limit)
			return -ENOEXEC; /* the interpreter's name itself may be cut */
		end = limit;
	}
	while (end > line + 2 && is_blank(end[-1]))
		end--;
	p = line + 2;
	while (p < end && is_blank(*p))
		p++;
	if (p == end || !*p)
		return -ENOEXEC;
	sep = p;
	while (sep < end && *sep && !is_blank(*sep))
		sep++;
	copy(out->interp, p, sep);
	while (sep < end && is_blank(*sep))
		sep++;
	out->arg[0] = '\0';
	if (sep < end && *sep)
		copy(out->arg, sep, end);
	out->kind = EXEC_SCRIPT;
	return 0;
}

static int parse_elf(struct exec_image *out, const uint8_t *head, size_t len)
{
	Elf64_Ehdr eh;

	if (len < sizeof(eh))
		return -ENOEXEC;
	memcpy(&eh, head, sizeof(eh));
	if (eh.e_ident[EI_CLASS] != ELFCLASS64 || eh.e_machine != NATIVE_MACHINE ||
	    (eh.e_type != ET_EXEC && eh.e_type != ET_DYN) || eh.e_phentsize != sizeof(Elf64_Phdr))
		return -ENOEXEC;
	out->kind = EXEC_ELF;
	for (unsigned i = 0; i < eh.e_phnum; i++) {
		uint64_t at = eh.e_phoff + i * sizeof(Elf64_Phdr);
		Elf64_Phdr ph;

		if (eh.e_phoff > len || at + sizeof(ph) > len)
			return -ENOEXEC; /* legal, but no linker puts them there */
		memcpy(&ph, head + at, sizeof(ph));
		if (ph.p_type != PT_INTERP)
			continue;
		if (ph.p_filesz < 2 || ph.p_filesz > PATH_MAX)
			return -ENOEXEC;
		out->interp_off = ph.p_offset;
		out->interp_len = ph.p_filesz;
		return 0;
	}
	return 0;
}

int exec_image_parse(struct exec_image *out, const uint8_t *head, size_t len)
{
	memset(out, 0, sizeof(*out));
	if (len >= 2 && head[0] == '#' && head[1] == '!')
		return parse_script(out, head, len);
	if (len >= SELFMAG && memcmp(head, ELFMAG, SELFMAG) == 0)
		return parse_elf(out, head, len);
	return -ENOEXEC;
}
