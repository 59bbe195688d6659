/*
 * fs_call.h - one request that the policy is asked about
 *
 * Flow:    fs_call_run(): judge -> record -> act -> reply, or: judge -> hold, and all of it again
 *          in a thread of its own when a person has allowed it (the names may have changed: an
 *          approval is for the very paths that were shown, else it is asked again).
 * Rules:   judge fills paths and answer; act replies, or returns -errno and the call replies.
 *          Nothing has been changed when the record of it is refused.
 * Memory:  a call lives on the worker's stack and borrows its strings; a held one owns copies.
 */
#ifndef FSGATE_FS_CALL_H
#define FSGATE_FS_CALL_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/trash.h"
#include "fsgate/fs.h"
#include "fsgate/fs_decide.h"
#include "fsgate/fs_who.h"

struct fs_call;

enum fs_names {
	FS_NAMES_NONE,	/**< adds no name */
	FS_NAMES_SHARE, /**< adds one: must not happen while a directory is being moved */
	FS_NAMES_OWN,	/**< may move a directory */
};

/** What it means for a call that the policy redirects it (fs_redirect.h). */
enum fs_steer {
	FS_STEER_NEVER, /**< it cannot be: denied */
	FS_STEER_NODE,	/**< it is about the node: act on it when it is the target */
	FS_STEER_NAME,	/**< it makes or removes names: act knows how */
};

/** What kind of request it is. */
struct fs_kind {
	const char *op; /**< in records and approvals */
	int (*judge)(struct fs_call *c);
	int (*act)(struct fs_call *c);
	enum fs_names names;
	enum fs_steer steer;
	bool changes;	 /**< the backing tree: recorded always, before the act */
	bool late;	 /**< act records by itself, when it knows more (open, lookup) */
	bool quiet;	 /**< recorded only when denied, audited or approved */
	bool repetitive; /**< the same denial is recorded once in a while (lookup) */
};

struct fs_approval {
	bool given;
	uint32_t id;
	uint64_t waited_ms;
	char approver[64];
	char *path, *to; /**< what was approved; owned */
};

/** What goes away and is kept (fs_trash.h). */
struct fs_kept {
	char token[TRASH_TOKEN_LEN + 1]; /**< "": nothing */
	char sha256[65];		 /**< hex; "": not known */
	enum trash_why why;
};

struct fs_call {
	struct fs *fs;
	fuse_req_t req;
	const struct fs_kind *kind;
	struct fs_node *node;	 /**< the subject, or the directory of name */
	struct fs_node *node2;	 /**< directory of name2 */
	const char *name, *name2;
	const char *text;	 /**< target of a symbolic link, name of an attribute */
	const void *value;	 /**< of an attribute */
	size_t size;		 /**< of value */
	mode_t mode;
	dev_t rdev;
	int flags;		 /**< of open, rename, setxattr; FUSE_SET_ATTR_* */
	struct stat attr;	 /**< setattr */
	struct fuse_file_info fi;
	bool has_fi;
	bool passes;		 /**< open, create: the kernel will read and write by itself */
	struct fuse_entry_param entry; /**< lookup: what judge found; ino 0: nothing is there */
	char path[PATH_MAX];	 /**< set by judge */
	char to[PATH_MAX];	 /**< "" when there is no second path */
	char because[PATH_MAX];	 /**< path that decided, when it is neither of these */
	struct fs_answer answer;
	const char *op;		 /**< kind's, or a more exact one from judge */
	bool recorded;
	bool steered; /**< the name stands for its target, and that is what goes or moves */
	struct fs_kept kept;
	uint64_t pseq;		 /**< of its record; 0: none */
	struct fs_who_is who; /**< pid 0 until fs_call_who() */
	struct fs_approval approval;
};

/** @param node  of ino; the rest of the arguments is filled in by the caller */
void fs_call_init(struct fs_call *c, fuse_req_t req, const struct fs_kind *kind, fuse_ino_t ino);

/** The process that asks. */
const struct fs_who_is *fs_call_who(struct fs_call *c);

/** Always replies, now or later. */
void fs_call_run(struct fs_call *c);

/** Record that it is refused, and reply. */
void fs_call_refuse(struct fs_call *c, int error);

/** For a late kind: record what was decided, and how the opening went. @return 0 or -errno: deny */
int fs_call_record(struct fs_call *c, int error);

/** Judge the making of node/c->name with c->mode. @return 0, -errno */
int fs_call_judge_new(struct fs_call *c, enum file_op op);

/** Judge one operation on node/name (name may be NULL): fills path and answer. @return 0, -errno */
int fs_call_judge(struct fs_call *c, enum file_op op, const char *name);

#endif
