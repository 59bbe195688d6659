/*
 * fs_node.h - the names that the sandbox has looked up, and the backing files behind them
 *
 * A node is a name: (parent node, component), never an inode. Two hard links are two nodes, so
 * each can have its own verdict, and a node's sandbox path is known by construction.
 *
 * Descriptors: directories keep an O_PATH descriptor (least recently used ones are closed over a
 *              cap and opened again from their parent); files have none until they are used.
 * Identity:    every use opens or stats one component below the parent's descriptor, without
 *              following links, and compares device, inode and type with the node's.
 * Life:        a node lives while the kernel has looked it up, a child needs it, or someone holds
 *              it. A node whose name is gone is detached: it keeps its own descriptor.
 * Threads:     every function locks the tree by itself; no system call is made under the lock
 *              but dup and close.
 */
#ifndef FSGATE_FS_NODE_H
#define FSGATE_FS_NODE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "common/auto.h"

struct fs_tree; /* opaque: fs_node.c */
struct fs_node; /* opaque: fs_node.c */
struct fs_file;

/** What the kernel was told last about a file; when it differs, caches are stale. */
struct fs_stamp {
	struct timespec mtime, ctime;
	off_t size;
};

/** How often a node is open, and how: fs_pass.c, under its lock. */
struct fs_io_count {
	uint32_t cached, passed;
	int32_t id; /**< backing id, while passed is not 0 */
};

/** A descriptor of a node, borrowed until fs_node_unpin(). */
struct fs_pin {
	int fd;		      /**< O_PATH */
	struct fs_shared *shared; /**< NULL: fd is the pin's own */
};

/** Where a node is now. */
struct fs_where {
	struct fs_pin at;	 /**< its parent directory; the node itself when self is set */
	char name[NAME_MAX + 1]; /**< in that directory; "" when self is set */
	bool self;
};

/** @param max_fds  directory descriptors kept open at most */
int fs_tree_new(struct fs_tree **out, unsigned max_fds);
void fs_tree_free(struct fs_tree *t);
AUTO_DEFINE(struct fs_tree *, fs_tree_free)

/** The directory that holds the governed roots; it has no backing. */
struct fs_node *fs_tree_top(struct fs_tree *t);

/**
 * Add a governed root below the top.
 *
 * @param name  "r0", ...
 * @param path  as the sandbox sees it
 * @param fd    O_PATH descriptor of the host's directory or file; consumed, also on failure
 */
int fs_tree_add_root(struct fs_tree *t, const char *name, const char *path, int fd);

/** The mount shows the first governed root itself; to be called before anything is served. */
void fs_tree_alone(struct fs_tree *t);

/** How many nodes there are, the top and the roots included. */
size_t fs_tree_count(struct fs_tree *t);

/** Name of the nth governed root, in order of addition, or NULL; borrowed. */
const char *fs_tree_root_name(struct fs_tree *t, unsigned n);

/** Is this the directory of a governed root? */
bool fs_tree_is_root(struct fs_tree *t, dev_t dev, ino_t ino);

/** 1 is the top, others are nodes that the kernel was told of. */
struct fs_node *fs_node_of(struct fs_tree *t, uint64_t ino);
uint64_t fs_node_ino(struct fs_tree *t, const struct fs_node *n);

/**
 * The node of a name that was just seen with these attributes; counts one kernel lookup.
 *
 * A known node that turns out to be another file is detached and a new one takes the name.
 *
 * @param fd  a descriptor that backs the node for ever (an override), or -1; consumed
 * @return NULL on ENOMEM
 */
struct fs_node *fs_node_seen(struct fs_tree *t, struct fs_node *parent, const char *name,
			     const struct stat *st, int fd);

/** The same for a redirected name: fd is an O_PATH descriptor of its target, and backs the node. */
struct fs_node *fs_node_seen_elsewhere(struct fs_tree *t, struct fs_node *parent, const char *name,
				       const struct stat *st, int fd);

/**
 * A file that was made without a name (O_TMPFILE); counts one kernel lookup.
 *
 * @param shown  stands for the name in paths
 * @param fd     backs the node for ever; consumed, also on failure
 * @return NULL on ENOMEM
 */
struct fs_node *fs_node_nameless(struct fs_tree *t, struct fs_node *parent, const char *shown,
				 const struct stat *st, int fd);
bool fs_node_is_nameless(const struct fs_node *n);

/** The node of a name, held, or NULL; give it back with fs_node_put(). */
struct fs_node *fs_node_find(struct fs_tree *t, struct fs_node *parent, const char *name);
void fs_node_hold(struct fs_tree *t, struct fs_node *n);
void fs_node_put(struct fs_tree *t, struct fs_node *n);

/** The kernel forgets so many lookups. */
void fs_node_forget(struct fs_tree *t, struct fs_node *n, uint64_t lookups);

/**
 * Sandbox path of a node, or of a name in it.
 *
 * @param name  component below n, or NULL for n itself
 * @return 0, -ENAMETOOLONG, or -ENOENT for the top
 */
