#include "fsgate/fs_tmpfile.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "fsgate/fs_at.h"
#include "fsgate/fs_entry.h"

/* linux/fuse.h: opcodes, and the first words of every request */
#define OP_CREATE 35
#define OP_TMPFILE 51
#define KEPT_FLAGS (O_ACCMODE | O_APPEND | O_DSYNC | O_SYNC | O_NOATIME)

void fs_tmpfile_see(void *request, size_t n)
{
	uint32_t *words = request; /* length, opcode */

	if (n >= 2 * sizeof(*words) && words[1] == OP_TMPFILE)
		words[1] = OP_CREATE;
}

bool fs_tmpfile_is(const struct fs_call *c)
{
	return (c->fi.flags & O_TMPFILE) == O_TMPFILE;
}

int fs_tmpfile_judge(struct fs_call *c)
{
	int r = fs_call_judge_new(c, FILE_CREATE);

	if (r < 0 || ((c->answer.effect == FS_ALLOW || c->answer.effect == FS_RECORD) &&
		      !c->answer.redirect))
		return r;
	return c->answer.effect == FS_DENY && c->answer.d.reason == REASON_RULE ? 0 : -EOPNOTSUPP;
}

int fs_tmpfile_make(const struct fs_call *c, int dirfd)
{
	int fd = openat(dirfd, ".", O_TMPFILE | O_CLOEXEC | (c->fi.flags & KEPT_FLAGS),
			c->mode & 07777);

	return fd < 0 ? -errno : fd;
}

int fs_tmpfile_entry(struct fs_call *c, int fd, const struct stat *st)
{
	struct fs_at_proc p = {""};
	int own = open(fs_at_proc_path(&p, fd), O_PATH | O_CLOEXEC);

	if (own < 0)
		return -errno;
	return fs_entry_nameless(c->fs, c->node, FS_TMPFILE_SHOWN, st, own, &c->entry);
}

bool fs_tmpfile_judge_name(struct fs_call *c)
{
	const struct fs_question q[] = {
		{.op = FILE_CREATE, .path = c->to},
		{.op = FILE_LINK, .path = c->to},
	};

	fs_decide(&c->answer, c->fs->gate.policy, q, 2);
	return !c->answer.redirect;
}
