/*
 * policy.h - a compiled policy and the one function that decides
 *
 * Life:     YAML -> policy_load() -> struct policy (a read-only image in a sealed memfd)
 *           -> policy_image_fd() is passed to each gate -> policy_map() there
 * Decide:   policy_decide() is pure and deterministic, does no I/O and allocates nothing
 * Source:   docs/POLICY.md (the format and its semantics)
 * Threads:  a struct policy is immutable; policy_decide() may run in any number of threads
 */
#ifndef COMMON_POLICY_H
#define COMMON_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/auto.h"
#include "common/err.h"
#include "common/verdict.h"

struct policy; /* opaque: policy_i.h */

/** What kind of rule list judges a request. */
enum policy_kind {
	POLICY_FILE,
	POLICY_COMMAND,
	POLICY_NETWORK,
	POLICY_UNIX,
	POLICY_SIGNAL,
	POLICY_ENV,
	POLICY_KINDS,
};

/** File operations; a rule's operations are a mask of 1u << op. */
enum file_op {
	FILE_OPEN,
	FILE_READ,
	FILE_WRITE, /**< includes truncate and fallocate */
	FILE_CREATE,
	FILE_MKDIR,
	FILE_DELETE,
	FILE_RMDIR,
	FILE_RENAME, /**< asked for both names */
	FILE_LINK,   /**< asked for both names */
	FILE_SYMLINK,
	FILE_READLINK,
	FILE_CHMOD,
	FILE_CHOWN,
	FILE_UTIME,
	FILE_XATTR,
	FILE_MKNOD,
	FILE_STAT,
	FILE_LIST,
	FILE_ACCESS,
	FILE_LOCK,
	FILE_EXEC,
	FILE_OPS,
};

/** Operations that only observe: defaults.file_read governs them, defaults.file_write the others. */
#define FILE_READ_OPS                                                                              \
	(1u << FILE_OPEN | 1u << FILE_READ | 1u << FILE_READLINK | 1u << FILE_STAT |               \
	 1u << FILE_LIST | 1u << FILE_ACCESS | 1u << FILE_LOCK | 1u << FILE_EXEC)
#define FILE_ALL_OPS ((1u << FILE_OPS) - 1)

const char *file_op_name(enum file_op op);

enum unix_op { UNIX_CONNECT, UNIX_BIND, UNIX_LISTEN, UNIX_SENDTO, UNIX_OPS };
enum net_proto { NET_TCP, NET_UDP };

enum signal_target {
	SIGNAL_SELF,
	SIGNAL_CHILDREN,
	SIGNAL_DESCENDANTS,
	SIGNAL_SIBLINGS,
	SIGNAL_SESSION,
	SIGNAL_PARENT,
	SIGNAL_EXTERNAL,
	SIGNAL_SYSTEM,
	SIGNAL_USER,
	SIGNAL_PROCESS,
	SIGNAL_PID_RANGE,
	SIGNAL_TARGETS,
};

/** An address netgate is about to dial (or was asked for). */
struct policy_addr {
	uint8_t family;	   /**< 0 (not known yet), 4 or 6 */
	uint8_t bytes[16]; /**< network order; the first 4 for family 4 */
};

/** All strings are borrowed, NUL-terminated and may be NULL where that is said. */
struct policy_request {
	enum policy_kind kind;
	union {
		struct {
			const char *path; /**< absolute, canonical, as the sandbox sees it */
			enum file_op op;
		} file;
		struct {
			const char *invoked;	     /**< absolute path before symlinks */
			const char *exe;	     /**< absolute path after symlinks */
			const char *applet;	     /**< of a multi-call binary, or NULL */
			const char *const *aliases;  /**< other names of this inode or content */
			size_t n_aliases;
			const char *const *argv;     /**< argc entries; argv[0] included */
			size_t argc;
			unsigned depth;		     /**< 0: started by the wrapped command's parent */
			bool trusted_dir;	     /**< exe lies where the sandbox cannot write */
			bool trusted_invoked;	     /**< so does the name in invoked (sh -> dash) */
		} command;
		struct {
			const char *host;	 /**< lower case, no trailing dot; NULL: an IP literal */
			struct policy_addr addr; /**< family 0: only the name is being asked about */
			uint16_t port;		 /**< 0 together with family 0: any port */
			enum net_proto proto;
			const char *method; /**< HTTP, or NULL */
			const char *url_path; /**< canonical, or NULL */
		} network;
		struct {
			const char *path; /**< absolute path, or "@name" for abstract */
			enum unix_op op;
		} unix_socket;
		struct {
			int signo;
			uint32_t relations; /**< mask of 1u << enum signal_target that hold */
			const char *comm;   /**< target's, for type process */
			int64_t pid;	    /**< target's, for pid_range */
		} signal;
		struct {
			const char *name; /**< of an environment variable */
			const char *const *rule_allow; /**< the command rule's env_allow, or NULL */
			size_t n_rule_allow;
		} env;
	};
};

