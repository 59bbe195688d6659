/* Each case runs in a child that confines itself as the gate does, and then tries something. */
#include "fsgate/fs_confine_setup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/sys.h"
#include "tests/unit/unit.h"

#define KEEP (1ull << CAP_DAC_OVERRIDE | 1ull << CAP_FOWNER)
#define KILLED 1000
#define NOT_CONFINED 77

static char dir[64];
static struct fs fs;

static int put(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static int get(const char *path)
{
	char c;
	int fd = open(path, O_RDONLY);

	if (fd < 0)
		return errno;
	c = read(fd, &c, 1) < 0 ? (char)errno : 0;
	close(fd);
	return c;
}

/* What fn returns (0, an errno) after the confinement, KILLED by SIGSYS, or another ending. */
static int after(int (*fn)(void))
{
	struct err e = ERR_INIT;
	int status;
	pid_t pid = fork();

	CU_ASSERT_FATAL(pid >= 0);
	if (pid == 0) {
		if (fs_confine(&fs, KEEP, &e) < 0) {
			fprintf(stderr, "# %s\n", e.text);
			_exit(NOT_CONFINED);
		}
		_exit(fn());
	}
	CU_ASSERT_EQUAL_FATAL(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status))
		return WTERMSIG(status) == SIGSYS ? KILLED : -WTERMSIG(status);
	return WEXITSTATUS(status);
}

static void open_rig(void)
{
	char in[96];

	strcpy(dir, "/tmp/fs-confine.XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	CU_ASSERT_EQUAL_FATAL(chdir(dir), 0);
	CU_ASSERT_EQUAL(mkdir("in", 0700) | mkdir("in/sub", 0700) | mkdir("out", 0700), 0);
	CU_ASSERT_EQUAL(put("in/file") | put("out/secret") | put("out/shown"), 0);
	CU_ASSERT_EQUAL_FATAL(fs_tree_new(&fs.tree, 16), 0);
	snprintf(in, sizeof(in), "%s/in", dir);
	CU_ASSERT_EQUAL_FATAL(fs_tree_add_root(fs.tree, "r0", "/ws", open(in, O_PATH | O_CLOEXEC)),
			      0);
	fs.overrides = calloc(1, sizeof(*fs.overrides));
	CU_ASSERT_PTR_NOT_NULL_FATAL(fs.overrides);
	fs.overrides[0].path = dir;
	fs.overrides[0].fd = open("out/shown", O_PATH | O_CLOEXEC);
	fs.n_overrides = 1;
}

static void close_rig(void)
{
	char cmd[96];

	close(fs.overrides[0].fd);
	free(fs.overrides);
	fs_tree_free(fs.tree);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	CU_ASSERT_EQUAL(chdir("/") | system(cmd), 0);
}

/* ---- files ---- */

static int use_inside(void)
{
	char path[40];
	int fd = open("in/file", O_PATH), r;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	r = get("in/file") | get(path) | put("in/new") | get("/proc/self/status");
	r |= rename("in/new", "in/sub/moved") | link("in/file", "in/sub/linked");
	return r | unlink("in/sub/moved") | unlink("in/sub/linked") | truncate("in/file", 3);
}

/* A build with sanitizers must be able to read its own symbols: there it reads anything. */
static int read_outside(void)
{
#ifdef AGENTSH_SANITIZED
	return EACCES;
#else
	return get("out/secret");
#endif
}

static int read_override(void)
{
	return get("out/shown");
}

static int write_override(void)
{
	return put("out/shown");
}

static int write_outside(void)
{
	return put("out/secret");
}

static int make_outside(void)
{
	return put("out/new");
}

static int unlink_outside(void)
{
	return unlink("out/secret") < 0 ? errno : 0;
}

static int move_out(void)
{
	return rename("in/file", "out/file") < 0 ? errno : 0;
}

static int link_in(void)
{
	return link("out/secret", "in/secret") < 0 ? errno : 0;
}

static int device(void)
{
	return mknod("in/null", S_IFCHR | 0666, 0x103) < 0 ? errno : 0;
}

static void test_files(void)
{
	open_rig();
	CU_ASSERT_EQUAL(after(use_inside), 0);
	CU_ASSERT_EQUAL(after(read_override), 0);
	if (sys_landlock_abi() >= 2) {
		CU_ASSERT_EQUAL(after(read_outside), EACCES);
		CU_ASSERT_EQUAL(after(write_override), EACCES);
		CU_ASSERT_EQUAL(after(write_outside), EACCES);
		CU_ASSERT_EQUAL(after(make_outside), EACCES);
		CU_ASSERT_EQUAL(after(unlink_outside), EACCES);
		CU_ASSERT_EQUAL(after(move_out), EACCES);
		CU_ASSERT_NOT_EQUAL(after(link_in), 0);
	}
	CU_ASSERT_NOT_EQUAL(after(device), 0);
	close_rig();
}

/* ---- system calls ---- */

static int do_exec(void)
{
	char *const argv[] = {(char[]){"true"}, NULL};

	execv("/bin/true", argv);
	return errno;
}

static int do_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0) < 0 ? errno : 0;
}

