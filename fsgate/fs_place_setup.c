#include "fsgate/fs_place_setup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/auto.h"
#include "common/str.h"

int fs_place_root(int mount, const struct fs_setup_args *args, struct err *e)
{
	autoclose int at = open(args->at, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (at < 0)
		return err_set(e, errno, "the mount point %s", args->at);
	if (move_mount(mount, "", at, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return err_set(e, errno, "mount at %s", args->at);
	return 0;
}

/* fuse.conf(5) as fusermount3 reads it: a line of its own. */
static bool others_allowed(void)
{
	autofclose FILE *f = fopen("/etc/fuse.conf", "re");
	char line[256];

	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, " \t\r\n")] = '\0';
		if (strcmp(line, "user_allow_other") == 0)
			return true;
	}
	return false;
}

static void run_helper(const struct fs_setup_args *args, int sock, int errors)
{
	char fd[16], options[256], program[] = "fusermount3", o[] = "-o", end[] = "--";
	char *at = strdup(args->at);
	char *const argv[] = {program, o, options, end, at, NULL};

	snprintf(fd, sizeof(fd), "%d", sock);
	snprintf(options, sizeof(options),
		 "%s,nosuid,nodev,default_permissions,fsname=%s,subtype=agentsh%s",
		 args->read_only ? "ro" : "rw", args->source, others_allowed() ? ",allow_other" : "");
	if (fcntl(sock, F_SETFD, 0) == 0 && dup2(errors, STDERR_FILENO) >= 0 &&
	    setenv("_FUSE_COMMFD", fd, 1) == 0)
		execvp(program, argv);
	if (errno == ENOENT)
		dprintf(STDERR_FILENO, "fusermount3 is not installed: apt install fuse3");
	_exit(1);
}

/* One byte with the descriptor; end of file when the helper failed. */
static int take_dev(int sock)
{
	char byte;
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = {&byte, 1};
	struct msghdr m = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *c;
	ssize_t n;
	int fd = -1;

	do
		n = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	c = n > 0 ? CMSG_FIRSTHDR(&m) : NULL;
	if (c && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

/* What the helper wrote to its standard error, on one line. */
static int said(int errors, const struct fs_setup_args *args, struct err *e)
{
	char text[512], clean[512];
	ssize_t n = read(errors, text, sizeof(text) - 1);
	struct str s;

	while (n > 0 && text[n - 1] == '\n')
		n--;
	str_init(&s, clean, sizeof(clean));
	str_add_escaped(&s, text, n > 0 ? (size_t)n : 0);
	return err_say(e, EPERM, "mount at %s: %s", args->at,
		       n > 0 ? clean : "fusermount3 failed: is it set-uid root?");
}

int fs_place_user(const struct fs_setup_args *args, struct err *e)
{
	int socks[2], errors[2], dev;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, socks) < 0)
		return err_set(e, errno, "socket pair");
	if (pipe2(errors, O_CLOEXEC) < 0) {
		int code = errno;

		close(socks[0]);
		close(socks[1]);
		return err_set(e, code, "pipe");
	}
	pid = fork();
	if (pid == 0)
		run_helper(args, socks[1], errors[1]);
	close(socks[1]);
	close(errors[1]);
	dev = pid < 0 ? -1 : take_dev(socks[0]);
	if (dev < 0)
		dev = pid < 0 ? err_set(e, errno, "fork") : said(errors[0], args, e);
	close(socks[0]);
	close(errors[0]);
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return dev;
}
