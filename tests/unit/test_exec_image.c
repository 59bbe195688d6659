#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "execgate/exec_image.h"
#include "execgate/exec_loader.h"
#include "tests/unit/unit.h"

static int parse(struct exec_image *im, const char *text, size_t len)
{
	return exec_image_parse(im, (const uint8_t *)text, len);
}

struct script_case {
	const char *text, *interp, *arg; /* interp NULL: no executable */
};

static const struct script_case scripts[] = {
	{"#!/bin/sh\necho\n", "/bin/sh", ""},
	{"#!/bin/sh", "/bin/sh", ""},
	{"#! \t/bin/sh \t -e -u \t\n", "/bin/sh", "-e -u"},
	{"#!sh\n", "sh", ""},
	{"#!\n/bin/sh\n", NULL, NULL},
	{"#!   \n", NULL, NULL},
	{"#!", NULL, NULL},
	{"#!/usr/bin/env -S python3 -u\nx\n", "/usr/bin/env", "-S python3 -u"},
	{"#!/bin/sh\r\n", "/bin/sh\r", ""},
	{"plain text\n", NULL, NULL},
	{"", NULL, NULL},
};

static void test_scripts(void)
{
	struct exec_image im;

	for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
		const struct script_case *c = &scripts[i];
		int r = parse(&im, c->text, strlen(c->text));

		CU_ASSERT_EQUAL(r, c->interp ? 0 : -ENOEXEC);
		if (r < 0 || !c->interp)
			continue;
		CU_ASSERT_EQUAL(im.kind, EXEC_SCRIPT);
		CU_ASSERT_STRING_EQUAL(im.interp, c->interp);
		CU_ASSERT_STRING_EQUAL(im.arg, c->arg);
	}
}

static void test_long_script(void)
{
	char text[400];
	struct exec_image im;

	/* the kernel reads 256 bytes: a longer interpreter is cut, so it is none */
	memset(text, 'a', sizeof(text));
	memcpy(text, "#!/", 3);
	text[300] = '\n';
	CU_ASSERT_EQUAL(parse(&im, text, sizeof(text)), -ENOEXEC);
	/* a longer argument is cut as the kernel cuts it */
	text[20] = ' ';
	CU_ASSERT_EQUAL(parse(&im, text, sizeof(text)), 0);
	CU_ASSERT_EQUAL(strlen(im.interp), 18);
	CU_ASSERT_EQUAL(strlen(im.arg), 255 - 21);
}

static void test_elf(void)
{
	uint8_t head[EXEC_HEAD];
	struct exec_image im;
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, head, sizeof(head));

	close(fd);
	CU_ASSERT_FATAL(n == (ssize_t)sizeof(head));
	CU_ASSERT_EQUAL(exec_image_parse(&im, head, sizeof(head)), 0);
	CU_ASSERT_EQUAL(im.kind, EXEC_ELF);
	CU_ASSERT(im.interp_len > 1);
	/* cut anywhere: no crash, and never taken for a script */
	for (size_t len = 0; len < sizeof(head); len += 7)
		if (exec_image_parse(&im, head, len) == 0)
			CU_ASSERT_EQUAL(im.kind, EXEC_ELF);
	head[4] = 1; /* ELFCLASS32: i386 and x32 are killed by the filter, so they do not start */
	CU_ASSERT_EQUAL(exec_image_parse(&im, head, sizeof(head)), -ENOEXEC);
}

static size_t program_of(const char *const *argv)
{
	struct exec_loader_call call;
	size_t n = 0;

	while (argv[n])
		n++;
	return exec_loader_parse(&call, argv, n) < 0 ? 99 : call.program;
}

#define ARGV(...) ((const char *const[]){__VA_ARGS__, NULL})

static void test_loader(void)
{
	struct exec_loader_call call;

	CU_ASSERT_EQUAL(program_of(ARGV("ld", "/bin/ls", "-l")), 1);
	CU_ASSERT_EQUAL(program_of(ARGV("ld")), 0);
	CU_ASSERT_EQUAL(program_of(ARGV("ld", "--help")), 0);
	CU_ASSERT_EQUAL(program_of(ARGV("ld", "--verify", "/bin/ls")), 2);
	CU_ASSERT_EQUAL(program_of(ARGV("ld", "--library-path", "/x", "/bin/ls")), 3);
	CU_ASSERT_EQUAL(program_of(ARGV("ld", "--library-path=/x", "/bin/ls")), 2);
	CU_ASSERT_EQUAL(program_of(ARGV("ld", "--preload", "/x", "--", "/bin/ls")), 4);
	CU_ASSERT_EQUAL(program_of(ARGV("ld", "--new-option", "/bin/ls")), 99);
	CU_ASSERT_EQUAL(program_of(ARGV("ld", "--argv0")), 99);
	CU_ASSERT_EQUAL(exec_loader_parse(&call, ARGV("ld", "--argv0", "x", "/bin/ls"), 4), 0);
	CU_ASSERT_STRING_EQUAL(call.argv0, "x");
}

static const struct unit_case cases[] = {
	{"#! lines", test_scripts},
	{"#! lines longer than the kernel reads", test_long_script},
	{"ELF", test_elf},
	{"arguments of the dynamic loader", test_loader},
};

UNIT_MAIN("exec_image", cases)
