/*
 * Theory: a node's opens are all cached or all passed on (struct fs_io_count, in the node, under the
 * one lock here). Our counts rise before the kernel is told and fall when it tells of a release,
 * which is after it has let go: so they are never below its own, and it never refuses.
 *
 * While a node is passed on it has one backing id, which holds a reference to the backing file in
 * the kernel; the last close gives it back.
 *
 * libfuse before 3.17 does not know passthrough. There the replies go through our writev, which
 * adds what is missing: the flags in the one to INIT, flag and id in those to OPEN and CREATE.
 */
#include "fsgate/fs_pass.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/log.h"
#include "fsgate/fs_tmpfile.h"

/* overlayfs below is fine, another file system stacked above us is not needed */
#define STACK_DEPTH 2
#define MAX_REFUSED 16

/* linux/fuse.h of 6.9; older headers do not have it */
struct backing_map {
	int32_t fd;
	uint32_t flags;
	uint64_t padding;
};
#define BACKING_OPEN _IOW(229, 1, struct backing_map)
#define BACKING_CLOSE _IOW(229, 2, uint32_t)

struct fs_pass {
	pthread_mutex_t lock;
	int dev;
	_Atomic bool on; /* kernel and rights are there */
	dev_t refused[MAX_REFUSED];
	_Atomic unsigned n_refused;
	uint64_t init_unique;
	bool init_seen;
	uint64_t offered; /* flags of the kernel's INIT */
};

int fs_pass_init(struct fs *fs)
{
	struct fs_pass *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	pthread_mutex_init(&p->lock, NULL);
	p->dev = -1;
	fs->pass = p;
	return 0;
}

void fs_pass_deinit(struct fs *fs)
{
	if (!fs->pass)
		return;
	pthread_mutex_destroy(&fs->pass->lock);
	free(fs->pass);
	fs->pass = NULL;
}

/* ---- backing ids ---- */

/* The only calls that want CAP_SYS_ADMIN after the set-up. */
static int32_t backing_open(const struct fs_pass *p, int fd)
{
	struct backing_map map = {.fd = fd};
	int r = ioctl(p->dev, BACKING_OPEN, &map);

	return r < 0 ? -errno : r;
}

static void backing_close(const struct fs_pass *p, int32_t id)
{
	uint32_t what = (uint32_t)id;

	ioctl(p->dev, BACKING_CLOSE, &what);
}

bool fs_pass_works(struct fs *fs, dev_t dev)
{
	const struct fs_pass *p = fs->pass;

	if (!p->on)
		return false;
	for (unsigned i = 0; i < p->n_refused; i++)
		if (p->refused[i] == dev)
			return false;
	return true;
}

/* With the lock: what was refused once is not asked for again. */
static void learn(struct fs_pass *p, int code, dev_t dev)
{
	if (code == -EPERM || code == -ENOTTY || p->n_refused == MAX_REFUSED) {
		log_warn("no passthrough of file data: %s", strerror(-code));
		p->on = false;
	} else if (code == -ELOOP || code == -EOPNOTSUPP || code == -EINVAL) {
		p->refused[p->n_refused] = dev;
		p->n_refused++;
	}
}

int32_t fs_pass_enter(struct fs *fs, struct fs_node *n, int fd, bool want)
{
	struct fs_io_count *io = fs_node_io(n);
	struct fs_pass *p = fs->pass;
	int32_t id = 0;

	pthread_mutex_lock(&p->lock);
	if (io->passed == 0 && io->cached == 0 && want && fs_pass_works(fs, fs_node_dev(n))) {
		io->id = backing_open(p, fd);
		if (io->id < 0)
			learn(p, io->id, fs_node_dev(n));
		id = io->id > 0 ? io->id : 0;
	} else if (io->passed) {
		id = io->id;
	}
	if (id)
		io->passed++;
	else
		io->cached++;
	pthread_mutex_unlock(&p->lock);
	return id;
}

void fs_pass_leave(struct fs *fs, struct fs_node *n, bool passed)
{
	struct fs_io_count *io = fs_node_io(n);
	struct fs_pass *p = fs->pass;

	pthread_mutex_lock(&p->lock);
	if (!passed) {
		io->cached--;
	} else if (--io->passed == 0) {
		backing_close(p, io->id);
		io->id = 0;
	}
	pthread_mutex_unlock(&p->lock);
}

/* ---- what the library has to say to the kernel ---- */

#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 17)

int fs_pass_attach(struct fs *fs, int dev, struct err *e)
{
	char path[32];

	fs->pass->dev = dev;
	snprintf(path, sizeof(path), "/dev/fd/%d", dev);
	return fuse_session_mount(fs->se, path) != 0
		       ? err_say(e, EIO, "libfuse refuses the descriptor")
		       : 0;
}

void fs_pass_ask(struct fs *fs, struct fuse_conn_info *conn)
{
	conn->want |= conn->capable & FUSE_CAP_HANDLE_KILLPRIV_V2;
	if (!fs->gate.is_root || !(conn->capable & FUSE_CAP_PASSTHROUGH))
		return;
	conn->want |= FUSE_CAP_PASSTHROUGH;
	conn->max_backing_stack_depth = STACK_DEPTH - 1; /* libfuse counts itself not */
	fs->pass->on = true;
}

