#include "common/ipc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/auto.h"

struct header {
	uint16_t version;
	uint16_t type;
	uint32_t len;
	uint32_t id;
};

#define IPC_VERSION 1

int ipc_pair(int fds[2])
{
	int size = IPC_BODY_MAX * 2;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	for (int i = 0; i < 2; i++)
		setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	return 0;
}

void ipc_begin(struct ipc_msg *m, uint16_t type, uint32_t id)
{
	m->type = type;
	m->id = id;
	m->len = 0;
	m->pos = 0;
	m->bad = false;
	m->n_fds = 0;
}

static void put(struct ipc_msg *m, const void *p, size_t len)
{
	if (m->bad || len > sizeof(m->body) - m->len) {
		m->bad = true;
		return;
	}
	if (len)
		memcpy(m->body + m->len, p, len);
	m->len += len;
}

void ipc_put_u32(struct ipc_msg *m, uint32_t v)
{
	put(m, &v, sizeof(v));
}

void ipc_put_u64(struct ipc_msg *m, uint64_t v)
{
	put(m, &v, sizeof(v));
}

void ipc_put_mem(struct ipc_msg *m, const void *p, size_t len)
{
	if (len > UINT32_MAX) {
		m->bad = true;
		return;
	}
	ipc_put_u32(m, (uint32_t)len);
	put(m, p, len);
}

void ipc_put_str(struct ipc_msg *m, const char *s)
{
	ipc_put_mem(m, s, strlen(s) + 1);
}

void ipc_put_fd(struct ipc_msg *m, int fd)
{
	if (fd < 0 || m->n_fds == IPC_FDS_MAX) {
		m->bad = true;
		return;
	}
	m->fds[m->n_fds++] = fd;
}

union control {
	char buf[CMSG_SPACE(sizeof(int) * IPC_FDS_MAX)];
	struct cmsghdr align;
};

int ipc_send(int sock, const struct ipc_msg *m)
{
	struct header h = {IPC_VERSION, m->type, (uint32_t)m->len, m->id};
	struct iovec iov[2] = {{&h, sizeof(h)}, {(void *)(uintptr_t)m->body, m->len}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
	union control control;
	ssize_t n;

	if (m->bad)
		return -EMSGSIZE;
	if (m->n_fds) {
		struct cmsghdr *c;

		memset(&control, 0, sizeof(control));
		msg.msg_control = control.buf;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * m->n_fds);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * m->n_fds);
		memcpy(CMSG_DATA(c), m->fds, sizeof(int) * m->n_fds);
	}
	do
		n = sendmsg(sock, &msg, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

static void take_fds(struct ipc_msg *m, struct msghdr *msg)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t n;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (m->n_fds < IPC_FDS_MAX)
				m->fds[m->n_fds++] = fd;
			else
				close(fd);
		}
	}
}

