/*
 * Theory: every directory of which the kernel was told something is marked, with fanotify (which
 * says who made a change: our own, for the sandbox, are known to the kernel by our reply) or else
 * inotify. A thread reads the events and turns each into notifications (fs_watch_tell.c).
 *
 * Why no change is missed. Let c be a change by somebody else, after which an answer given to the
 * kernel is wrong; the answer rests on a stat made before c. The directory was marked before that
 * stat, so c has an event, which is read after c.
 *  - Names, missing names: the notification takes the directory's lock exclusively, and every lookup,
 *    listing or creation that puts a name into the cache holds that lock (shared) until it is there.
 *    So the notification comes after the wrong name, and removes it. (A revalidation holds no lock;
 *    but it puts no name in, and the removed one is not found again.)
 *  - Attributes of an inode that the kernel has: each answer carries the moment of its request
 *    (attr_version); a notification makes answers to earlier requests void, whenever they come.
 *    setattr is the exception: its answer is always taken. So it is good for no time at all.
 *  - Attributes of an inode that the kernel is just being told of. Either the thread finds the node:
 *    the notification then fails (ENOENT), and is repeated after the name was removed, that is, after
 *    the answer arrived. Or the node was not there yet: then the answering worker, after having made
 *    the node known, sees that the count of changes moved (fs_spot_changes()), and gives its answer
 *    no time. A new file's node is always new (fs_node_free_name()).
 *  - Pages: a read in flight has its pages locked, and the notification waits for them.
 *  - Listings: the kernel compares the directory's time of change, an attribute as above; a directory
 *    that changed a moment ago is not cached, so that its time is different after the next change.
 *
 * A file with several names can be changed by a name that is not watched: such attributes are given no
 * time, and its data are compared at open.
 *
 * Events may be lost when there are too many of them (IN_Q_OVERFLOW): then everything is invalid.
 * Memory: at most MAX_DIRS directories are watched; they are forgotten when they are deleted.
 */
#include "fsgate/fs_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/statfs.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "fsgate/fs_at.h"
#include "fsgate/fs_record.h"
#include "fsgate/fs_watch_i.h"

#define MAX_DIRS 131072u /* each pins an inode of the host: some 150 MiB */
#define MAX_FS 32
#define MAX_NODES 16
#define PAUSE_NS 1000000 /* what comes meanwhile is read at once; our own changes cost less so */
#define MASK (FS_WATCH_NAMES | FS_WATCH_DATA | IN_ATTRIB | IN_DELETE_SELF)
#ifndef FAN_REPORT_DFID_NAME
#define FAN_REPORT_DFID_NAME 0xc00
#endif
#define HANDLE_FID 0x200 /* AT_HANDLE_FID, since 6.5: file systems without NFS export, too */

struct dir {
	struct dir *next;
	struct fs_spot *spot;
	uint64_t hash;
	size_t len;
	unsigned char key[]; /* fanotify: fsid, type, handle; inotify: number of the watch */
};

/* A file system that was met. */
struct known_fs {
	dev_t dev;
	fsid_t id;
	bool trusted;
};

struct fs_watch {
	struct fs *fs;
	int fd;
	bool fanotify;
	pid_t self;
	struct fs_teller *teller;
	bool ever_busy;	      /* the reader's: someone else was seen writing */
	pthread_mutex_t lock; /* for all below */
	struct dir **buckets;
	size_t n_buckets, n_dirs; /* power of two */
	struct known_fs known[MAX_FS];
	unsigned n_known;
	bool said;
};

struct key {
	size_t len;
	unsigned char bytes[sizeof(fsid_t) + sizeof(int) + MAX_HANDLE_SZ];
};

/* ---- the table of directories; with the lock held ---- */

static uint64_t hash_of(const struct key *k)
{
	uint64_t h = 0xCBF29CE484222325ull;

	for (size_t i = 0; i < k->len; i++)
		h = (h ^ k->bytes[i]) * 0x100000001B3ull;
	return h ^ h >> 29;
}

static struct dir **find(struct fs_watch *w, const struct key *k, uint64_t hash)
{
	struct dir **at = &w->buckets[hash & (w->n_buckets - 1)];

	while (*at && ((*at)->hash != hash || (*at)->len != k->len ||
		       memcmp((*at)->key, k->bytes, k->len) != 0))
		at = &(*at)->next;
	return at;
}

static void grow(struct fs_watch *w)
{
	struct dir **more, *next;

	if (w->n_dirs < w->n_buckets)
		return;
	more = calloc(w->n_buckets * 2, sizeof(struct dir *));
	if (!more)
		return;
	for (size_t i = 0; i < w->n_buckets; i++) {
		for (struct dir *d = w->buckets[i]; d; d = next) {
			struct dir **to = &more[d->hash & (w->n_buckets * 2 - 1)];

			next = d->next;
			d->next = *to;
			*to = d;
		}
	}
	free(w->buckets);
	w->buckets = more;
	w->n_buckets *= 2;
}