static int do_ptrace(void)
{
	return ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0 ? errno : 0;
}

static int do_fork(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return pid < 0 ? errno : 0;
}

static int do_mount(void)
{
	return mount("none", "/tmp", "tmpfs", 0, NULL) < 0 ? errno : 0;
}

static int do_setuid(void)
{
	return syscall(SYS_setuid, 0) < 0 ? errno : 0;
}

static int do_ring(void)
{
	return syscall(SYS_io_uring_setup, 1, NULL) < 0 ? errno : 0;
}

static int do_handle(void)
{
	return syscall(SYS_open_by_handle_at, -1, NULL, 0) < 0 ? errno : 0;
}

static int do_kill(void)
{
	return kill(getppid(), 0) < 0 ? errno : 0;
}

static int do_unshare(void)
{
	return unshare(CLONE_NEWUSER) < 0 ? errno : 0;
}

static int do_dumpable(void)
{
	return prctl(PR_SET_DUMPABLE, 1) < 0 ? errno : 0;
}

static int do_unknown(void)
{
	return setpriority(PRIO_PROCESS, 0, 5) < 0 ? errno : 0;
}

static void *in_thread(void *arg)
{
	(void)arg;
	if (unshare(CLONE_FS) < 0)
		return NULL;
	umask(022);
	return put("in/by-thread") ? NULL : dir;
}

static int do_thread(void)
{
	void *r = NULL;
	pthread_t t;

	if (pthread_create(&t, NULL, in_thread, NULL) != 0)
		return EAGAIN;
	pthread_join(t, &r);
	return r ? unlink("in/by-thread") : EIO;
}

static void test_calls(void)
{
	static int (*const fatal[])(void) = {do_exec,  do_socket, do_ptrace, do_fork,  do_mount,
					     do_setuid, do_ring,  do_handle, do_kill};

	open_rig();
	for (size_t i = 0; i < ARRAY_LEN(fatal); i++)
		CU_ASSERT_EQUAL(after(fatal[i]), KILLED);
	CU_ASSERT_EQUAL(after(do_unshare), EPERM);
	CU_ASSERT_EQUAL(after(do_dumpable), EPERM);
	CU_ASSERT_EQUAL(after(do_unknown), EPERM);
	CU_ASSERT_EQUAL(after(do_thread), 0);
	close_rig();
}

/* ---- what it says of itself ---- */

static int check_status(void)
{
	char text[4096], want[64];
	int fd = open("/proc/self/status", O_RDONLY);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	if (n <= 0)
		return EIO;
	text[n] = '\0';
	snprintf(want, sizeof(want), "\nCapEff:\t%016llx\n",
		 geteuid() == 0 ? (unsigned long long)KEEP : 0);
	if (!strstr(text, want) || !strstr(text, "\nCapInh:\t0000000000000000\n"))
		return 1;
	return !strstr(text, "\nNoNewPrivs:\t1\n") || !strstr(text, "\nSeccomp:\t2\n");
}

static void test_status(void)
{
	open_rig();
	CU_ASSERT_EQUAL(after(check_status), 0);
	close_rig();
}

static const struct unit_case cases[] = {
	{"files: the governed trees, overrides to read, nothing else", test_files},
	{"system calls that end the process, fail, or work", test_calls},
	{"capabilities, no_new_privs, seccomp", test_status},
};

UNIT_MAIN("fs_confine", cases)
