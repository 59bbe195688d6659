/*
 * undo_i.h - what a session changed, worked out from its journal (docs/UNDO.md)
 *
 * A slot is a name in a directory that is known by its inode; an inode has an identity of its own,
 * because its number may be another file's later. For each slot: what it held at the wanted moment
 * ("then") and what the session left there ("last"). For each inode: content and attributes then.
 * So the state to restore is absolute: nothing depends on how far an earlier undo came.
 *
 * undo_load.c  journal -> model         undo_find.c    where things are on disk now
 * undo_list.c  what differs, conflicts  undo_run.c, undo_place.c  make it so
 */
#ifndef AGENTSH_UNDO_I_H
#define AGENTSH_UNDO_I_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "common/auto.h"
#include "common/dirs.h"
#include "common/err.h"
#include "common/undo.h"

#define UNDO_NONE UINT32_MAX	     /**< nothing has the name */
#define UNDO_UNKNOWN (UINT32_MAX - 1) /**< something that was just being made when fsgate died */

struct undo_slot {
	uint32_t dir;	/**< inode */
	char *name;	/**< owned */
	uint32_t then;	/**< inode or UNDO_NONE */
	uint32_t last;	/**< inode, UNDO_NONE or UNDO_UNKNOWN */
	uint64_t op;	/**< that set last */
	uint64_t wall_ns; /**< of that */
	uint32_t next;	/**< in the hash chain */
	bool touched;	/**< after the wanted moment */
	/* undo_list.c */
	bool selected, present, right, conflict, moved_here;
	uint32_t actual; /**< inode or UNDO_UNKNOWN, when present */
	struct stat st;	 /**< when present */
};

struct undo_inode {
	struct undo_ref ref; /**< as the session knew it */
	struct undo_ref now; /**< after an undo: the new one; ino 0: its number may be another's */
	uint32_t next;	     /**< in the hash chain of refs: older life of the same number */
	int root;	     /**< index of the governed root that it is, -1 */
	bool dead;	     /**< it went with its last name */
	bool reused;	     /**< its number is another inode's by now */
	bool changed;	     /**< after the wanted moment */
	bool selected, conflict;
	mode_t type;
	struct undo_frame keep_inode, keep_copy; /**< type 0: none */
	struct undo_frame data;			 /**< the first after the moment; type 0: none */
	bool has_attr, has_mtime, has_xattrs, has_stamp;
	struct undo_attr attr; /**< then: mode, owner, size */
	struct undo_time mtime; /**< then */
	struct undo_text xattrs;
	struct undo_attr stamp; /**< what the session left, when nothing came after */
	uint32_t *slots;	/**< every one it was ever in */
	size_t n_slots;
	/* undo_find.c */
	uint32_t next_now;
	bool busy;
	uint32_t renamed; /**< undo_list.c: number of the change that tells it, plus 1 */
	uint32_t staged; /**< number of the stage that has it, plus 1 */
};

struct undo_root {
	char *path, *host;
	uint64_t dev; /**< as the session knew it */
	int fd;	      /**< O_PATH; -1: it is gone */
	struct stat st;
	int stage; /**< directory on this file system for things on their way; -1 */
};

struct undo_span {
	uint64_t from_ns, to_ns;
};

struct undo_model {
	char store[PATH_MAX];
	int store_fd, objects_fd, undone_fd;
	uint8_t *journal, *undone; /**< frames borrow from these */
	size_t journal_len, undone_len;
	bool all;	/**< the wanted moment is the session's start */
	uint64_t cut;	/**< else: frames with a larger pseq are after it */
	struct undo_slot *slots;
	size_t n_slots, max_slots;
	struct undo_inode *inodes;
	size_t n_inodes, max_inodes;
	uint32_t *slot_hash, *inode_hash; /**< of undo_load.c's HASH_SIZE */
	uint32_t *now_hash; /**< by the number on disk; NULL until it is needed */
	struct undo_root *roots;
	size_t n_roots;
	uint32_t *op_slot; /**< slot of an ADD; UNDO_NONE */
	uint8_t *op_failed;
	uint32_t *aliased; /**< inodes with an alias */
	size_t n_aliased;
	uint64_t n_ops;
	bool ended, gap;
	size_t damaged; /**< bytes that were no good frame */
	uint64_t start_ns;
	uint64_t end_ns; /**< what has a later ctime was changed after the session */
	struct undo_span *runs; /**< times at which an undo was at work */
	size_t n_runs;
	bool out_of_memory;
};

/* ---- undo_load.c ---- */

/** @param seq_cut  pseq of the wanted moment; all: the start */
int undo_load(struct undo_model **out, const struct dirs *dirs, const char *session, bool all,
	      uint64_t cut, struct err *e);
