#include "fsgate/fs_full.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/auto.h"
#include "fsgate/fs_record.h"

static bool says_full(const struct fs_call *c, enum file_op op)
{
	const struct policy_request r = {.kind = POLICY_FILE, .file = {c->path, op}};
	struct decision d;

	policy_decide(&d, c->fs->gate.policy, &r);
	return d.log == POLICY_LOG_FULL;
}

bool fs_full_wanted(const struct fs_call *c)
{
	int access = c->fi.flags & O_ACCMODE;

	if (!(c->fs->features & POLICY_HAS_FULL))
		return false;
	return c->answer.d.log == POLICY_LOG_FULL ||
	       (access != O_WRONLY && says_full(c, FILE_READ)) ||
	       (access != O_RDONLY && says_full(c, FILE_WRITE));
}

int fs_full_note(fuse_req_t req, struct fs_file *f, const char *op, off_t off, size_t len)
{
	struct fs *fs = fuse_req_userdata(req);
	struct fs_io io = {.op = op, .rule = f->rule, .offset = off, .bytes = len};
	char path[PATH_MAX];

	if (!f->full)
		return 0;
	if (fs_node_path(fs->tree, f->node, NULL, path, sizeof(path)) < 0)
		return -EIO;
	fs_who_get(fs->who, fuse_req_ctx(req)->pid, &io.who);
	io.path = path;
	return fs_record_io(fs, &io) < 0 ? -EIO : 0;
}

void fs_full_read(fuse_req_t req, struct fs_file *f, size_t size, off_t off)
{
	autofree char *buf = malloc(size ? size : 1);
	ssize_t n = buf ? pread(f->fd, buf, size, off) : -1;
	int r;

	if (n < 0) {
		fuse_reply_err(req, buf ? errno : ENOMEM);
		return;
	}
	/* read by us, not by the caller yet: the record has how much it will be */
	r = fs_full_note(req, f, "read", off, (size_t)n);
	if (r < 0)
		fuse_reply_err(req, -r);
	else
		fuse_reply_buf(req, buf, (size_t)n);
}
