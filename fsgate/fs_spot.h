/*
 * fs_spot.h - which nodes stand for a watched directory, and how long attributes are good for
 *
 * A spot is one directory of the backing tree, known to the watcher (fs_watch.h) by its file
 * handle. Several nodes may have it: after a move by the host, the old name's node lives on for as
 * long as someone stands in it.
 *
 * Threads: everything locks the tree by itself.
 */
#ifndef FSGATE_FS_SPOT_H
#define FSGATE_FS_SPOT_H

#include "fsgate/fs_node.h"

struct fs_spot; /* opaque: fs_node_spot.c; owned by the watcher until fs_spot_drop() */

/** @return NULL on ENOMEM */
struct fs_spot *fs_spot_new(void);
/** Nobody will ask for it again; freed with its last node. */
void fs_spot_drop(struct fs_tree *t, struct fs_spot *p);

/** The directory n is watched, as p. */
void fs_spot_put(struct fs_tree *t, struct fs_spot *p, struct fs_node *n);
/** The directory n cannot be watched. */
void fs_spot_refuse(struct fs_tree *t, struct fs_node *n);
/** Is n a directory of which it is not known yet whether it can be watched? */
bool fs_spot_open(struct fs_tree *t, struct fs_node *n);
bool fs_spot_is_watched(struct fs_tree *t, struct fs_node *n);

/**
 * Hold the nodes of the spot.
 *
 * @param changed  someone else changed something in it: count that
 * @param out      at most max nodes, each to be given back with fs_node_put()
 * @return how many there are, perhaps more than max: then none is held
 */
size_t fs_spot_nodes(struct fs_tree *t, struct fs_spot *p, bool changed, struct fs_node **out,
		      size_t max);
/** How many nodes have the spot? */
size_t fs_spot_count(struct fs_tree *t, struct fs_spot *p);

/**
 * Changes counted so far, in all spots. Whoever takes the number, looks at a file, makes its node
 * known and finds the number unchanged has seen nothing that a change could have missed.
 */
uint64_t fs_spot_changes(struct fs_tree *t);

/** A request about the node waits for a person, and with it what the kernel has locked. */
void fs_spot_hold(struct fs_tree *t, struct fs_node *n, int by);
bool fs_spot_is_held(struct fs_tree *t, struct fs_node *n);

/** Someone outside writes to the file (true), or has closed it. */
void fs_spot_busy(struct fs_tree *t, struct fs_node *n, bool yes);

/**
 * Was the kernel told of these attributes already? If not, fn is called under the tree's lock, so that
 * nobody tells it of them meanwhile: fn must not block, nor use the tree.
 *
 * @param was  fs_spot_last() from before the attributes were read
 * @return false: it was told of others since, read them again
 */
bool fs_spot_told(struct fs_tree *t, struct fs_node *n, const struct stat *st, uint64_t was,
		  void (*fn)(void *arg), void *arg);
/** A number for what the kernel was told last. */
uint64_t fs_spot_last(struct fs_tree *t, struct fs_node *n);

/** Mark (or unmark) that the pages are going to be dropped. @return whether that is news */
bool fs_spot_pages_due(struct fs_tree *t, struct fs_node *n, bool due);

enum fs_trust {
	FS_TRUST_NOT,  /**< it may change unseen, and soon it will be known whether: ask each time */
	FS_TRUST_SOON, /**< it may change unseen */
	FS_TRUST_LONG, /**< every change is told */
};
/** For the attributes of a node. @param since  changes counted before they were read */
enum fs_trust fs_spot_trust(struct fs_tree *t, struct fs_node *n, uint64_t since);

/** Up to max nodes in part i of the table, held; for walks over all. @return -1: no such part */
int fs_spot_all(struct fs_tree *t, size_t i, struct fs_node **out, size_t max);

/** Hold nodes of the file, other than not. @return how many, at most max */
size_t fs_spot_links(struct fs_tree *t, const struct stat *st, const struct fs_node *no,
		      struct fs_node **out, size_t max);

#endif
