/*
 * policy_i.h - inside the policy model: documents, the loader, the compiled image
 *
 * Order:   policy_yaml.c (bytes -> nodes) -> policy_schema.c, policy_check.c, policy_vars.c
 *          (are they a policy?) -> policy_compile.c (nodes -> image) -> policy_image.c (seal,
 *          map, bounds) -> policy_eval.c (decide), policy_tree.c (prove). policy_load.c drives.
 */
#ifndef COMMON_POLICY_I_H
#define COMMON_POLICY_I_H

#include <string.h>

#include "common/arena.h"
#include "common/policy.h"
#include "common/regex.h"

/* ---- documents ---- */

#define POLICY_FILE_MAX	   (1u << 20)
#define POLICY_DEPTH_MAX   64     /* of YAML nesting */
#define POLICY_KEYS_MAX	   4096   /* in one map */
#define POLICY_WEIGHT_MAX  300000 /* values of a document, aliases counted each time */
#define POLICY_EXTENDS_MAX 16
#define POLICY_DOCS_MAX	   64
#define POLICY_RULES_MAX   10000
#define POLICY_DIAGS_MAX   200

enum node_kind { NODE_NULL, NODE_SCALAR, NODE_LIST, NODE_MAP };

struct policy_node {
	enum node_kind kind;
	bool plain;		/* a scalar without quotes: may be a number, a boolean or null */
	unsigned line, column;	/* from 1 */
	unsigned weight;	/* values in it */
	const char *text;	/* of a scalar; variables are expanded in place by the checks */
	struct policy_node **keys; /* of a map */
	struct policy_node **items; /* of a list or map */
	size_t n;
};

struct policy_doc {
	const char *file; /* as shown to people */
	const char *real; /* which file it is, however it was named */
	const char *dir;  /* where relative names of extends start */
	unsigned index;	  /* position in the loader */
	struct policy_node *root;
};

struct policy_diag {
	const struct policy_doc *doc;
	unsigned line, column;
	bool is_error;
	const char *text;
};

struct policy_loader {
	const struct policy_load_args *args;
	struct arena arena;
	struct policy_doc *docs[POLICY_DOCS_MAX]; /* a document before those that it extends */
	unsigned n_docs;
	struct policy_diag diags[POLICY_DIAGS_MAX];
	unsigned n_diags, n_errors;
	struct regex *regexes[POLICY_RULES_MAX]; /* of args_patterns, in document order */
	struct policy_node *regex_nodes[POLICY_RULES_MAX];
	unsigned n_regexes;
	unsigned n_rules;
	bool no_memory;
};

/** Report at a position of a document; more than POLICY_DIAGS_MAX are counted, not kept. */
void policy_diag_at(struct policy_loader *l, const struct policy_doc *doc, unsigned line,
		    unsigned column, bool is_error, const char *fmt, ...)
	__attribute__((format(printf, 6, 7)));
#define policy_error(l, doc, node, ...)                                                            \
	policy_diag_at(l, doc, (node)->line, (node)->column, true, __VA_ARGS__)
#define policy_warn(l, doc, node, ...)                                                             \
	policy_diag_at(l, doc, (node)->line, (node)->column, false, __VA_ARGS__)

/** Read and parse a file; what is wrong is reported in l. */
struct policy_node *policy_yaml_read(struct policy_loader *l, const struct policy_doc *doc,
				     const char *path);
/** Parse text (len bytes). */
struct policy_node *policy_yaml_parse(struct policy_loader *l, const struct policy_doc *doc,
				      const char *text, size_t len);

/** Value of a key, or NULL (also when map is NULL, not a map, or the value is null). */
struct policy_node *policy_get(const struct policy_node *map, const char *key);

/** Check a whole document against the schema. */
void policy_schema_check(struct policy_loader *l, const struct policy_doc *doc);

/* ---- the schema's language (policy_schema.c has the tables, policy_walk.c reads them) ---- */

enum value_type {
	VALUE_STRING,
	VALUE_BOOL,
	VALUE_INT,
	VALUE_WORD, /* one of words */
	VALUE_VERDICT, /* one of verdicts */
	VALUE_LIST, /* of item */
	VALUE_MAP,  /* with keys */
	VALUE_TABLE, /* any keys, values are item */
	VALUE_ANY,
};

struct key_schema;
typedef void policy_check_fn(struct policy_loader *l, const struct policy_doc *doc,
			     struct policy_node *node);

