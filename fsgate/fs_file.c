#include "fsgate/fs_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "fsgate/fs_lock.h"
#include "fsgate/fs_pass.h"
#include "fsgate/fs_record.h"
#include "fsgate/fs_undo.h"

/* a file changed so lately may change again under the same time stamp */
#define FRESH_NS 20000000

struct fs_files {
	pthread_mutex_t lock;
	struct fs_file *head;
};

int fs_file_init(struct fs *fs)
{
	fs->files = calloc(1, sizeof(*fs->files));
	if (!fs->files)
		return -ENOMEM;
	pthread_mutex_init(&fs->files->lock, NULL);
	return 0;
}

void fs_file_deinit(struct fs *fs)
{
	if (!fs->files)
		return;
	pthread_mutex_destroy(&fs->files->lock);
	free(fs->files);
	fs->files = NULL;
}

static bool writes(const struct fs_file *f)
{
	return (f->flags & O_ACCMODE) != O_RDONLY;
}

struct fs_file *fs_file_new(struct fs *fs, struct fs_node *n, int fd, int flags,
			    const struct stat *st)
{
	struct fs_file *f = calloc(1, sizeof(*f));

	if (!f) {
		close(fd);
		return NULL;
	}
	f->node = n;
	f->fd = fd;
	f->flags = flags;
	fs_node_add_file(fs->tree, n, f, fd);
	if (!writes(f))
		return f;
	f->before = (struct fs_stamp){st->st_mtim, st->st_ctim, st->st_size};
	f->fresh = fs_file_is_fresh(st);
	pthread_mutex_lock(&fs->files->lock);
	f->next = fs->files->head;
	if (f->next)
		f->next->prev = f;
	fs->files->head = f;
	pthread_mutex_unlock(&fs->files->lock);
	return f;
}

bool fs_file_is_fresh(const struct stat *st)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	return (now.tv_sec - st->st_mtim.tv_sec) * 1000000000 + now.tv_nsec - st->st_mtim.tv_nsec <
	       FRESH_NS;
}

/* The kernel wrote by itself. Attributes that it has from before a mapping was written are stale. */
static bool was_changed(struct fs *fs, struct fs_file *f, struct stat *st)
{
	if (fstat(f->fd, st) < 0)
		return true;
	if (f->before.size == st->st_size && f->before.mtime.tv_sec == st->st_mtim.tv_sec &&
	    f->before.mtime.tv_nsec == st->st_mtim.tv_nsec)
		return f->fresh && st->st_size > 0;
	if (!fs_node_stamp(fs->tree, f->node, FS_STAMP_ATTR, st))
		fuse_lowlevel_notify_inval_inode(fs->se, fs_node_ino(fs->tree, f->node), -1, 0);
	return true;
}

static void record_written(struct fs *fs, struct fs_file *f)
{
	struct fs_written w = {.bytes = atomic_exchange(&f->written, 0), .passed = f->passed};
	char path[PATH_MAX];
	struct stat st;

	if (f->passed && was_changed(fs, f, &st)) {
		w.bytes = 1;
		w.size_before = f->before.size;
		w.size = st.st_size;
	}
	if (w.bytes && !f->unlogged && fs_node_path(fs->tree, f->node, NULL, path, sizeof(path)) == 0)
		fs_record_close(fs, &f->who, path, &w);
}

static void forget_writer(struct fs *fs, struct fs_file *f)
{
	pthread_mutex_lock(&fs->files->lock);
	if (f->next)
		f->next->prev = f->prev;
	if (f->prev)
		f->prev->next = f->next;
	else
		fs->files->head = f->next;
	pthread_mutex_unlock(&fs->files->lock);
}

void fs_file_close(struct fs *fs, struct fs_file *f)
{
	if (writes(f)) {
		forget_writer(fs, f);
		record_written(fs, f);
		fs_undo_closed(fs, f);
	}
	fs_lock_release(fs, f);
	if (!f->full)
		fs_pass_leave(fs, f->node, f->passed);
	fs_node_del_file(fs->tree, f->node, f);
	close(f->fd);
	free(f);
}

void fs_file_finish(struct fs *fs)
{
	pthread_mutex_lock(&fs->files->lock);
	for (struct fs_file *f = fs->files->head; f; f = f->next) {
		record_written(fs, f);
		fs_undo_closed(fs, f);
	}
	pthread_mutex_unlock(&fs->files->lock);
}
