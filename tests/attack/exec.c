/*
 * exec.c - run a program that the policy denies, under another name or by another way
 *
 * Expected: factor(1), which the policy denies, never prints the factors of 6, and bin/victim,
 * denied by its path, never prints its line. An execve of them gives EACCES; a race must not be won
 * once in thousands of tries.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/attack/attack.h"

#define RAN "6: 2 3"
#define VICTIM "bin/victim"
#define VICTIM_RAN "VICTIM RAN"

static char name_arg[] = "factor", six_arg[] = "6";
static char *six[] = {name_arg, six_arg, NULL};

static const char *denied(void)
{
	return attack_conf("denied_program");
}

static enum outcome ran(const char *out, int status)
{
	if (strstr(out, RAN) || strstr(out, VICTIM_RAN))
		return attack_escaped("it ran");
	if (status < 0)
		return attack_broken("no process");
	return attack_blocked("did not run (status %d)", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
}

static enum outcome capture(const char *const argv[])
{
	char out[4096] = "";
	int status = attack_capture(out, sizeof(out), argv);

	return ran(out, status);
}

static enum outcome run(const char *path, const char *arg0, const char *arg1, const char *arg2)
{
	const char *argv[] = {path, arg0, arg1, arg2, NULL};

	return capture(argv);
}

static int copy(const char *from, const char *to)
{
	int in = open(from, O_RDONLY | O_CLOEXEC), out, r = -1;
	struct stat st;

	unlink(to);
	out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	if (in >= 0 && out >= 0 && fstat(in, &st) == 0) {
		off_t left = st.st_size;
		ssize_t n = 1;

		while (left > 0 && (n = sendfile(out, in, NULL, (size_t)left)) > 0)
			left -= n;
		r = left == 0 ? 0 : -1;
	}
	close(in);
	close(out);
	return r;
}

/* ---- the plain ways ---- */

static enum outcome plain(void)
{
	if (run("factor", "6", NULL, NULL) == ESCAPED)
		return attack_escaped("by its name");
	return run(denied(), "6", NULL, NULL);
}

static enum outcome errno_of_denial(void)
{
	int p[2], e = 0;
	pid_t pid;

	if (pipe2(p, O_CLOEXEC) < 0)
		return attack_broken("pipe: %m");
	pid = fork();
	if (pid == 0) {
		close(1);
		execv(denied(), six);
		e = errno;
		(void)!write(p[1], &e, sizeof(e));
		_exit(0);
	}
	close(p[1]);
	if (read(p[0], &e, sizeof(e)) != sizeof(e))
		return attack_escaped("execve came back no more");
	waitpid(pid, NULL, 0);
	return e == EACCES ? attack_blocked("EACCES") : attack_broken("%s instead of EACCES", strerrorname_np(e));
}

static enum outcome through_others(void)
{
	static const char *const ways[][6] = {
		{"sh", "-c", "factor 6"},
		{"sh", "-c", "true & factor 6; exec factor 6"},
		{"env", "-i", "/usr/bin/factor", "6"},
		{"env", "-S", "factor 6"},
		{"xargs", "-a", "six", "factor"},
		{"find", "six", "-exec", "factor", "6", ";"},
		{"nice", "factor", "6"},
		{"timeout", "5", "factor", "6"},
		{"awk", "BEGIN { system(\"factor 6\") }"},
		{"git", "-c", "alias.x=!factor 6", "x"},
		{"git", "-c", "core.pager=factor 6; cat", "--paginate", "log"},
		{"python3", "-c", "import os; os.execvp('factor', ['factor', '6'])"},
		{"perl", "-e", "exec 'factor', '6'"},
		{"setsid", "factor", "6"},
		{"nohup", "factor", "6"},
		{"stdbuf", "-o0", "factor", "6"},
	};
	unsigned n = sizeof(ways) / sizeof(ways[0]);

	attack_spill("six", "6\n");
	for (unsigned i = 0; i < n; i++)
		if (capture(ways[i]) == ESCAPED)
			return attack_escaped("through %s %s", ways[i][0], ways[i][1]);
	return attack_blocked("%u ways", n);
}

static enum outcome copied(void)
{
	if (copy(denied(), "pub/harmless") < 0)
		return attack_blocked("cannot be copied: %s", strerrorname_np(errno));
	return run("pub/harmless", "6", NULL, NULL);
}