static struct dir *add(struct fs_watch *w, const struct key *k, uint64_t hash)
{
	struct dir *d = malloc(sizeof(*d) + k->len);
	struct dir **at;

	if (!d)
		return NULL;
	d->spot = fs_spot_new();
	if (!d->spot) {
		free(d);
		return NULL;
	}
	d->hash = hash;
	d->len = k->len;
	memcpy(d->key, k->bytes, k->len);
	grow(w);
	at = &w->buckets[hash & (w->n_buckets - 1)];
	d->next = *at;
	*at = d;
	w->n_dirs++;
	return d;
}

static void forget(struct fs_watch *w, const struct key *k)
{
	struct dir **at, *d;

	pthread_mutex_lock(&w->lock);
	at = find(w, k, hash_of(k));
	d = *at;
	if (d) {
		*at = d->next;
		w->n_dirs--;
	}
	pthread_mutex_unlock(&w->lock);
	if (d)
		fs_spot_drop(w->fs->tree, d->spot);
	free(d);
}

/* ---- marks ---- */

/* Does nobody change it but through this kernel, in a way that it tells of? */
static bool is_local(const struct statfs *st)
{
	static const uint32_t types[] = {
		EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC, TMPFS_MAGIC, OVERLAYFS_SUPER_MAGIC,
		F2FS_SUPER_MAGIC, REISERFS_SUPER_MAGIC, RAMFS_MAGIC, 0x2fc12fc1 /* zfs */,
		0xca451a4e /* bcachefs */, 0x3153464a /* jfs */, MSDOS_SUPER_MAGIC, 0x2011bab0 /* exfat */,
	};

	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if ((uint32_t)st->f_type == types[i])
			return true;
	return false;
}

static bool find_fs(struct fs_watch *w, int fd, dev_t dev, struct known_fs *out)
{
	struct statfs st;

	pthread_mutex_lock(&w->lock);
	for (unsigned i = 0; i < w->n_known; i++) {
		if (w->known[i].dev == dev) {
			*out = w->known[i];
			pthread_mutex_unlock(&w->lock);
			return true;
		}
	}
	pthread_mutex_unlock(&w->lock);
	if (fstatfs(fd, &st) < 0)
		return false;
	*out = (struct known_fs){.dev = dev, .id = st.f_fsid, .trusted = is_local(&st)};
	pthread_mutex_lock(&w->lock);
	if (w->n_known < MAX_FS)
		w->known[w->n_known++] = *out;
	pthread_mutex_unlock(&w->lock);
	return true;
}

static void set_key(struct key *k, const void *id, int type, const void *bytes, size_t len)
{
	memcpy(k->bytes, id, sizeof(fsid_t));
	memcpy(k->bytes + sizeof(fsid_t), &type, sizeof(type));
	memcpy(k->bytes + sizeof(fsid_t) + sizeof(type), bytes, len);
	k->len = sizeof(fsid_t) + sizeof(type) + len;
}

static void set_key_number(struct key *k, int wd)
{
	k->len = sizeof(wd);
	memcpy(k->bytes, &wd, sizeof(wd));
}

static int mark_fanotify(struct fs_watch *w, int fd, const struct known_fs *known, struct key *k)
{
	struct {
		struct file_handle h;
		unsigned char bytes[MAX_HANDLE_SZ];
	} f = {.h = {.handle_bytes = MAX_HANDLE_SZ}};
	int mount, r;

	r = name_to_handle_at(fd, "", &f.h, &mount, AT_EMPTY_PATH | HANDLE_FID);
	if (r < 0 && errno == EINVAL) {
		f.h.handle_bytes = MAX_HANDLE_SZ;
		r = name_to_handle_at(fd, "", &f.h, &mount, AT_EMPTY_PATH);
	}
	if (r < 0 || f.h.handle_bytes > MAX_HANDLE_SZ)
		return r < 0 ? -errno : -EOVERFLOW;
	set_key(k, &known->id, f.h.handle_type, f.h.f_handle, f.h.handle_bytes);
	r = fanotify_mark(w->fd, FAN_MARK_ADD | FAN_MARK_ONLYDIR,
			  MASK | FAN_EVENT_ON_CHILD | FAN_ONDIR, fd, ".");
	return r < 0 ? -errno : 0;
}

static int mark_inotify(struct fs_watch *w, int fd, struct key *k)
{
	struct fs_at_proc p = {""};
	int wd = inotify_add_watch(w->fd, fs_at_proc_path(&p, fd), MASK | IN_ONLYDIR);

	if (wd < 0)
		return -errno;
	set_key_number(k, wd);
	return 0;
}

