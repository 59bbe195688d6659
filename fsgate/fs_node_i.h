/*
 * fs_node_i.h - inside the node tree: fs_node.c (table, life, paths), fs_node_fd.c (descriptors),
 *               fs_node_move.c (names that change, facts),
 *               fs_node_spot.c (watched directories)
 *
 * Every function here wants the tree's lock held.
 */
#ifndef FSGATE_FS_NODE_I_H
#define FSGATE_FS_NODE_I_H

#include <pthread.h>

#include "fsgate/fs_node.h"

struct fs_shared {
	int fd;
	unsigned users; /* pins, and one for the node that has it */
};

struct open_file {
	struct open_file *next;
	struct fs_file *file;
	int fd; /* borrowed from the file */
};

/* A watched directory: one backing directory, whatever nodes stand for it. */
struct fs_spot {
	struct fs_node *nodes; /* linked by spot_next */
	bool dead;	       /* the directory is gone: freed with its last node */
};

struct fs_node {
	struct fs_node *parent; /* NULL for the top; counted in parent->n_refs */
	struct fs_node *hash_next;
	struct fs_node *warm_prev, *warm_next; /* in the list of evictable descriptors */
	char *name;
	char *root_path; /* governed roots only */
	uint64_t lookups;
	uint32_t n_refs;
	uint32_t facts, facts_epoch;
	nlink_t facts_links;
	dev_t dev;
	ino_t ino;
	mode_t type;
	struct timespec born; /* ctime of a symbolic link: its text never changes under one ctime */
	struct fs_shared *shared;
	struct open_file *files;
	struct fs_stamp stamps[2];
	mode_t told_mode; /* the last the kernel heard, which it checks rights by */
	uid_t told_uid;
	gid_t told_gid;
	uint64_t told; /* with the stamp FS_STAMP_ATTR: the rest of what the kernel was told */
	struct fs_node *stray_next;
	struct fs_io_count io;
	struct fs_spot *spot; /* directories that are watched; set once */
	struct fs_node *spot_next;
	unsigned held; /* requests about it that wait for a person */
	bool hashed;
	bool opened; /* at some time: the kernel may have pages of it */
	bool stray; /* detached while files are open: in the table of those */
	bool fixed;    /* top and governed roots */
	bool nameless; /* made so; it may get names, which are other nodes */
	bool detached; /* its name is not its own any more */
	bool override;
	bool elsewhere; /* its descriptor is of a redirected name's target */
	bool unwatchable; /* a directory that cannot be watched */
	bool busy;	  /* someone outside has it open and writes to it */
	bool pages_due;	  /* its pages are going to be dropped */
};

struct fs_tree {
	pthread_mutex_t lock;
	struct fs_node top;
	struct fs_node **buckets;
	size_t n_buckets; /* power of two */
	size_t n_nodes;
	struct fs_node *roots[256];
	unsigned n_roots;
	bool alone; /* the mount's root is the first governed root, not the top */
	struct fs_node warm; /* list head: warm.warm_next is the most recently used */
	unsigned n_warm, max_warm;
	uint32_t epoch;
	struct fs_node *strays[64]; /* by inode number, see fs_node_stray.c */
	_Atomic unsigned n_strays;
	uint64_t changes; /* made by others, that the watcher has told us of */
};

/** Mode, owner and links of a file, as one number. */
uint64_t fs_node_i_told(const struct stat *st);
bool fs_node_i_same(const struct fs_stamp *s, const struct stat *st);

struct fs_node *fs_node_i_find(struct fs_tree *t, const struct fs_node *parent, const char *name);
void fs_node_i_hash_in(struct fs_tree *t, struct fs_node *n);
void fs_node_i_hash_out(struct fs_tree *t, struct fs_node *n);

/** Free every node from n upwards that nobody needs any more. */
void fs_node_i_reap(struct fs_tree *t, struct fs_node *n);

/** The node goes: its spot does not know it any more. */
void fs_node_i_unspot(struct fs_node *n);

/** Its name is not its own any more: what descriptor it has is all that is left of it. */
void fs_node_i_detach(struct fs_tree *t, struct fs_node *n);

/** To be called whenever a node's name or open files have changed. */
void fs_node_i_stray(struct fs_tree *t, struct fs_node *n);

void fs_node_i_shared_put(struct fs_shared *s);
/** Take a node out of the list of descriptors that may be closed. */
void fs_node_i_cool(struct fs_tree *t, struct fs_node *n);
/** Give the node a descriptor; consumed, also on failure. @return 0 or -ENOMEM */
int fs_node_i_set_shared(struct fs_node *n, int fd);

#endif