struct value_schema {
	enum value_type type;
	const struct key_schema *keys; /* ended by a NULL name */
	const struct value_schema *item;
	const char *const *words; /* ended by NULL */
	unsigned verdicts;	  /* mask of 1u << enum verdict */
	int64_t min, max;
	policy_check_fn *check;	  /* after the type is right; may be NULL */
	const char *what;	  /* "a rule": for messages */
};

enum { KEY_REQUIRED = 1, KEY_FOREIGN = 2, KEY_NONEMPTY = 4 };

struct key_schema {
	const char *name;
	const struct value_schema *value;
	unsigned flags;
};

void policy_walk(struct policy_loader *l, const struct policy_doc *doc, struct policy_node *node,
		 const struct value_schema *schema);
extern const struct value_schema policy_schema_root;

/* ---- checks of single values; each reports and may rewrite node->text ---- */

policy_check_fn policy_check_expand, policy_check_duration, policy_check_glob, policy_check_socket,
	policy_check_command, policy_check_args_regex, policy_check_regex, policy_check_domain,
	policy_check_cidr, policy_check_port, policy_check_template, policy_check_signal,
	policy_check_target, policy_check_context, policy_check_env_name, policy_check_env_glob,
	policy_check_policy_name, policy_check_url, policy_check_endpoint, policy_check_ip,
	policy_check_url_path, policy_check_file_path,
	policy_check_secret_ref, policy_check_name_glob, policy_check_method,
	policy_check_file_rule, policy_check_command_rule, policy_check_network_rule,
	policy_check_signal_rule, policy_check_connect_redirect, policy_check_service,
	policy_check_env_inject, policy_check_mcp_rules, policy_check_services;

/* ---- parsing of values that are known to be right ---- */

bool policy_parse_bool(bool *out, const struct policy_node *node);
bool policy_parse_int(int64_t *out, const struct policy_node *node);
/** "1h30m", "500ms", "0": as a duration, in ms. @return false when it is none or too long */
bool policy_parse_duration(uint64_t *out_ms, const char *text);
bool policy_parse_ports(uint16_t *low, uint16_t *high, const char *text);
bool policy_parse_cidr(struct policy_addr *addr, unsigned *bits, const char *text);
bool policy_parse_addr(struct policy_addr *addr, const char *text);
/** @return mask of 1ull << (signal number - 1), 0 when text names no signal */
uint64_t policy_parse_signals(const char *text);
/** @return mask of 1u << enum file_op with what the operation includes, 0 when unknown */
uint32_t policy_parse_file_op(const char *text);
uint32_t policy_parse_unix_op(const char *text);
int policy_parse_signal_target(const char *text);
/** Depth range of a command rule's context. @return false when malformed */
bool policy_parse_context(uint32_t *min, uint32_t *max, const struct policy_node *node);

/** A host pattern as it is compared: lower case, IDNA labels, no trailing dot. @return false: it has none */
bool policy_idna(char *out, size_t size, const char *host);

/* ---- variables ---- */

/** How a variable's value is written into the text. */
enum policy_quote { QUOTE_NONE, QUOTE_GLOB, QUOTE_REGEX };

enum policy_expansion {
	EXPAND_OK,
	EXPAND_FOREIGN, /* names a variable of another operating system: the value cannot apply */
	EXPAND_BAD,	/* reported */
};

enum policy_expansion policy_vars_expand(struct policy_loader *l, const struct policy_doc *doc,
					 struct policy_node *node, enum policy_quote quote);

/* ---- the image ---- */

#define IMAGE_MAGIC   "AGSHPOL"
#define IMAGE_VERSION 2u
#define IMAGE_MAX     (64u << 20)

/*
 * header | tables | strings. A span counts bytes from the start of the image; the offset of a string
 * counts from the start of the strings, whose first byte is the empty string.
 */
struct image_span {
	uint32_t off;
	uint32_t n; /* elements */
};

enum image_glob_kind {
	GLOB_LITERAL, /* the path is the prefix */
	GLOB_BELOW,   /* anything that begins with the prefix and is longer */
	GLOB_BASE,    /* below the prefix, and the last component is the tail */
	GLOB_GENERAL, /* begins with the prefix, ends with the tail, and the rest matches */
};