int ipc_recv(int sock, struct ipc_msg *m)
{
	struct header h;
	struct iovec iov[2] = {{&h, sizeof(h)}, {m->body, sizeof(m->body)}};
	union control control;
	struct msghdr msg = {.msg_iov = iov,
			     .msg_iovlen = 2,
			     .msg_control = control.buf,
			     .msg_controllen = sizeof(control.buf)};
	ssize_t n;

	ipc_begin(m, 0, 0);
	do
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == ECONNRESET ? 0 : -errno;
	take_fds(m, &msg);
	if (n == 0)
		return 0;
	if ((size_t)n < sizeof(h) || h.version != IPC_VERSION || h.len > IPC_BODY_MAX ||
	    (size_t)n != sizeof(h) + h.len || (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
		ipc_drop(m);
		return -EBADMSG;
	}
	m->type = h.type;
	m->id = h.id;
	m->len = h.len;
	return 1;
}

static const void *get(struct ipc_msg *m, size_t len)
{
	const void *p = m->body + m->pos;

	if (m->bad || len > m->len - m->pos) {
		m->bad = true;
		return NULL;
	}
	m->pos += len;
	return p;
}

uint32_t ipc_get_u32(struct ipc_msg *m)
{
	const void *p = get(m, sizeof(uint32_t));
	uint32_t v = 0;

	if (p)
		memcpy(&v, p, sizeof(v));
	return v;
}

uint64_t ipc_get_u64(struct ipc_msg *m)
{
	const void *p = get(m, sizeof(uint64_t));
	uint64_t v = 0;

	if (p)
		memcpy(&v, p, sizeof(v));
	return v;
}

const void *ipc_get_mem(struct ipc_msg *m, size_t *len)
{
	uint32_t n = ipc_get_u32(m);
	const void *p = get(m, n);

	*len = p ? n : 0;
	return p;
}

const char *ipc_get_str(struct ipc_msg *m)
{
	size_t len;
	const char *s = ipc_get_mem(m, &len);

	if (!s || len == 0 || s[len - 1] != '\0' || strlen(s) != len - 1) {
		m->bad = true;
		return "";
	}
	return s;
}

int ipc_take_fd(struct ipc_msg *m, unsigned i)
{
	return i < m->n_fds ? steal_fd(&m->fds[i]) : -1;
}

bool ipc_end(const struct ipc_msg *m)
{
	return !m->bad && m->pos == m->len;
}

void ipc_drop(struct ipc_msg *m)
{
	for (unsigned i = 0; i < m->n_fds; i++)
		if (m->fds[i] >= 0)
			close(steal_fd(&m->fds[i]));
	m->n_fds = 0;
}

static int unix_address(struct sockaddr_un *sa, const char *path)
{
	memset(sa, 0, sizeof(*sa));
	sa->sun_family = AF_UNIX;
	if (strlen(path) >= sizeof(sa->sun_path))
		return -ENAMETOOLONG;
	memcpy(sa->sun_path, path, strlen(path));
	return 0;
}

/*
 * A path longer than sun_path (108 bytes) is reached through /proc/self/fd/N of its directory.
 * @return the address and, when *dir_fd >= 0, a descriptor to close afterwards
 */
static int long_address(struct sockaddr_un *sa, int *dir_fd, const char *path)
{
	const char *slash = strrchr(path, '/');
	char dir[4096], shorter[108];

	*dir_fd = -1;
	if (unix_address(sa, path) == 0)
		return 0;
	if (!slash || (size_t)(slash - path) >= sizeof(dir))
		return -ENAMETOOLONG;
	memcpy(dir, path, (size_t)(slash - path));
	dir[slash - path] = '\0';
	*dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*dir_fd < 0)
		return -errno;
	snprintf(shorter, sizeof(shorter), "/proc/self/fd/%d/%.60s", *dir_fd, slash + 1);
	return unix_address(sa, shorter);
}

int ipc_listen(const char *path, struct err *e)
{
	struct sockaddr_un sa;
	autoclose int dir_fd = -1;
	autoclose int fd = -1;
	mode_t old;
	int r;

	r = long_address(&sa, &dir_fd, path);
	if (r < 0)
		return err_set(e, -r, "listen on %s", path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_set(e, errno, "socket");
	if (unlink(path) < 0 && errno != ENOENT)
		return err_set(e, errno, "replace %s", path);
	old = umask(0177);
	r = bind(fd, (struct sockaddr *)&sa, sizeof(sa));
	umask(old);
	if (r < 0)
		return err_set(e, errno, "bind %s", path);
	if (listen(fd, 64) < 0)
		return err_set(e, errno, "listen on %s", path);
	return steal_fd(&fd);
}

int ipc_connect(const char *path)
{
	struct sockaddr_un sa;
	autoclose int dir_fd = -1;
	autoclose int fd = -1;
	int size = IPC_BODY_MAX * 2;
	int r;

	r = long_address(&sa, &dir_fd, path);
	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return -errno;
	return steal_fd(&fd);
}

int ipc_peer(int sock, struct ipc_peer *out)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return -errno;
	out->pid = cred.pid;
	out->uid = cred.uid;
	out->gid = cred.gid;
	return 0;
}
