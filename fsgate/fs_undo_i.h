/*
 * fs_undo_i.h - the store, shared by fs_undo*.c
 */
#ifndef FSGATE_FS_UNDO_I_H
#define FSGATE_FS_UNDO_I_H

#include <pthread.h>
#include <stdatomic.h>

#include "common/undo.h"
#include "fsgate/fs_undo.h"

/* ---- fs_undo_table.c: what is known of an inode ---- */

enum fs_undo_fact {
	FS_UNDO_PLACED = 1u << 0, /**< the journal has said where it is */
	FS_UNDO_BORN = 1u << 1,	  /**< made in this session */
	FS_UNDO_KEPT = 1u << 2,	  /**< the store has a link to it */
	FS_UNDO_SEEN = 1u << 3,	  /**< object and attr are those of its last version kept */
};

struct fs_undo_inode {
	uint64_t dev, ino; /* ino 0: a free slot */
	uint32_t facts, missing;
	uint64_t object, size;
	struct undo_time mtime, ctime;
};

struct fs_undo_table {
	struct fs_undo_inode *v;
	size_t size, used; /* power of two; used counts removed ones, too */
};

struct fs_undo_inode *fs_undo_table_find(const struct fs_undo_table *t, struct undo_ref ref);
/** @return NULL on ENOMEM, or when the table is as large as it may be */
struct fs_undo_inode *fs_undo_table_add(struct fs_undo_table *t, struct undo_ref ref);
/** Its number may be another file's from now on. */
void fs_undo_table_forget(struct fs_undo_table *t, struct undo_ref ref);

#define PENDING_SIZE 8192u
#define SHARDS 64u

struct fs_undo {
	int dir;     /* STATE/undo/SESSION */
	int objects; /* directory */
	int journal; /* O_APPEND */
	dev_t dev;   /* of objects */
	bool required;
	uint64_t max_bytes, max_file;
	const char **exclude; /* globs on sandbox paths; the strings are the gate's */
	size_t n_exclude;

	_Atomic uint64_t bytes, n_objects, next_object, next_op;
	atomic_bool said_missing;
	/* a file system that rename(2) does not reach from the tree: do not try again */
	_Atomic uint64_t far_dev;

	pthread_mutex_t lock; /* journal, pending */
	uint8_t pending[PENDING_SIZE];
	size_t n_pending;
	bool gap;
	/* not behind the journal's lock: a slow disk must not hold up who just looks at a file */
	pthread_mutex_t table_lock;
	struct fs_undo_table table;

	/* two names of one inode go one after the other: only the first link needs keeping */
	pthread_mutex_t shards[SHARDS];
};

/* ---- fs_undo.c ---- */

/** The frames of one operation, put together and written in one piece. */
struct fs_undo_batch {
	struct fs_undo *u;
	uint64_t pseq, op, wall_ns;
	uint8_t *buf; /* small, or from malloc */
	size_t len, size;
	bool failed;
	uint8_t small[4096];
};

void fs_undo_i_begin(struct fs_undo_batch *b, struct fs_call *c);
void fs_undo_i_put(struct fs_undo_batch *b, struct undo_frame *f);
/** Where the inode is, unless the journal has it already. */
void fs_undo_i_place(struct fs_undo_batch *b, struct fs *fs, struct fs_node *n);
/** Write, and let go of the batch. @return 0 or -errno */
int fs_undo_i_commit(struct fs_undo_batch *b);
/** The journal could not be written, or something not be kept. @return 0 or -EDQUOT */
int fs_undo_i_tolerate(struct fs_undo *u, const char *what);
bool fs_undo_i_excluded(const struct fs_undo *u, const char *path);

/* ---- fs_undo_keep.c ---- */

void fs_undo_i_object(char name[24], uint64_t object);

/** An inode whose last name may go. */
struct fs_undo_keeping {
	struct undo_frame keep; /**< UNDO_KEEP, to be written before the act */
	bool needed;		/**< false: it lives on by another name, or is kept already */
	uint64_t bytes;		/**< taken from the quota */
};

/**
 * Decide how the inode of dirfd/name is kept; a copy is made here.
 *
 * @param path  sandbox path, for the policy's exclude
 */
void fs_undo_i_keep(struct fs_undo_keeping *k, struct fs_undo *u, const char *path, int dirfd,
		    const char *name, const struct stat *st);

/** The store has got its link: remember. */
void fs_undo_i_kept(struct fs_undo *u, const struct stat *st);
/** The link could not be made; a copy is tried. The keep frame is what holds now. */
void fs_undo_i_not_linked(struct fs_undo_keeping *k, struct fs_undo *u, int dirfd,
			  const char *name, const struct stat *st, int error);

/** Copy a file's content: sets object and flags of f. @param first  it is as before the session */
void fs_undo_i_copy(struct undo_frame *f, struct fs_undo *u, int fd, const struct stat *st,
		    bool first);

#endif