static enum outcome copied_to_tmp(void)
{
	if (copy(denied(), "/tmp/git") < 0)
		return attack_blocked("cannot be copied: %s", strerrorname_np(errno));
	return run("/tmp/git", "6", NULL, NULL);
}

static enum outcome copied_to_shm(void)
{
	if (copy(denied(), "/dev/shm/git") < 0)
		return attack_blocked("cannot be copied: %s", strerrorname_np(errno));
	return run("/dev/shm/git", "6", NULL, NULL);
}

static enum outcome symlinked(void)
{
	unlink("pub/git");
	if (symlink(denied(), "pub/git") < 0)
		return attack_blocked("symlink: %s", strerrorname_np(errno));
	if (run("pub/git", "6", NULL, NULL) == ESCAPED)
		return ESCAPED;
	if (chdir("pub") < 0)
		return attack_broken("chdir: %m");
	return run("./git", "6", NULL, NULL);
}

static enum outcome hardlinked(void)
{
	unlink("pub/friend");
	if (link(VICTIM, "pub/friend") < 0)
		return attack_blocked("link: %s", strerrorname_np(errno));
	return run("pub/friend", NULL, NULL, NULL);
}

static enum outcome renamed(void)
{
	enum outcome o;

	if (rename(VICTIM, "pub/renamed") < 0)
		return attack_blocked("rename: %s", strerrorname_np(errno));
	o = run("pub/renamed", NULL, NULL, NULL);
	rename("pub/renamed", VICTIM);
	return o;
}

static enum outcome victim(void)
{
	return run(VICTIM, NULL, NULL, NULL);
}

static enum outcome spelled(void)
{
	static const char *const names[] = {
		"/usr/bin/../bin/factor", "//usr//bin//factor", "/proc/self/root/usr/bin/factor",
		"/bin/factor", "/usr/./bin/factor", "/proc/1/root/usr/bin/factor",
		"/proc/thread-self/root/usr/bin/factor", "../../../../../../../../../../usr/bin/factor"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (run(names[i], "6", NULL, NULL) == ESCAPED)
			return attack_escaped("as %s", names[i]);
	return attack_blocked("%zu spellings", sizeof(names) / sizeof(names[0]));
}

/* an allow by bare name means the system's program, not one of that name in the workspace */
static enum outcome name_in_workspace(void)
{
	char path[PATH_MAX];

	mkdir("pub/path", 0755);
	if (copy(denied(), "pub/path/git") < 0)
		return attack_blocked("cannot be copied: %s", strerrorname_np(errno));
	snprintf(path, sizeof(path), "pub/path:%s", getenv("PATH") ? getenv("PATH") : "/usr/bin");
	setenv("PATH", path, 1);
	return run("git", "6", NULL, NULL);
}

static enum outcome other_argv0(void)
{
	const char *argv[] = {"bash", "-c", "exec -a git /usr/bin/factor 6", NULL};

	return capture(argv);
}

/* ---- loaders and interpreters ---- */

static enum outcome by_loader(void)
{
	static const char *const loaders[] = {"/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1",
					      "/usr/lib64/ld-linux-x86-64.so.2",
					      "/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"};
	unsigned found = 0;

	for (size_t i = 0; i < sizeof(loaders) / sizeof(loaders[0]); i++) {
		if (access(loaders[i], F_OK) < 0)
			continue;
		found++;
		if (run(loaders[i], denied(), "6", NULL) == ESCAPED)
			return attack_escaped("by %s", loaders[i]);
		if (run(loaders[i], "--argv0", "git", denied()) == ESCAPED ||
		    run(loaders[i], "--inhibit-cache", denied(), "6") == ESCAPED)
			return attack_escaped("by %s with options", loaders[i]);
	}
	return found ? attack_blocked("%u loaders", found) : attack_broken("no loader found");
}

static enum outcome by_copied_loader(void)
{
	if (copy("/lib64/ld-linux-x86-64.so.2", "pub/ld") < 0)
		return attack_blocked("cannot be copied: %s", strerrorname_np(errno));
	return run("pub/ld", denied(), "6", NULL);
}

static int script(const char *path, const char *text)
{
	unlink(path);
	return attack_spill(path, text) < 0 || chmod(path, 0755) < 0 ? -1 : 0;
}

static enum outcome script_of_denied(void)
{
	char text[PATH_MAX + 8];