struct image_glob {
	uint32_t text;	     /* the brace-free pattern */
	uint32_t kind;
	uint32_t prefix;     /* literal, without escapes; whole components unless GLOB_LITERAL */
	uint32_t prefix_len;
	uint32_t rest;	     /* pattern after the prefix */
	uint32_t tail;	     /* literal after the last wildcard */
	uint32_t tail_len;
	uint32_t starts[2], words[2]; /* what a path must have: struct policy_sums, low half first */
};

/*
 * Components of a path are summed up in two sets of 64 bits; a pattern for .git/hooks anywhere
 * needs two bits, so most patterns are ruled out by one test.
 */
struct policy_sums {
	uint64_t starts; /* by the first two bytes (the second is 0 when there is one) */
	uint64_t words;	 /* by first, second and last byte and the length */
};

static inline uint64_t policy_start_bit(unsigned char first, unsigned char second)
{
	return 1ull << ((first * 37u + second * 11u) & 63);
}

/** @param n  bytes of the component, at least 1 */
static inline uint64_t policy_word_bit(const char *component, size_t n)
{
	unsigned char first = (unsigned char)component[0], last = (unsigned char)component[n - 1];
	unsigned char second = n > 1 ? (unsigned char)component[1] : 0;

	return 1ull << ((first * 37u + second * 11u + last * 5u + (unsigned)n * 29u) & 63);
}

/** A path with what is known of it; both sums are all ones when nothing is. */
struct policy_text {
	const char *path;
	size_t len;
	struct policy_sums sums;
};

static inline struct policy_text policy_text_of(const char *path)
{
	return (struct policy_text){path, strlen(path), {UINT64_MAX, UINT64_MAX}};
}

static inline uint64_t policy_bits(const uint32_t half[2])
{
	return (uint64_t)half[1] << 32 | half[0];
}

struct image_cidr {
	uint8_t family, bits, unused[2];
	uint8_t bytes[16];
};

struct image_ports {
	uint16_t low, high;
};

struct image_rule {
	uint32_t name, message, redirect_to;
	uint32_t verdict, timeout_ms, log, tls, preserve_tree;
	uint32_t ops;	   /* file, unix: mask; network: mask of protocols; signal: target */
	uint32_t min, max; /* command: depth; signal: pids */
	uint32_t signals_low, signals_high;
	uint32_t prefix, prefix_len;   /* common to all globs */
	uint32_t starts[2], words[2];  /* a path must have one of these, in either */
	struct image_span globs;       /* image_glob: paths */
	struct image_span names;       /* strings: bare commands, domains, a comm pattern */
	struct image_span methods;     /* strings */
	struct image_span cidrs;       /* image_cidr */
	struct image_span ports;       /* image_ports */
	struct image_span regexes;     /* strings */
	uint32_t regex_first;	       /* index of the first in the image's regexes */
	uint32_t any_command;	       /* commands is empty or has "*" */
	struct image_span args, args_append; /* strings */
	struct image_span environment; /* strings: key, value, key, value */
	struct image_span env_allow, env_deny; /* strings */
	uint32_t env_max_bytes, env_max_keys, env_block_iteration;
};

struct image_limits {
	uint64_t values[7]; /* in the order of struct policy_limits */
};

struct image_audit {
	uint32_t log_allowed, log_denied;
	uint32_t durability[5]; /* file_read, file_write, exec, net, deny */
	uint32_t retention_days;
	uint32_t log_outside_reads, pad;
};

struct image_trash {
	uint64_t ttl_ms, max_bytes;
	uint32_t max_count, pad;
};

enum { DEFAULT_FILE_READ, DEFAULT_FILE_WRITE, DEFAULT_COMMAND, DEFAULT_NETWORK, DEFAULT_UNIX,
       DEFAULT_SIGNAL, DEFAULTS };

struct image_header {
	char magic[8];
	uint32_t version;
	uint32_t size;
	uint8_t digest[32]; /* SHA-256 of the image with this field zero */
	uint32_t name, description;
	uint32_t defaults[DEFAULTS];
	uint32_t signal_default_set; /* defaults.signal was written: it holds for every target */
	struct image_span rules[POLICY_KINDS];
	struct image_span env_allow, env_deny; /* strings */
	struct image_span env_inject;	       /* strings: key, value, ... */
	struct image_span sections;	       /* strings: name, JSON, ... */
	struct image_span regexes;	       /* strings */
	struct image_span strings;	       /* bytes; first and last are NUL */
	struct image_limits limits;
	struct image_audit audit;
	struct image_trash trash;
};