static void say(struct fs_watch *w, const char *why)
{
	bool said;

	pthread_mutex_lock(&w->lock);
	said = w->said;
	w->said = true;
	pthread_mutex_unlock(&w->lock);
	if (said)
		return;
	log_warn("some directories cannot be watched for changes by others (%s): "
		 "they are looked at again each second", why);
	fs_record_note(w->fs, "watch", why);
}

static int watch(struct fs_watch *w, struct fs_node *n, int fd)
{
	struct known_fs known;
	struct dir *d;
	struct key k;
	int r;

	if (!find_fs(w, fd, fs_node_dev(n), &known) || !known.trusted)
		return -EOPNOTSUPP;
	pthread_mutex_lock(&w->lock);
	r = w->n_dirs >= MAX_DIRS ? -ENOSPC : 0;
	pthread_mutex_unlock(&w->lock);
	if (r == 0)
		r = w->fanotify ? mark_fanotify(w, fd, &known, &k) : mark_inotify(w, fd, &k);
	if (r < 0)
		return r;
	pthread_mutex_lock(&w->lock);
	d = *find(w, &k, hash_of(&k));
	if (!d)
		d = add(w, &k, hash_of(&k));
	if (d) /* under the lock: forget() may not come between */
		fs_spot_put(w->fs->tree, d->spot, n);
	pthread_mutex_unlock(&w->lock);
	return d ? 0 : -ENOMEM;
}

void fs_watch_dir(struct fs *fs, struct fs_node *dir, int fd)
{
	struct fs_pin pin = {.fd = -1};
	int r;

	if (!fs_spot_open(fs->tree, dir))
		return;
	if (!fs->watch) {
		fs_spot_refuse(fs->tree, dir);
		return;
	}
	if (fd < 0) {
		r = fs_node_pin(fs->tree, dir, &pin);
		if (r < 0)
			return;
	}
	r = watch(fs->watch, dir, fd < 0 ? pin.fd : fd);
	if (fd < 0)
		fs_node_unpin(fs->tree, &pin);
	if (r == 0)
		return;
	fs_spot_refuse(fs->tree, dir);
	say(fs->watch, r == -EOPNOTSUPP || r == -EXDEV || r == -ENODEV ?
				"the file system does not tell of all changes" :
		       r == -ENOSPC ? "too many directories" : strerror(-r));
}

double fs_watch_name_timeout(struct fs *fs, struct fs_node *dir)
{
	return fs_spot_is_watched(fs->tree, dir) ? FS_TIMEOUT_LONG : FS_TIMEOUT;
}

void fs_watch_held(struct fs *fs, struct fs_node *dir, int by)
{
	if (!dir)
		return;
	fs_spot_hold(fs->tree, dir, by);
	if (by < 0 && fs->watch)
		fs_watch_i_wake(fs->watch->teller);
}

/* ---- events ---- */

static void end_of_writing(struct fs_watch *w, struct fs_node *dir, const char *name)
{
	struct fs_node *n = fs_node_find(w->fs->tree, dir, name);

	if (n)
		fs_spot_busy(w->fs->tree, n, false);
	fs_node_put(w->fs->tree, n);
}

static void on_change(struct fs_watch *w, const struct key *k, const char *name, uint32_t mask,
		      bool own)
{
	struct fs_node *few[MAX_NODES], **nodes = few;
	struct fs_tree *t = w->fs->tree;
	size_t n = 0, max = MAX_NODES;
	struct dir *d;

	pthread_mutex_lock(&w->lock);
	d = *find(w, k, hash_of(k));
	/* the kernel knows of our own changes; but not that others have closed a file through us, nor
	 * of a directory that is shown twice */
	own = own && d && fs_spot_count(t, d->spot) < 2;
	if (d && (!own || (mask & IN_CLOSE_WRITE && w->ever_busy))) {
		while ((n = fs_spot_nodes(t, d->spot, !own, nodes, max)) > max) {
			if (nodes != few)
				free(nodes);
			max = n + 8;
			nodes = malloc(max * sizeof(struct fs_node *));
			if (!nodes)
				abort(); /* caches that nobody corrects: better no session */
		}
	}
	pthread_mutex_unlock(&w->lock);
	w->ever_busy = w->ever_busy || (!own && mask & IN_MODIFY);
	for (size_t i = 0; i < n; i++) {
		const struct fs_change c = {.dir = nodes[i], .name = name, .mask = mask};

		if (own)
			end_of_writing(w, nodes[i], name);
		else
			fs_watch_i_tell(w->teller, &c);
		fs_node_put(t, nodes[i]);
	}
	if (nodes != few)
		free(nodes);
}