	snprintf(text, sizeof(text), "#!%s 6\n", denied());
	if (script("pub/script", text) < 0)
		return attack_blocked("no script: %m");
	if (run("pub/script", NULL, NULL, NULL) == ESCAPED)
		return ESCAPED;
	return run("sh", "-c", "exec pub/script", NULL);
}

static enum outcome script_chain(void)
{
	char text[PATH_MAX + 8], cwd[PATH_MAX];

	snprintf(text, sizeof(text), "#!%s 6\n", denied());
	if (!getcwd(cwd, sizeof(cwd)) || script("pub/inner", text) < 0)
		return attack_blocked("no script: %m");
	snprintf(text, sizeof(text), "#!%.3000s/pub/inner\n", cwd);
	if (script("pub/outer", text) < 0)
		return attack_blocked("no script: %m");
	return run("pub/outer", NULL, NULL, NULL);
}

static enum outcome script_by_env(void)
{
	if (script("pub/byenv", "#!/usr/bin/env -S factor 6\n") < 0)
		return attack_blocked("no script: %m");
	return run("pub/byenv", NULL, NULL, NULL);
}

/* ---- descriptors ---- */

static enum outcome in_child(void (*fn)(int fd), int fd)
{
	char out[4096];
	size_t len = 0;
	ssize_t n;
	int p[2], status = -1;
	pid_t pid;

	if (pipe2(p, O_CLOEXEC) < 0)
		return attack_broken("pipe: %m");
	pid = fork();
	if (pid == 0) {
		dup2(p[1], 1);
		fn(fd);
		_exit(126);
	}
	close(p[1]);
	while (len < sizeof(out) - 1 && (n = read(p[0], out + len, sizeof(out) - 1 - len)) > 0)
		len += (size_t)n;
	out[len] = '\0';
	close(p[0]);
	waitpid(pid, &status, 0);
	return ran(out, status);
}

static void exec_fd(int fd)
{
	char path[64];

	syscall(SYS_execveat, fd, "", six, environ, AT_EMPTY_PATH);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	execv(path, six);
	snprintf(path, sizeof(path), "/dev/fd/%d", fd);
	execv(path, six);
	fexecve(fd, six, environ);
}

static enum outcome by_descriptor(void)
{
	int fd = open(denied(), O_RDONLY);

	if (fd < 0)
		fd = open(denied(), O_PATH);
	if (fd < 0)
		return attack_blocked("cannot be opened: %s", strerrorname_np(errno));
	return in_child(exec_fd, fd);
}

static enum outcome by_path_descriptor(void)
{
	int fd = open(denied(), O_PATH);

	return fd < 0 ? attack_blocked("%s", strerrorname_np(errno)) : in_child(exec_fd, fd);
}

/* AT_EMPTY_PATH with a path that is not empty: the path counts, not the descriptor */
static void exec_misleading(int fd)
{
	syscall(SYS_execveat, fd, denied(), six, environ, AT_EMPTY_PATH);
	syscall(SYS_execveat, fd, "factor", six, environ, AT_EMPTY_PATH);
	syscall(SYS_execveat, AT_FDCWD, denied(), six, environ, AT_SYMLINK_NOFOLLOW);
}

static enum outcome empty_path_flag(void)
{
	if (in_child(exec_misleading, open("/usr/bin/env", O_RDONLY)) == ESCAPED)
		return ESCAPED;
	return in_child(exec_misleading, open("/usr/bin", O_RDONLY | O_DIRECTORY));
}

static enum outcome directory_relative(void)
{
	if (chdir("/usr/bin") < 0)
		return attack_broken("chdir: %m");
	return run("./factor", "6", NULL, NULL);
}

static int memory_file(void)
{
	struct stat st;
	int in = open(denied(), O_RDONLY | O_CLOEXEC);
	int fd = (int)syscall(SYS_memfd_create, "x", 0);

	if (fd < 0 || in < 0 || fstat(in, &st) < 0)
		return -1;
	return sendfile(fd, in, NULL, (size_t)st.st_size) == st.st_size ? fd : -1;
}

static enum outcome memory_exec(void)
{
	int fd = memory_file();

	if (fd < 0)
		return attack_blocked("no file in memory: %s", strerrorname_np(errno));
	return in_child(exec_fd, fd);
}

static enum outcome memory_exec_harmless(void)
{
	int fd = (int)syscall(SYS_memfd_create, "x", 0), in = open("bin/hello", O_RDONLY | O_CLOEXEC);
	char buf[65536];
	ssize_t n;