int fs_pass_reply_open(fuse_req_t req, struct fuse_file_info *fi, int32_t id)
{
	fi->backing_id = id;
	return fuse_reply_open(req, fi);
}

int fs_pass_reply_create(fuse_req_t req, const struct fuse_entry_param *e,
			 struct fuse_file_info *fi, int32_t id)
{
	fi->backing_id = id;
	return fuse_reply_create(req, e, fi);
}

#else

/* linux/fuse.h, protocol 7.40: the parts that libfuse 3.14 does not know */
#define OP_INIT 26
#define INIT_KILLPRIV_V2 (1ull << 28)
#define INIT_EXT (1ull << 30)
#define INIT_PASSTHROUGH (1ull << 37)
#define OPEN_PASSTHROUGH (1u << 7)

struct in_header {
	uint32_t len, opcode;
	uint64_t unique, nodeid;
	uint32_t uid, gid, pid, padding;
};

struct init_in {
	uint32_t major, minor, max_readahead, flags, flags2;
};

struct init_out {
	uint32_t major, minor, max_readahead, flags;
	uint16_t max_background, congestion_threshold;
	uint32_t max_write, time_gran;
	uint16_t max_pages, map_alignment;
	uint32_t flags2, max_stack_depth;
};

struct out_header {
	uint32_t len;
	int32_t error;
	uint64_t unique;
};

struct open_out {
	uint64_t fh;
	uint32_t open_flags;
	int32_t backing_id;
};

/* What the reply that this thread is about to send carries. */
static _Thread_local int32_t reply_id;

static void see_init(struct fs_pass *p, const void *buf, size_t n)
{
	const struct in_header *h = buf;
	const struct init_in *in = (const void *)(h + 1);

	if (n < sizeof(*h) + sizeof(*in) || h->opcode != OP_INIT)
		return;
	p->init_unique = h->unique;
	p->offered = in->flags;
	if (in->flags & INIT_EXT)
		p->offered |= (uint64_t)in->flags2 << 32;
}

static ssize_t pass_read(int fd, void *buf, size_t size, void *userdata)
{
	struct fs_pass *p = ((struct fs *)userdata)->pass;
	ssize_t n = read(fd, buf, size);

	/* the first request of a connection, and only that */
	if (!p->init_seen && n > 0) {
		p->init_seen = true;
		see_init(p, buf, (size_t)n);
	}
	if (n > 0)
		fs_tmpfile_see(buf, (size_t)n);
	return n;
}

static void extend_init(struct fs *fs, const struct iovec *iov)
{
	struct fs_pass *p = fs->pass;
	struct init_out *out = iov->iov_base;

	p->init_unique = 0;
	if (iov->iov_len < sizeof(*out))
		return;
	out->flags |= p->offered & INIT_KILLPRIV_V2;
	if (!fs->gate.is_root || !(p->offered & INIT_PASSTHROUGH))
		return;
	out->flags |= INIT_EXT;
	out->flags2 |= INIT_PASSTHROUGH >> 32;
	out->max_stack_depth = STACK_DEPTH;
	p->on = true;
}

static void extend_open(const struct iovec *iov)
{
	struct open_out *out;

	if (iov->iov_len < sizeof(*out))
		return;
	out = (void *)((char *)iov->iov_base + iov->iov_len - sizeof(*out));
	out->open_flags |= OPEN_PASSTHROUGH;
	out->backing_id = reply_id;
}

static ssize_t pass_writev(int fd, struct iovec *iov, int n, void *userdata)
{
	struct fs *fs = userdata;
	const struct out_header *h = iov[0].iov_base;

	if (fs->pass->init_unique && h->unique == fs->pass->init_unique && n == 2)
		extend_init(fs, &iov[1]);
	else if (reply_id && n == 2)
		extend_open(&iov[1]);
	return writev(fd, iov, n);
}

static ssize_t pass_splice(int in, off_t *in_off, int out, off_t *out_off, size_t len,
			   unsigned flags, void *userdata)
{
	(void)userdata;
	return splice(in, in_off, out, out_off, len, flags);
}

int fs_pass_attach(struct fs *fs, int dev, struct err *e)
{
	const struct fuse_custom_io io = {
		.read = pass_read,
		.writev = pass_writev,
		.splice_send = pass_splice,
	};

	fs->pass->dev = dev;
	return fuse_session_custom_io(fs->se, &io, dev) != 0
		       ? err_say(e, EIO, "libfuse refuses the descriptor")
		       : 0;
}

/* The kernel is asked by extend_init(). */
void fs_pass_ask(struct fs *fs, struct fuse_conn_info *conn)
{
	(void)fs;
	(void)conn;
}

int fs_pass_reply_open(fuse_req_t req, struct fuse_file_info *fi, int32_t id)
{
	int r;

	reply_id = id;
	r = fuse_reply_open(req, fi);
	reply_id = 0;
	return r;
}

int fs_pass_reply_create(fuse_req_t req, const struct fuse_entry_param *e,
			 struct fuse_file_info *fi, int32_t id)
{
	int r;

	reply_id = id;
	r = fuse_reply_create(req, e, fi);
	reply_id = 0;
	return r;
}

#endif