/* One record about which directory, and which name in it. @return whether it was one */
static bool on_record(struct fs_watch *w, const struct fanotify_event_metadata *m,
		      const struct fanotify_event_info_header *h)
{
	const struct fanotify_event_info_fid *f = (const void *)h;
	const struct file_handle *fh = (const void *)f->handle;
	const char *name = ".";
	struct key k;

	if (h->info_type != FAN_EVENT_INFO_TYPE_DFID_NAME &&
	    h->info_type != FAN_EVENT_INFO_TYPE_DFID)
		return false;
	if (fh->handle_bytes > MAX_HANDLE_SZ)
		return false;
	if (h->info_type == FAN_EVENT_INFO_TYPE_DFID_NAME)
		name = (const char *)fh->f_handle + fh->handle_bytes;
	set_key(&k, &f->fsid, fh->handle_type, fh->f_handle, fh->handle_bytes);
	on_change(w, &k, name, (uint32_t)m->mask, m->pid == w->self);
	if (m->mask & FAN_DELETE_SELF && strcmp(name, ".") == 0)
		forget(w, &k);
	return true;
}

static void on_fanotify(struct fs_watch *w, const char *buf, ssize_t len)
{
	const char *end = buf + len, *event_end;
	struct fanotify_event_metadata m;

	for (; end - buf >= (ssize_t)sizeof(m); buf = event_end) {
		memcpy(&m, buf, sizeof(m)); /* events are aligned to 4 bytes only */
		event_end = buf + m.event_len;
		if (m.mask & FAN_Q_OVERFLOW)
			fs_watch_i_tell_all(w->teller);
		for (const char *at = buf + m.metadata_len; at < event_end;) {
			const struct fanotify_event_info_header *h = (const void *)at;

			if (on_record(w, &m, h))
				break;
			at += h->len;
		}
	}
}

static void on_inotify(struct fs_watch *w, const char *buf, ssize_t len)
{
	const struct inotify_event *ev;
	struct key k;

	for (const char *at = buf; at < buf + len; at += sizeof(*ev) + ev->len) {
		ev = (const void *)at;
		if (ev->mask & IN_Q_OVERFLOW) {
			fs_watch_i_tell_all(w->teller);
			continue;
		}
		set_key_number(&k, ev->wd);
		if (ev->mask & IN_IGNORED)
			forget(w, &k);
		else
			on_change(w, &k, ev->len ? ev->name : ".", ev->mask, false);
	}
}

static void *reader(void *arg)
{
	static _Alignas(struct fanotify_event_metadata) char buf[65536];
	const struct timespec pause = {0, PAUSE_NS};
	struct fs_watch *w = arg;

	for (;;) {
		ssize_t n = read(w->fd, buf, sizeof(buf));

		if (n < 0 && errno != EINTR && errno != EAGAIN) {
			log_err("the watch on the host's changes has failed: %s", strerror(errno));
			abort();
		}
		if (n > 0 && w->fanotify)
			on_fanotify(w, buf, n);
		else if (n > 0)
			on_inotify(w, buf, n);
		nanosleep(&pause, NULL);
	}
	return NULL;
}

/* ---- life ---- */

static int open_group(struct fs_watch *w, bool is_root)
{
	unsigned flags = FAN_CLASS_NOTIF | FAN_CLOEXEC | FAN_REPORT_DFID_NAME;
	const char *how = getenv("AGENTSH_FS_WATCH"); /* for tests: "inotify", "none" */

	if (how && strcmp(how, "none") == 0)
		return -1;
	w->fanotify = true;
	if (!how && is_root)
		w->fd = fanotify_init(flags | FAN_UNLIMITED_MARKS, O_RDONLY);
	if (!how && w->fd < 0)
		w->fd = fanotify_init(flags, O_RDONLY);
	if (w->fd >= 0)
		return w->fd;
	w->fanotify = false;
	w->fd = inotify_init1(IN_CLOEXEC);
	return w->fd;
}

int fs_watch_init(struct fs *fs)
{
	struct fs_watch *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->fs = fs;
	w->fd = -1;
	w->self = getpid();
	w->n_buckets = 256;
	w->buckets = calloc(w->n_buckets, sizeof(struct dir *));
	if (!w->buckets || fs_watch_i_teller_new(&w->teller, fs) < 0) {
		free(w->buckets);
		free(w);
		return -ENOMEM;
	}
	pthread_mutex_init(&w->lock, NULL);
	if (open_group(w, fs->gate.is_root) < 0) {
		say(w, "neither fanotify nor inotify");
		free(w->teller);
		free(w->buckets);
		free(w);
		return 0;
	}
	fs->watch = w;
	return 0;
}

int fs_watch_start(struct fs *fs)
{
	pthread_t t;
	int r;

	if (!fs->watch)
		return 0;
	r = -pthread_create(&t, NULL, reader, fs->watch);
	if (r == 0)
		pthread_detach(t);
	return r;
}
