#include "fsgate/fs_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "fsgate/fs_lock.h"
#include "fsgate/fs_record.h"

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
			    const struct fs_who_is *who)
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
	f->who = *who;
	if (!writes(f))
		return f;
	pthread_mutex_lock(&fs->files->lock);
	f->next = fs->files->head;
	if (f->next)
		f->next->prev = f;
	fs->files->head = f;
	pthread_mutex_unlock(&fs->files->lock);
	return f;
}

static void record_written(struct fs *fs, struct fs_file *f)
{
	uint64_t bytes = atomic_exchange(&f->written, 0);
	char path[PATH_MAX];

	if (bytes && fs_node_path(fs->tree, f->node, NULL, path, sizeof(path)) == 0)
		fs_record_close(fs, &f->who, path, bytes);
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
	}
	fs_lock_release(fs, f);
	fs_node_del_file(fs->tree, f->node, f);
	close(f->fd);
	free(f);
}

void fs_file_finish(struct fs *fs)
{
	pthread_mutex_lock(&fs->files->lock);
	for (struct fs_file *f = fs->files->head; f; f = f->next)
		record_written(fs, f);
	pthread_mutex_unlock(&fs->files->lock);
}