/** Why the verdict is what it is, beside the rule. */
enum policy_reason {
	REASON_RULE,		/**< the named rule matched */
	REASON_DEFAULT,		/**< nothing matched: defaults */
	REASON_PRIVATE_ADDRESS, /**< host's private/loopback/... range, no cidrs names it (rebinding) */
	REASON_UNTRUSTED_DIR,	/**< an allow by bare name, but the program lies in a writable place */
	REASON_REGEX_LIMIT,	/**< a pattern exceeded its match limit */
	REASON_MALFORMED,	/**< the request itself is not one that can be judged */
};

enum policy_log { POLICY_LOG_SUMMARY = 0, POLICY_LOG_NONE, POLICY_LOG_FULL };
enum policy_tls { POLICY_TLS_AUTO = 0, POLICY_TLS_INSPECT, POLICY_TLS_PASSTHROUGH };

struct decision {
	enum verdict verdict;
	enum policy_reason reason;
	const char *rule;	 /**< name; "default" when nothing matched; borrowed from the policy */
	const char *message;	 /**< template or ""; expand with policy_message() */
	const char *redirect_to; /**< file or network redirect target, or "" */
	uint32_t rule_index;	 /**< in its section; UINT32_MAX for a default */
	uint32_t timeout_ms;	 /**< for approve; never 0 */
	enum policy_log log;
	enum policy_tls tls;
	bool preserve_tree;
	const char *http_rule; /**< network: an earlier rule that asks for a method or path, when the
				    request has none; NULL: no such rule. Who cannot see inside the
				    connection must then deny */
};

/**
 * Decide a request.
 *
 * @param d  always written; VERDICT_DENY when anything about the request cannot be judged
 */
void policy_decide(struct decision *d, const struct policy *p, const struct policy_request *r);

/** One considered rule, in order: why it did not match, or that it did. */
typedef void policy_trace_fn(void *arg, uint32_t rule_index, const char *rule, bool matched,
			     const char *why);

/** The same decision by the same code, telling @p fn about every rule it looked at. */
void policy_explain(struct decision *d, const struct policy *p, const struct policy_request *r,
		    policy_trace_fn *fn, void *arg);

/**
 * Could any port or address of this name be allowed? The DNS gate's question. Rules that grant by
 * cidrs alone are about addresses and make no name resolvable.
 *
 * @return the verdict of the first rule that could let a connection through, else VERDICT_DENY
 *         (d then names the refusing rule)
 */
enum verdict policy_name_verdict(struct decision *d, const struct policy *p, const char *host);

/** True when the rule that would allow host names it exactly: its existence may be looked up. */
bool policy_name_is_exact(const struct policy *p, const char *host);

/** What the file rules say about a whole tree, proven from the rules alone. */
enum policy_subtree {
	SUBTREE_MIXED = 0,     /**< cannot be proven: govern it */
	SUBTREE_READ_ONLY,     /**< every read operation allowed and unaudited, every other denied */
	SUBTREE_DENIED,	       /**< every operation denied */
	SUBTREE_ALLOWED,       /**< every operation allowed and unaudited */
};

/** @param dir  absolute; speaks of dir itself and everything below it */
enum policy_subtree policy_subtree(const struct policy *p, const char *dir);

/**
 * The same, leaving out trees that something else answers for.
 *
 * @param except  absolute directories without trailing slash, NULL-terminated; or NULL
 */
enum policy_subtree policy_subtree_except(const struct policy *p, const char *dir,
					  const char *const *except);

/** Could anything strictly below dir, or dir itself, be allowed for reading? */
bool policy_may_read_below(const struct policy *p, const char *dir);

/**
 * Call fn for the literal directory prefix of every pattern of every rule that can grant access
 * ("/usr/", "/home/u/.gitconfig"); what the mount planner starts from.
 */
typedef void policy_prefix_fn(void *arg, const char *prefix, bool is_literal, enum verdict v);
void policy_each_granted_prefix(const struct policy *p, policy_prefix_fn *fn, void *arg);

/** Every bare or absolute name of command rules with that verdict (for the alias table). */
typedef void policy_command_fn(void *arg, const char *command, enum verdict v);
void policy_each_command(const struct policy *p, policy_command_fn *fn, void *arg);

/** What there is among the file rules: 1u << a verdict, and POLICY_HAS_FULL for log: full. */
#define POLICY_HAS_FULL (1u << 31)
uint32_t policy_file_features(const struct policy *p);

/**
 * Where the file rule with this index redirects to.
 *
 * @param preserve  written: the tree above is kept (may be NULL)
 * @return borrowed; NULL: the rule does not redirect
 */
const char *policy_file_redirect(const struct policy *p, uint32_t index, bool *preserve);

/** Whether the defaults let everything through that no rule mentions. */
enum verdict policy_default(const struct policy *p, enum policy_kind kind, bool write);

/**
 * Expand a decision's message template for this request.
 *
 * Untrusted text (paths, arguments, hosts) is escaped and length-capped.
 *
 * @param session  its name, for {{.Session}}
 */