struct policy {
	const uint8_t *base;
	const char *strings; /* base + header->strings.off */
	size_t size;
	int fd;
	struct regex **regexes; /* owned, as many as header->regexes.n */
	struct regex_scratch *scratch;
};

static inline const struct image_header *policy_header(const struct policy *p)
{
	return (const struct image_header *)(const void *)p->base;
}

static inline const char *policy_str(const struct policy *p, uint32_t off)
{
	return p->strings + off;
}

static inline const void *policy_at(const struct policy *p, struct image_span s)
{
	return p->base + s.off;
}

static inline const char *policy_item(const struct policy *p, struct image_span s, uint32_t i)
{
	return policy_str(p, ((const uint32_t *)policy_at(p, s))[i]);
}

/**
 * One document out of all: lists are joined, of maps and single values the first document's hold.
 *
 * @return NULL on ENOMEM (l->no_memory)
 */
struct policy_node *policy_merge(struct policy_loader *l);

/** Build the image of a merged document in memory. @param out  heap, the caller's */
int policy_compile(uint8_t **out, size_t *size, struct policy_loader *l,
		   const struct policy_node *root);

/* ---- building an image (policy_build.c) ---- */

struct builder {
	struct policy_loader *l;
	uint8_t *tables; /* starts with room for the header */
	size_t tables_len, tables_size;
	char *strings;
	size_t strings_len, strings_size;
	bool failed; /* ENOMEM */
};

bool policy_build_init(struct builder *b, struct policy_loader *l);
void policy_build_deinit(struct builder *b);
/** Joins header, tables and strings, and writes the digest. */
int policy_build_finish(uint8_t **out, size_t *size, struct builder *b,
			struct image_header *header);
uint32_t policy_build_string(struct builder *b, const char *text);
struct image_span policy_build_table(struct builder *b, const void *items, size_t n, size_t size);
/** Strings of a list of scalars; entries that were dropped are skipped. */
struct image_span policy_build_strings(struct builder *b, const struct policy_node *list);
/** key, value, key, value */
struct image_span policy_build_pairs(struct builder *b, const struct policy_node *map);
/** Path patterns, braces expanded; want_paths: of commands, only those with a slash. */
void policy_build_globs(struct builder *b, struct image_rule *rule, const struct policy_node *list,
			bool commands);

/** Seal an image; takes the compiled regexes of the loader. */
int policy_image_new(struct policy **out, const uint8_t *image, size_t size,
		     struct policy_loader *l, struct err *e);

/** JSON of a checked value, appended to a stream. */
void policy_json_write(FILE *f, const struct policy_node *node);

/* ---- deciding: policy_eval*.c, pure ---- */

struct policy_eval {
	const struct policy *p;
	const struct policy_request *r;
	const char *why;   /* of the rule at hand: what did not match (a literal) */
	bool untrusted;	   /* some allow rule was left out because the program's place is writable */
	bool limit;	   /* a regular expression of the rule at hand exceeded its limit */
	struct policy_text path; /* of the request */
	char addr[48];	   /* text of the address of a network request */
	const char *http_rule; /* the first rule that only an unknown method or path kept out */
};

/** Does a path match any glob of the rule? A rule without globs matches nothing. */
bool policy_eval_globs(const struct policy *p, const struct image_rule *rule,
		       const struct policy_text *t);
/** Does a string match any of the name globs? */
bool policy_eval_names(const struct policy *p, struct image_span names, const char *name);

bool policy_eval_command(struct policy_eval *ev, const struct image_rule *rule);
bool policy_eval_network(struct policy_eval *ev, const struct image_rule *rule);
/** A grant that would reach a private address which the rule does not name (NULL: default). */
bool policy_eval_is_rebinding(const struct policy_eval *ev, const struct image_rule *rule);
void policy_eval_env(struct decision *d, const struct policy *p, const struct policy_request *r,
		     policy_trace_fn *fn, void *arg);

static inline bool policy_grants(enum verdict v)
{
	return v != VERDICT_DENY && v != VERDICT_HIDE;
}

/** Fill a decision from a rule. */
void policy_eval_take(struct decision *d, const struct policy *p, const struct image_rule *rule,
		      uint32_t index);

#endif
