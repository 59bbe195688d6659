/*
 * files.c - reach a file that the policy keeps from the agent, by other names and other ways
 *
 * Expected: every case is refused. The workspace (the current directory) holds pub/ (free),
 * priv/secret.txt and vault/secret.txt (every operation denied), protected/keep.txt (readable, every
 * change denied) and a git repository, whose hooks the pack protects. The secret also lies outside,
 * in ~/.ssh/id_rsa.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/attack/attack.h"

#define SECRET "priv/secret.txt"
#define KEEP "protected/keep.txt"
#define HOOK ".git/hooks/pre-commit"

static const char *key_file(void)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/.ssh/id_rsa", attack_conf("home"));
	return path;
}

/* ---- reading what may not be read ---- */

static enum outcome read_key(void)
{
	return attack_read_secret(key_file());
}

static enum outcome read_denied(void)
{
	return attack_read_secret(SECRET);
}

static enum outcome read_outside(void)
{
	return attack_read_secret(attack_conf("outside_file"));
}

static enum outcome read_shadow(void)
{
	char buf[4096];
	ssize_t n = attack_slurp("/etc/shadow", buf, sizeof(buf));

	if (n < 0)
		return attack_blocked("%s", strerrorname_np((int)-n));
	if (strstr(buf, "root:"))
		return attack_escaped("read %zd bytes of /etc/shadow", n);
	return attack_blocked("%zd bytes that hold no account", n);
}

static enum outcome symlink_to(const char *link, const char *target)
{
	unlink(link);
	if (symlink(target, link) < 0)
		return attack_blocked("symlink: %s", strerrorname_np(errno));
	return attack_read_secret(link);
}

static enum outcome symlink_to_key(void)
{
	return symlink_to("pub/key", key_file());
}

static enum outcome symlink_to_denied(void)
{
	return symlink_to("pub/relative", "../priv/secret.txt");
}

static enum outcome symlink_chain(void)
{
	unlink("pub/c1");
	unlink("pub/c2");
	if (symlink("c2", "pub/c1") < 0 || symlink("../priv", "pub/c2") < 0)
		return attack_blocked("symlink: %s", strerrorname_np(errno));
	return attack_read_secret("pub/c1/secret.txt");
}

static enum outcome first_escape(const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (attack_read_secret(names[i]) == ESCAPED)
			return attack_escaped("read by %s", names[i]);
	return attack_blocked("%zu spellings", n);
}

static enum outcome spellings(void)
{
	char abs[6][PATH_MAX * 2], cwd[PATH_MAX - 64];
	const char *names[] = {
		"./priv/secret.txt", "priv//secret.txt", "priv/./secret.txt",
		"pub/../priv/secret.txt", "pub/../pub/..//priv/../priv/secret.txt",
		"priv/../priv/secret.txt", abs[0], abs[1], abs[2], abs[3], abs[4], abs[5]};

	if (!getcwd(cwd, sizeof(cwd)))
		return attack_broken("getcwd: %m");
	snprintf(abs[0], sizeof(abs[0]), "%s/priv/secret.txt", cwd);
	snprintf(abs[1], sizeof(abs[1]), "/proc/self/cwd/priv/secret.txt");
	snprintf(abs[2], sizeof(abs[2]), "/proc/self/root%s/priv/secret.txt", cwd);
	snprintf(abs[3], sizeof(abs[3]), "/../../../..%s//priv/secret.txt", cwd);
	snprintf(abs[4], sizeof(abs[4]), "/proc/thread-self/cwd/priv/secret.txt");
	snprintf(abs[5], sizeof(abs[5]), "/proc/%d/root/proc/self/cwd/priv/secret.txt", getpid());
	return first_escape(names, sizeof(names) / sizeof(names[0]));
}

/* an O_PATH descriptor may be had for what cannot be opened: reopening it must be judged again */
static enum outcome reopen_path_fd(void)
{
	char link[64];
	int fd = open(SECRET, O_PATH | O_CLOEXEC);

	if (fd < 0)
		return attack_blocked("O_PATH: %s", strerrorname_np(errno));
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	return attack_read_secret(link);
}