void policy_message(char *buf, size_t size, const struct decision *d,
		    const struct policy_request *r, const char *session);

/* ---- environment ---- */

typedef void policy_env_fn(void *arg, const char *key, const char *value);
/** env_inject entries, variables already expanded. */
void policy_each_env_inject(const struct policy *p, policy_env_fn *fn, void *arg);

/* ---- what a command rule says beside its verdict ---- */

enum policy_command_list {
	COMMAND_ARGS,	     /**< redirect_to.args: before the caller's arguments */
	COMMAND_ARGS_APPEND, /**< redirect_to.args_append: after them */
	COMMAND_ENVIRONMENT, /**< redirect_to.environment: key, value, key, value */
	COMMAND_ENV_ALLOW,
	COMMAND_ENV_DENY,
};

/** @param index  rule_index of a decision of kind POLICY_COMMAND; UINT32_MAX has empty lists */
size_t policy_command_list_len(const struct policy *p, uint32_t index,
			       enum policy_command_list list);
/** Borrowed; NULL past the end. */
const char *policy_command_list_get(const struct policy *p, uint32_t index,
				    enum policy_command_list list, size_t i);

/* ---- sections ---- */

/**
 * A section of the effective policy (extends merged, variables expanded) as JSON text.
 *
 * @return borrowed; NULL when the policy has no such section
 */
const char *policy_section(const struct policy *p, const char *name);

/** Every section in the order of the files: fn(arg, name, JSON text). */
void policy_each_section(const struct policy *p, policy_env_fn *fn, void *arg);

uint32_t policy_count_rules(const struct policy *p, enum policy_kind kind);

/* ---- resource limits and audit settings ---- */

struct policy_limits {
	uint64_t memory_max_bytes; /**< 0: not set, for all of these */
	uint64_t swap_max_bytes;
	uint64_t cpu_quota_percent;
	uint64_t pids_max;
	uint64_t command_timeout_ms;
	uint64_t session_timeout_ms;
	uint64_t idle_timeout_ms;
};
void policy_get_limits(struct policy_limits *out, const struct policy *p);

/** Durability of audit records of a class; see audit.h. */
enum policy_durability { DURABLE_DEFAULT = 0, DURABLE_RING, DURABLE_COMMIT };
struct policy_audit {
	bool log_allowed; /**< default true */
	bool log_denied;  /**< default true */
	bool log_outside_reads; /**< also where no rule tells files apart; default false */
	enum policy_durability file_read, file_write, exec, net, deny;
	uint32_t retention_days;
};
void policy_get_audit(struct policy_audit *out, const struct policy *p);

/** How much of what was soft-deleted is kept, and how long. */
struct policy_trash {
	uint64_t ttl_ms;    /**< default 7 days; 0: for ever */
	uint64_t max_bytes; /**< 0: no limit */
	uint32_t max_count; /**< items; 0: no limit */
};
void policy_get_trash(struct policy_trash *out, const struct policy *p);

/* ---- loading ---- */

/** Values of ${NAME}; every pointer borrowed; NULL: not defined. */
struct policy_vars {
	const char *workspace; /**< as the sandbox sees it */
	const char *project_root;
	const char *git_root;
	const char *git_common_dir; /**< a worktree's or submodule's repository outside; or NULL */
	const char *home;
	const char *tmpdir;
	const char *user;
	const char *session;
};

/** A diagnostic of loading, in order of position. */
typedef void policy_diag_fn(void *arg, bool is_error, const char *file, unsigned line,
			    unsigned column, const char *text);

struct policy_load_args {
	const char *file;	 /**< path, or NULL */
	const char *pack;	 /**< name of a pack, or NULL; with both the file's rules come first */
	const char *pack_dir;	 /**< where packs and fragments are */
	const struct policy_vars *vars;
	policy_diag_fn *diag;	 /**< NULL: only the first error, in e */
	void *diag_arg;
};

/**
 * Load, validate and compile. Bounds: 1 MiB a file, 16 levels of extends, 10,000 rules.
 *
 * @param out  written on success only; free with policy_free()
 * @param e    first error, "FILE:LINE:COLUMN: what; what to do"
 * @return 0, -EINVAL (bad policy), -ENOENT, or another -errno of reading it
 */
int policy_load(struct policy **out, const struct policy_load_args *args, struct err *e);

/** Borrowed sealed memfd with the compiled image. */
int policy_image_fd(const struct policy *p);

/** Map an image that policy_image_fd() gave (in another process); fd is borrowed. */
int policy_map(struct policy **out, int image_fd, struct err *e);

void policy_free(struct policy *p);
AUTO_DEFINE(struct policy *, policy_free)

const char *policy_name(const struct policy *p);
const char *policy_description(const struct policy *p);
/** SHA-256 of the image, 32 bytes: what policy_loaded records name. */
const uint8_t *policy_digest(const struct policy *p);

#endif