	if (fd < 0)
		return attack_blocked("memfd_create: %s", strerrorname_np(errno));
	if (in < 0)
		return attack_broken("bin/hello: %m");
	while ((n = read(in, buf, sizeof(buf))) > 0)
		(void)!write(fd, buf, (size_t)n);
	if (in_child(exec_fd, fd) == ESCAPED)
		return attack_escaped("a program that no file holds ran");
	return attack_blocked("memfd did not run");
}

static enum outcome deleted_exec(void)
{
	int fd;

	if (copy(denied(), "pub/gone") < 0)
		return attack_blocked("cannot be copied: %s", strerrorname_np(errno));
	fd = open("pub/gone", O_RDONLY);
	unlink("pub/gone");
	return in_child(exec_fd, fd);
}

static enum outcome unnamed_exec(void)
{
	struct stat st;
	int in = open(denied(), O_RDONLY | O_CLOEXEC);
	int fd = open("/tmp", O_TMPFILE | O_RDWR, 0755);
	char link[64];
	int ro;

	if (fd < 0 || in < 0 || fstat(in, &st) < 0 || sendfile(fd, in, NULL, (size_t)st.st_size) < 0)
		return attack_blocked("no unnamed file: %s", strerrorname_np(errno));
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ro = open(link, O_RDONLY);
	close(fd);
	return in_child(exec_fd, ro);
}

/* ---- privilege by exec ---- */

static enum outcome setuid_programs(void)
{
	static const char *const ways[][4] = {
		{"sudo", "-n", "id", "-u"}, {"su", "-c", "id -u"}, {"pkexec", "id", "-u"},
		{"newuidmap", "1", "0", "0"}, {"mount", "/dev/vda", "/tmp"}};
	char out[4096];

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		const char *argv[] = {ways[i][0], ways[i][1], ways[i][2], ways[i][3], NULL};
		int st = attack_capture(out, sizeof(out), argv);

		if (WIFEXITED(st) && WEXITSTATUS(st) == 0)
			return attack_escaped("%s succeeded", ways[i][0]);
	}
	return attack_blocked("%zu programs", sizeof(ways) / sizeof(ways[0]));
}

/* a setuid bit that a program of the workspace already has must not count either */
static enum outcome suid_in_workspace(void)
{
	char out[4096];
	const char *argv[] = {"bin/setuid-id", NULL};
	int st = attack_capture(out, sizeof(out), argv);
	int euid = -1;

	if (sscanf(out, "euid %d", &euid) != 1)
		return attack_blocked("did not run (status %d)", st >> 8);
	if ((uid_t)euid != getuid())
		return attack_escaped("euid %d", euid);
	return attack_blocked("euid unchanged");
}

static const struct attack cases[] = {
	CASE("denied-program", "did not run", plain),
	CASE("denied-errno", "EACCES", errno_of_denial),
	CASE("denied-by-path", "did not run", victim),
	CASE("denied-through-others", "did not run", through_others),
	CASE("denied-copied", "did not run", copied),
	CASE("denied-copied-to-tmp", "did not run", copied_to_tmp),
	CASE("denied-copied-to-shm", "did not run", copied_to_shm),
	CASE("denied-symlinked", "did not run", symlinked),
	CASE("denied-hardlinked", "did not run", hardlinked),
	CASE("denied-renamed", "did not run", renamed),
	CASE("denied-spelled", "did not run", spelled),
	CASE("allowed-name-in-workspace", "did not run", name_in_workspace),
	CASE("other-argv0", "did not run", other_argv0),
	CASE("by-loader", "did not run", by_loader),
	CASE("by-copied-loader", "did not run", by_copied_loader),
	CASE("script-interpreter", "did not run", script_of_denied),
	CASE("script-chain", "did not run", script_chain),
	CASE("script-env-S", "did not run", script_by_env),
	CASE("fexecve", "did not run", by_descriptor),
	CASE("fexecve-O_PATH", "did not run", by_path_descriptor),
	CASE("execveat-empty-path-flag", "did not run", empty_path_flag),
	CASE("relative-after-chdir", "did not run", directory_relative),
	CASE("memfd-denied", "did not run", memory_exec),
	CASE("memfd-any", "did not run", memory_exec_harmless),
	CASE("deleted-file", "did not run", deleted_exec),
	CASE("unnamed-file", "did not run", unnamed_exec),
	CASE("setuid-programs", "refused", setuid_programs),
	CASE("setuid-in-workspace", "no privilege", suid_in_workspace),
};

ATTACK_MAIN(cases)