static enum outcome openat_directory(void)
{
	char buf[256];
	ssize_t n;
	int dir = open("priv", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd = dir < 0 ? -1 : openat(dir, "secret.txt", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return attack_blocked("openat: %s", strerrorname_np(errno));
	n = read(fd, buf, sizeof(buf));
	return n > 0 ? attack_escaped("read %zd bytes", n) : attack_blocked("read: %m");
}

static enum outcome chdir_then_read(void)
{
	if (chdir("priv") < 0)
		return attack_blocked("chdir: %s", strerrorname_np(errno));
	if (access("../outside.conf", R_OK) < 0)
		return attack_broken("lost the way");
	char buf[256];
	ssize_t n = attack_slurp("secret.txt", buf, sizeof(buf));

	return n > 0 ? attack_escaped("read %zd bytes", n) :
		       attack_blocked("%s", strerrorname_np((int)-n));
}

static enum outcome write_denied_open(void)
{
	int fd = open(SECRET, O_WRONLY | O_CLOEXEC);

	return attack_must_fail("open for writing", fd);
}

static enum outcome list_denied(void)
{
	DIR *d = opendir("priv");
	struct dirent *e;

	if (!d)
		return attack_blocked("opendir: %s", strerrorname_np(errno));
	while ((e = readdir(d)))
		if (strcmp(e->d_name, "secret.txt") == 0)
			return attack_escaped("listed secret.txt");
	return attack_blocked("not listed");
}

/* ---- other processes' roots ---- */

/* the planted file outside, by what /proc shows of each process: root, or cwd and up */
static enum outcome each_process(const char *link)
{
	char path[PATH_MAX * 2];
	struct dirent *e;
	DIR *d = opendir("/proc");
	unsigned n = 0;

	if (!d)
		return attack_blocked("no /proc");
	while ((e = readdir(d))) {
		if (e->d_name[0] < '0' || e->d_name[0] > '9')
			continue;
		n++;
		snprintf(path, sizeof(path), "/proc/%s/%s%s", e->d_name, link,
			 attack_conf("outside_file"));
		if (attack_read_secret(path) == ESCAPED) {
			closedir(d);
			return ESCAPED;
		}
	}
	closedir(d);
	return attack_blocked("%u processes", n);
}

static enum outcome proc_roots(void)
{
	return each_process("root");
}

static enum outcome proc_cwds(void)
{
	return each_process("cwd/../../../../../../../..");
}

static enum outcome proc_environ(void)
{
	char path[64], buf[65536];
	const char *token = attack_conf("token");

	for (int pid = 1; pid < 2000; pid++) {
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/%d/environ", pid);
		n = attack_slurp(path, buf, sizeof(buf));
		if (n > 0 && memmem(buf, (size_t)n, token, strlen(token)))
			return attack_escaped("the host's environment in %s", path);
	}
	return attack_blocked("no environment holds the token");
}

static enum outcome init_memory(void)
{
	char path[] = "/proc/1/mem";
	int fd = open(path, O_RDWR | O_CLOEXEC);

	return attack_must_fail("open /proc/1/mem", fd);
}

static enum outcome init_descriptors(void)
{
	char path[64], target[PATH_MAX];

	for (int fd = 0; fd < 64; fd++) {
		int got;

		snprintf(path, sizeof(path), "/proc/1/fd/%d", fd);
		if (readlink(path, target, sizeof(target)) < 0)
			continue;
		got = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
		if (got >= 0 && fd > 2)
			return attack_escaped("opened %s", path);
	}
	return attack_blocked("none of them opens");
}

static enum outcome init_map_files(void)
{
	DIR *d = opendir("/proc/1/map_files");

	if (!d)
		return attack_blocked("%s", strerrorname_np(errno));
	return attack_must_fail("list /proc/1/map_files", readdir(d) && readdir(d) && readdir(d) ? 0 : -1);
}

/* ---- file handles ---- */

static int open_handle(const char *mount, unsigned char *bytes, unsigned len, int type)
{
	struct {
		struct file_handle h;
		unsigned char space[128];
	} u = {.h = {.handle_bytes = len, .handle_type = type}};
	int mfd = open(mount, O_RDONLY | O_CLOEXEC), fd;

	memcpy(u.h.f_handle, bytes, len);
	fd = open_by_handle_at(mfd < 0 ? AT_FDCWD : mfd, &u.h, O_RDONLY | O_CLOEXEC);
	close(mfd);
	return fd;
}

/* inode 2 is the root of ext4, 128 of xfs, 256 of btrfs: what the shocker program did to Docker */
static enum outcome file_handles(void)
{
	static const unsigned inodes[] = {2, 128, 256, 1};
	static const char *const mounts[] = {".", "/", "/etc/hosts", "/usr", "/tmp"};

	for (size_t m = 0; m < sizeof(mounts) / sizeof(mounts[0]); m++)
		for (size_t i = 0; i < sizeof(inodes) / sizeof(inodes[0]); i++) {
			unsigned char bytes[8] = {(unsigned char)inodes[i], (unsigned char)(inodes[i] >> 8)};

			if (open_handle(mounts[m], bytes, 8, 1) >= 0)
				return attack_escaped("inode %u of %s", inodes[i], mounts[m]);
		}
	return attack_must_fail("open_by_handle_at", -1);
}

/* ---- links and renames into protected names ---- */

static enum outcome link_denied(void)
{
	unlink("pub/linked");
	if (link(SECRET, "pub/linked") < 0)
		return attack_blocked("link: %s", strerrorname_np(errno));
	return attack_read_secret("pub/linked") == ESCAPED ?
		       ESCAPED :
		       attack_escaped("a denied file got the name pub/linked");
}

static enum outcome rename_denied_out(void)
{
	return attack_must_fail("rename", rename(SECRET, "pub/renamed"));
}

/* the rule says vault/(all), which does not name vault itself: it must not move from under the rule */
static enum outcome rename_denied_parent(void)
{
	if (rename("vault", "pub/moved") < 0)
		return attack_blocked("rename: %s", strerrorname_np(errno));
	if (attack_read_secret("pub/moved/secret.txt") == ESCAPED)
		return ESCAPED;
	rename("pub/moved", "vault");
	return attack_escaped("moved the directory of a denied file");
}

static enum outcome exchange_denied_parent(void)
{
	mkdir("pub/swap", 0755);
	if (renameat2(AT_FDCWD, "vault", AT_FDCWD, "pub/swap", RENAME_EXCHANGE) < 0)
		return attack_blocked("renameat2: %s", strerrorname_np(errno));
	if (attack_read_secret("pub/swap/secret.txt") == ESCAPED)
		return ESCAPED;
	renameat2(AT_FDCWD, "vault", AT_FDCWD, "pub/swap", RENAME_EXCHANGE);
	return attack_escaped("exchanged the directory of a denied file");
}

static enum outcome rename_onto_keep(void)
{
	attack_spill("pub/evil", "evil\n");
	return attack_must_fail("rename", rename("pub/evil", KEEP));
}

static enum outcome exchange_with_keep(void)
{
	attack_spill("pub/evil", "evil\n");
	return attack_must_fail("renameat2",
				renameat2(AT_FDCWD, "pub/evil", AT_FDCWD, KEEP, RENAME_EXCHANGE));
}

static enum outcome change_keep(void)
{
	int fd = open(KEEP, O_WRONLY | O_CLOEXEC);

	if (fd >= 0)
		return attack_escaped("open for writing");
	if (truncate(KEEP, 0) == 0)
		return attack_escaped("truncate");
	if (unlink(KEEP) == 0)
		return attack_escaped("unlink");
	if (chmod(KEEP, 0777) == 0)
		return attack_escaped("chmod");
	if (utimensat(AT_FDCWD, KEEP, NULL, 0) == 0)
		return attack_escaped("utimensat");
	if (setxattr(KEEP, "user.x", "1", 1, 0) == 0)
		return attack_escaped("setxattr");
	return attack_must_fail("O_TRUNC", open(KEEP, O_RDONLY | O_TRUNC | O_CLOEXEC));
}

static enum outcome write_by_readonly_fd(void)
{
	char link[64];
	int fd = open(KEEP, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return attack_broken("reading %s: %m", KEEP);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (fchmod(fd, 0777) == 0)
		return attack_escaped("fchmod");
	if (ftruncate(fd, 0) == 0)
		return attack_escaped("ftruncate");
	if (mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED)
		return attack_escaped("mmap shared for writing");
	return attack_must_fail("reopen for writing", open(link, O_WRONLY | O_CLOEXEC));
}

static enum outcome link_keep_then_write(void)
{
	unlink("pub/keep");
	if (link(KEEP, "pub/keep") < 0)
		return attack_blocked("link: %s", strerrorname_np(errno));
	return attack_must_fail("open by another name", open("pub/keep", O_WRONLY | O_CLOEXEC));
}

static enum outcome link_descriptor(const char *onto)
{
	char link[64];
	int fd = open("pub", O_TMPFILE | O_RDWR | O_CLOEXEC, 0755);

	if (fd < 0)
		return attack_blocked("O_TMPFILE: %s", strerrorname_np(errno));
	(void)!write(fd, "evil\n", 5);
	unlink(onto);
	if (linkat(fd, "", AT_FDCWD, onto, AT_EMPTY_PATH) == 0)
		return attack_escaped("linkat AT_EMPTY_PATH");
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	return attack_must_fail("linkat of a descriptor",
				linkat(AT_FDCWD, link, AT_FDCWD, onto, AT_SYMLINK_FOLLOW));
}

static enum outcome link_tmpfile_protected(void)
{
	return link_descriptor("protected/new");
}

static enum outcome link_tmpfile_hook(void)
{
	return link_descriptor(HOOK);
}

static enum outcome link_path_fd(void)
{
	int fd = open(SECRET, O_PATH | O_CLOEXEC);

	if (fd < 0)
		return attack_blocked("O_PATH: %s", strerrorname_np(errno));
	return attack_must_fail("linkat", linkat(fd, "", AT_FDCWD, "pub/got", AT_EMPTY_PATH));
}

static enum outcome create_in_protected(void)
{
	if (mkdir("protected/dir", 0755) == 0)
		return attack_escaped("mkdir");
	if (symlink("x", "protected/link") == 0)
		return attack_escaped("symlink");
	if (mkfifo("protected/fifo", 0644) == 0)
		return attack_escaped("mkfifo");
	return attack_must_fail("create", open("protected/new", O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
}

static enum outcome write_through_symlink(void)
{
	unlink("pub/ln");
	if (symlink("../protected/made-by-link", "pub/ln") < 0)
		return attack_blocked("symlink: %s", strerrorname_np(errno));
	return attack_must_fail("create through a dangling link",
				open("pub/ln", O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
}

static enum outcome move_protected_tree(void)
{
	return attack_must_fail("rename", rename("protected", "pub/protected"));
}

/* ---- traps for the next program that runs on the host ---- */

static enum outcome create_hook(void)
{
	int r = attack_spill(HOOK, "#!/bin/sh\n");

	return r < 0 ? attack_blocked("%s", strerrorname_np(-r)) : attack_escaped("wrote " HOOK);
}

static enum outcome rename_onto_hook(void)
{
	attack_spill("pub/evil", "#!/bin/sh\n");
	return attack_must_fail("rename", rename("pub/evil", HOOK));
}

/* put a whole .git with a hook into the place of the real one */
static enum outcome replace_git(void)
{
	mkdir("pub/evilgit", 0755);
	mkdir("pub/evilgit/hooks", 0755);
	attack_spill("pub/evilgit/hooks/pre-commit", "#!/bin/sh\n");
	if (rename(".git", "pub/oldgit") == 0) {
		if (rename("pub/evilgit", ".git") == 0 && access(HOOK, F_OK) == 0) {
			rename(".git", "pub/evilgit");
			rename("pub/oldgit", ".git");
			return attack_escaped("exchanged .git by two renames");
		}
		rename("pub/oldgit", ".git");
	}
	return attack_must_fail("renameat2", renameat2(AT_FDCWD, "pub/evilgit", AT_FDCWD, ".git",
						       RENAME_EXCHANGE));
}

static enum outcome replace_hooks(void)
{
	mkdir("pub/hooks", 0755);
	attack_spill("pub/hooks/pre-commit", "#!/bin/sh\n");
	if (rename(".git/hooks", ".git/hooks-old") == 0 || rmdir(".git/hooks") == 0)
		if (rename("pub/hooks", ".git/hooks") == 0)
			return attack_escaped("another directory became .git/hooks");
	return attack_must_fail("renameat2", renameat2(AT_FDCWD, "pub/hooks", AT_FDCWD, ".git/hooks",
						       RENAME_EXCHANGE));
}

/* with this file git would take hooks and configuration from where it says */
static enum outcome git_common_directory(void)
{
	static const char *const names[] = {".git/commondir", ".git/modules/x/commondir"};

	mkdir(".git/modules", 0755);
	mkdir(".git/modules/x", 0755);
	attack_spill("pub/elsewhere", "../pub\n");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (attack_spill(names[i], "../pub\n") == 0 || rename("pub/elsewhere", names[i]) == 0 ||
		    link("pub/elsewhere", names[i]) == 0 || symlink("../pub/elsewhere", names[i]) == 0) {
			unlink(names[i]);
			return attack_escaped("made %s", names[i]);
		}
	return attack_blocked("%zu names", sizeof(names) / sizeof(names[0]));
}

static enum outcome traps(void)
{
	static const char *const names[] = {".claude/settings.json", ".vscode/tasks.json", ".envrc",
					    ".mcp.json"};

	mkdir(".claude", 0755);
	mkdir(".vscode", 0755);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (attack_spill(names[i], "{}\n") == 0) {
			unlink(names[i]);
			return attack_escaped("wrote %s", names[i]);
		}
	return attack_blocked("%zu names", sizeof(names) / sizeof(names[0]));
}

static enum outcome shell_startup(void)
{
	static const char *const names[] = {".bashrc", ".profile", ".ssh/authorized_keys",
					    ".config/autostart/x.desktop"};
	char path[PATH_MAX + 64];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", attack_conf("home"), names[i]);
		attack_spill(path, "evil\n");
	}
	return attack_blocked("the runner looks whether they changed");
}

static const struct attack cases[] = {
	CASE("read-ssh-key", "not there", read_key),
	CASE("read-denied-file", "EACCES", read_denied),
	CASE("read-outside-file", "not there", read_outside),
	CASE("read-etc-shadow", "refused", read_shadow),
	CASE("symlink-to-ssh-key", "not there", symlink_to_key),
	CASE("symlink-to-denied", "EACCES", symlink_to_denied),
	CASE("symlink-chain", "EACCES", symlink_chain),
	CASE("path-spellings", "EACCES for each", spellings),
	CASE("reopen-O_PATH", "EACCES", reopen_path_fd),
	CASE("openat-denied-dir", "EACCES", openat_directory),
	CASE("chdir-denied-dir", "EACCES", chdir_then_read),
	CASE("write-denied-file", "EACCES", write_denied_open),
	CASE("list-denied-dir", "EACCES", list_denied),
	CASE("proc-root-of-others", "not there", proc_roots),
	CASE("proc-cwd-of-others", "not there", proc_cwds),
	CASE("proc-environ-secrets", "no host environment", proc_environ),
	CASE("proc-1-mem", "EACCES", init_memory),
	CASE("proc-1-fd", "EACCES", init_descriptors),
	CASE("proc-1-map_files", "EACCES", init_map_files),
	CASE("open_by_handle_at", "EPERM", file_handles),
	CASE("hardlink-denied", "EACCES", link_denied),
	CASE("rename-denied-out", "EACCES", rename_denied_out),
	CASE("rename-denied-parent", "EACCES", rename_denied_parent),
	CASE("exchange-denied-parent", "EACCES", exchange_denied_parent),
	CASE("rename-onto-protected", "EACCES", rename_onto_keep),
	CASE("exchange-with-protected", "EACCES", exchange_with_keep),
	CASE("change-protected", "EACCES for each", change_keep),
	CASE("write-by-readonly-fd", "EACCES", write_by_readonly_fd),
	CASE("hardlink-then-write", "EACCES", link_keep_then_write),
	CASE("tmpfile-linkat-protected", "EACCES", link_tmpfile_protected),
	CASE("tmpfile-linkat-hook", "EACCES", link_tmpfile_hook),
	CASE("linkat-O_PATH-denied", "EACCES", link_path_fd),
	CASE("create-in-protected", "EACCES for each", create_in_protected),
	CASE("create-through-dangling-link", "EACCES", write_through_symlink),
	CASE("move-protected-tree", "EACCES", move_protected_tree),
	CASE("create-git-hook", "EACCES", create_hook),
	CASE("rename-onto-git-hook", "EACCES", rename_onto_hook),
	CASE("replace-dot-git", "EACCES", replace_git),
	CASE("replace-git-hooks-dir", "EACCES", replace_hooks),
	CASE("git-commondir", "EACCES for each", git_common_directory),
	CASE("next-run-traps", "EACCES for each", traps),
	CASE("shell-startup-files", "the host's unchanged", shell_startup),
};

ATTACK_MAIN(cases)