int fs_node_path(struct fs_tree *t, struct fs_node *n, const char *name, char *buf, size_t size);

/** File type bits (S_IFMT). */
mode_t fs_node_type(const struct fs_node *n);
dev_t fs_node_dev(const struct fs_node *n);
ino_t fs_node_inum(const struct fs_node *n);
/** The file is shown in place of the host's and cannot be changed. */
bool fs_node_is_override(const struct fs_node *n);
/** The name is redirected, and this is its target. */
bool fs_node_is_elsewhere(const struct fs_node *n);
/** A governed root, or the top: it has no name that could be removed or changed. */
bool fs_node_is_fixed(const struct fs_node *n);

/** The node's O_PATH descriptor, verified to be this node's file. @return 0 or -errno (-ESTALE) */
int fs_node_pin(struct fs_tree *t, struct fs_node *n, struct fs_pin *out);
void fs_node_unpin(struct fs_tree *t, struct fs_pin *pin);

/** @return 0 or -errno; release with fs_node_unpin(t, &w->at) */
int fs_node_where(struct fs_tree *t, struct fs_node *n, struct fs_where *w);

/** Its directory, held, and its name there; NULL when it has none (a root, or its name is gone). */
struct fs_node *fs_node_parent(struct fs_tree *t, struct fs_node *n, char name[NAME_MAX + 1]);

/** True when st is of the node's file. */
bool fs_node_is(const struct fs_node *n, const struct stat *st);

/**
 * st is what the node's name leads to now: is it the node's file? When it is not, but the node was
 * never opened and both have the same owner and mode, the node becomes that file: the host may replace a file (git's index) faster than the
 * kernel looks it up and opens it, and the kernel tries no more than twice.
 */
bool fs_node_accept(struct fs_tree *t, struct fs_node *n, const struct stat *st);

/** Its name is gone (or is another file's): keep fd (consumed, may be -1) as its only access. */
void fs_node_detach(struct fs_tree *t, struct fs_node *n, int fd);

/** Something new was just made under this name: whatever had it before is another file, even one
 *  with the same inode number. */
void fs_node_free_name(struct fs_tree *t, struct fs_node *parent, const char *name);

/** The name was found to be free, or another file's: n, if it still has it, is detached. */
void fs_node_lost(struct fs_tree *t, struct fs_node *parent, const char *name, struct fs_node *n);

/** After a rename: what was name in parent is now new_name in new_parent; what was there is
 *  detached with fd (consumed, may be -1). */
void fs_node_moved(struct fs_tree *t, struct fs_node *parent, const char *name,
		   struct fs_node *new_parent, const char *new_name, int fd);
/** After RENAME_EXCHANGE. */
void fs_node_swapped(struct fs_tree *t, struct fs_node *a, const char *a_name, struct fs_node *b,
		     const char *b_name);

/** True when n is dir or lies below it. */
bool fs_node_below(struct fs_tree *t, struct fs_node *n, const struct fs_node *dir);

/** A symbolic link's attributes were changed through its node: its ctime was before's, is after's. */
void fs_node_touched(struct fs_tree *t, struct fs_node *n, const struct stat *before,
		     const struct stat *after);

/** Open files of a node, so that a file whose name is gone can still be looked at. */
void fs_node_add_file(struct fs_tree *t, struct fs_node *n, struct fs_file *f, int fd);
void fs_node_del_file(struct fs_tree *t, struct fs_node *n, struct fs_file *f);
/** Is the file open by a name that it has no more? Then it changes unseen by its other names. */
bool fs_tree_is_stray(struct fs_tree *t, const struct stat *st);
/** A copy of some open file's descriptor, owned by the caller; -1 when none is open. */
int fs_node_dup_file(struct fs_tree *t, struct fs_node *n);
/** fs_node_pin(), but by an open file where there is one: quicker, and it may be no O_PATH one. */
int fs_node_pin_open(struct fs_tree *t, struct fs_node *n, struct fs_pin *out);

struct fs_io_count *fs_node_io(struct fs_node *n);

enum fs_stamp_of { FS_STAMP_ATTR, FS_STAMP_DATA };
/** Replace the stamp. @return true when it was the same before */
bool fs_node_stamp(struct fs_tree *t, struct fs_node *n, enum fs_stamp_of which,
		   const struct stat *st);
/** What the kernel has of it is not to be believed at the next open. */
void fs_node_unstamp(struct fs_tree *t, struct fs_node *n, enum fs_stamp_of which);

/** Facts about the name that were worked out once; cleared when the node or an ancestor moves. */
enum fs_fact {
	FS_STAT_ALLOWED = 1u << 0, /**< looking at it was judged, and permitted */
	FS_LINKS_INSIDE = 1u << 1, /**< all its hard links were found inside, for n_links of them */
};
bool fs_node_fact(struct fs_tree *t, struct fs_node *n, enum fs_fact f, nlink_t links);
void fs_node_set_fact(struct fs_tree *t, struct fs_node *n, enum fs_fact f, nlink_t links);

#endif
