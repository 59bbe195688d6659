#include "netgate/net_owner.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/auto.h"
#include "common/str.h"

#define PIDS_MAX 1024u /* processes looked at for one socket */
#define FDS_MAX 4096u  /* descriptors looked at in one process */

static void auto_closedir(DIR **d)
{
	if (*d)
		closedir(*d);
}

/* The host's pid of a pidfd: proc(5), /proc/self/fdinfo. */
static pid_t pid_of(int pidfd)
{
	autofclose FILE *f = NULL;
	char name[64], line[128];
	int pid = 0;

	snprintf(name, sizeof(name), "/proc/self/fdinfo/%d", pidfd);
	f = fopen(name, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Pid:\t%d", &pid) == 1)
			break;
	return pid > 0 ? pid : 0;
}

void net_owner_init(struct net_owner_finder *f, int diag, int pidfd)
{
	struct timeval patience = {.tv_usec = 200000};

	memset(f, 0, sizeof(*f));
	f->diag = diag;
	f->init_pid = pid_of(pidfd);
	/* the kernel answers before sendmsg returns; this only bounds the unexpected */
	setsockopt(diag, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
}

/* ---- the inode ---- */

static void put_addr(__be32 *out, const struct policy_addr *a)
{
	memcpy(out, a->bytes, a->family == 4 ? 4 : 16);
}

static int ask(struct net_owner_finder *f, const struct net_owner_socket *s)
{
	struct {
		struct nlmsghdr h;
		struct inet_diag_req_v2 r;
	} m = {
		.h = {.nlmsg_len = sizeof(m),
		      .nlmsg_type = SOCK_DIAG_BY_FAMILY,
		      .nlmsg_flags = NLM_F_REQUEST,
		      .nlmsg_seq = ++f->seq},
		.r = {.sdiag_family = s->local.family == 4 ? AF_INET : AF_INET6,
		      .sdiag_protocol = s->proto == NET_TCP ? IPPROTO_TCP : IPPROTO_UDP,
		      .idiag_states = ~0u},
	};
	/* the kernel's exact UDP lookup has the two ends swapped, "for historical reasons" */
	bool swap = s->proto == NET_UDP;

	m.r.id.idiag_sport = htons(swap ? s->remote_port : s->local_port);
	m.r.id.idiag_dport = htons(swap ? s->local_port : s->remote_port);
	put_addr(m.r.id.idiag_src, swap ? &s->remote : &s->local);
	put_addr(m.r.id.idiag_dst, swap ? &s->local : &s->remote);
	m.r.id.idiag_cookie[0] = m.r.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
	return send(f->diag, &m, sizeof(m), 0) < 0 ? -errno : 0;
}

/* @return the inode, or 0 */
static uint32_t inode_of(struct net_owner_finder *f, const struct net_owner_socket *s)
{
	union {
		struct nlmsghdr h;
		char buf[4096];
	} m;
	struct inet_diag_msg d;

	if (ask(f, s) < 0)
		return 0;
	for (;;) {
		ssize_t n = recv(f->diag, &m, sizeof(m), 0);

		if (n < (ssize_t)sizeof(m.h))
			return 0;
		if (m.h.nlmsg_seq != f->seq)
			continue; /* the answer to one that was given up */
		if (m.h.nlmsg_type != SOCK_DIAG_BY_FAMILY || n < (ssize_t)NLMSG_LENGTH(sizeof(d)))
			return 0;
		memcpy(&d, NLMSG_DATA(&m.h), sizeof(d));
		return d.idiag_inode;
	}
}

/* ---- the process ---- */

/* Descriptors of a process: the last FDS_MAX of them, in the kernel's order, which is ascending. */
static unsigned list_fds(unsigned *fds, DIR *d)
{
	struct dirent *ent;
	unsigned n = 0;
	uint64_t fd;

	while ((ent = readdir(d)))
		if (str_to_u64(&fd, ent->d_name, 0, UINT32_MAX) == 0)
			fds[n++ % FDS_MAX] = (unsigned)fd;
	return n;
}

struct wanted {
	char link[64]; /* what the descriptor's link says */
	unsigned fd;   /* where it was found */
};

static bool is_wanted(struct wanted *w, int dir, const char *prefix, unsigned fd)
{
	char name[64], link[64];
	ssize_t len;

	snprintf(name, sizeof(name), "%s%u", prefix, fd);
	len = readlinkat(dir, name, link, sizeof(link) - 1);
	if (len < 0)
		return false;
	link[len] = '\0';
	w->fd = fd;
	return strcmp(link, w->link) == 0;
}

static bool has_socket(struct wanted *w, pid_t pid)
{
	__attribute__((cleanup(auto_closedir))) DIR *d = NULL;
	unsigned fds[FDS_MAX], n, least;
	char name[64];

	snprintf(name, sizeof(name), "/proc/%d/fd", (int)pid);
	d = opendir(name);
	n = d ? list_fds(fds, d) : 0;
	least = n > FDS_MAX ? n - FDS_MAX : 0;
	/* a new socket mostly has the highest number */
	while (n-- > least)
		if (is_wanted(w, dirfd(d), "", fds[n % FDS_MAX]))
			return true;
	return false;
}

/* The next socket of a process is mostly the same descriptor again, or one of the next. */
static bool has_socket_near(struct wanted *w, pid_t pid, unsigned fd)
{
	char prefix[32];

	snprintf(prefix, sizeof(prefix), "/proc/%d/fd/", (int)pid);
	for (unsigned i = fd > 2 ? fd - 2 : 0; i <= fd + 5; i++)
		if (is_wanted(w, AT_FDCWD, prefix, i))
			return true;
	return false;
}

struct pids {
	pid_t v[PIDS_MAX];
	unsigned n;
};

/* Append the children of every thread of pid. */
static void add_children(struct pids *p, pid_t pid)
{
	__attribute__((cleanup(auto_closedir))) DIR *d = NULL;
	struct dirent *ent;
	char name[64];
	unsigned n = 0;

	snprintf(name, sizeof(name), "/proc/%d/task", (int)pid);
	d = opendir(name);
	while (d && n++ < FDS_MAX && (ent = readdir(d))) {
		autofclose FILE *f = NULL;
		char path[128];
		int child;

		if (ent->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%.20s/children", (int)pid, ent->d_name);
		f = fopen(path, "re");
		while (f && p->n < PIDS_MAX && fscanf(f, "%d", &child) == 1)
			p->v[p->n++] = child;
	}
}

/* @return index of f->recent, or -1 */
static int find_recent(const struct net_owner_finder *f, struct wanted *w)
{
	for (int i = 0; i < (int)ARRAY_LEN(f->recent); i++)
		if (f->recent[i].pid && has_socket_near(w, f->recent[i].pid, f->recent[i].fd))
			return i;
	return -1;
}

/* Breadth first from pid 1; orphans are its children. */
static pid_t find_in_tree(const struct net_owner_finder *f, struct wanted *w)
{
	struct pids p = {.n = 0};

	if (!f->init_pid)
		return 0;
	p.v[p.n++] = f->init_pid;
	for (unsigned i = 0; i < p.n; i++) {
		if (i > 0 && has_socket(w, p.v[i]))
			return p.v[i];
		add_children(&p, p.v[i]);
	}
	return has_socket(w, f->init_pid) ? f->init_pid : 0;
}

static pid_t find(struct net_owner_finder *f, uint32_t inode)
{
	struct wanted w = {.fd = 0};
	unsigned slot;
	pid_t pid;
	int i;

	snprintf(w.link, sizeof(w.link), "socket:[%u]", inode);
	i = find_recent(f, &w);
	if (i >= 0) {
		f->recent[i].fd = w.fd;
		return f->recent[i].pid;
	}
	pid = find_in_tree(f, &w);
	if (!pid)
		return 0;
	slot = f->next_recent++ % ARRAY_LEN(f->recent);
	for (unsigned k = 0; k < ARRAY_LEN(f->recent); k++)
		if (f->recent[k].pid == pid)
			slot = k;
	f->recent[slot].pid = pid;
	f->recent[slot].fd = w.fd;
	return pid;
}

static void read_comm(char *out, pid_t pid)
{
	autoclose int fd = -1;
	char name[64];
	ssize_t n;

	snprintf(name, sizeof(name), "/proc/%d/comm", (int)pid);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	n = fd >= 0 ? read(fd, out, NET_COMM_SIZE) : 0;
	if (n > 0 && out[n - 1] == '\n')
		n--;
	out[n > 0 ? n : 0] = '\0';
}

void net_owner_find(struct net_owner *out, struct net_owner_finder *f,
		    const struct net_owner_socket *s)
{
	uint32_t inode = inode_of(f, s);
	pid_t pid;

	memset(out, 0, sizeof(*out));
	if (!inode)
		return;
	pid = find(f, inode);
	if (!pid)
		return;
	out->pid = pid;
	read_comm(out->comm, pid);
}