/** The inode came back with another number; whoever had that number is gone. */
void undo_set_alias(struct undo_model *m, uint32_t inode, struct undo_ref now);
void undo_free(struct undo_model *m);
AUTO_DEFINE(struct undo_model *, undo_free)

/* ---- undo_find.c ---- */

struct undo_place {
	int fd; /**< borrowed: of a root or a stage */
	char path[PATH_MAX]; /**< below it; "" itself */
};

/** Where the inode is now. @return false: nowhere */
bool undo_find(struct undo_model *m, uint32_t inode, struct undo_place *p);
/** Open a place, never through a link. @return fd or -errno */
int undo_open_at(const struct undo_place *p, int flags);
/** The directory of a slot, O_PATH. @return fd or -errno (-ENOENT: it is nowhere) */
int undo_open_dir(struct undo_model *m, const struct undo_slot *s);
/** Open inode. */
int undo_open(struct undo_model *m, uint32_t inode, int flags);
/** Which inode of the model is this? @return UNDO_UNKNOWN: none */
uint32_t undo_identify(struct undo_model *m, const struct stat *st);
bool undo_is(const struct undo_model *m, uint32_t inode, const struct stat *st);
/** Did an undo change it last? */
bool undo_in_run(const struct undo_model *m, const struct stat *st);
/** Was st last changed by the session, or by an undo? @param inode  or UNDO_UNKNOWN */
bool undo_is_ours(const struct undo_model *m, uint32_t inode, const struct stat *st);
/** Host path of a slot as it is now, or was then. @return false: it has none */
bool undo_path_now(struct undo_model *m, const struct undo_slot *s, char *out, size_t size);
bool undo_path_then(struct undo_model *m, const struct undo_slot *s, char *out, size_t size);
/** Of an inode, then. */
bool undo_inode_path_then(struct undo_model *m, uint32_t inode, char *out, size_t size);
bool undo_inode_path_now(struct undo_model *m, uint32_t inode, char *out, size_t size);

/* ---- undo_list.c ---- */

enum undo_kind {
	UNDO_ADDED,
	UNDO_DELETED,
	UNDO_MODIFIED, /**< content: perhaps by another file of the same name */
	UNDO_RENAMED,
	UNDO_MODE, /**< attributes only */
};

/** One thing that the session did to a path, as it shows now. */
struct undo_change {
	enum undo_kind kind;
	char *path;	   /**< then; of what was added: now. Host path, owned */
	char *to;	   /**< RENAMED: now; owned */
	uint32_t then, now; /**< inodes; UNDO_NONE, UNDO_UNKNOWN */
	uint32_t slot;	   /**< that it was found by; UNDO_NONE */
	bool content;	   /**< RENAMED: modified as well */
	bool conflict;
	const char *why;   /**< of a conflict, or of what cannot be restored */
};

struct undo_changes {
	struct undo_change *v;
	size_t n;
};

/**
 * Compare the disk with then.
 *
 * @param paths  host paths: only what is there or below; n_paths 0: all
 * @param force  what was changed since is no conflict
 */
int undo_list(struct undo_changes *out, struct undo_model *m, char *const *paths, size_t n_paths,
	      bool force);
void undo_changes_free(struct undo_changes *c);

/** Is the content another one than then? False when the inode is nowhere. */
bool undo_content_differs(struct undo_model *m, uint32_t inode);

/** Why what the inode held then cannot be had any more; NULL: it can. */
const char *undo_missing(const struct undo_model *m, uint32_t inode);

/* ---- undo_run.c ---- */

typedef void undo_say_fn(void *arg, const char *path, const char *what);

struct undo_work {
	struct undo_model *m;
	bool force;
	undo_say_fn *problem; /**< what was not done, and why */
	void *arg;
	unsigned n_problems;
};

/** Make it so; undo_list() has marked what. @return 0 or -errno: it was broken off */
int undo_run(struct undo_work *w, struct err *e);
void undo_problem(struct undo_work *w, const char *path, const char *what);
int undo_note(struct undo_model *m, struct undo_frame *f);

/* ---- undo_place.c ---- */

/** Find what an interrupted undo has left on its way. */
void undo_open_stages(struct undo_model *m);
/** Remove what is left in the stages, and them. */
void undo_close_stages(struct undo_work *w);
/** Remove dir/name with everything in it. @return 0 or -errno */
int undo_remove_tree(int dir, const char *name, unsigned depth);

/** Take away what is in the slot: to a stage when it is needed, else for good. */
void undo_evacuate(struct undo_work *w, struct undo_slot *s, bool wanted);
/** Put into the slot what it held then. */
void undo_put_back(struct undo_work *w, struct undo_slot *s);

#endif
