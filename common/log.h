/*
 * log.h - diagnostics for people (never the audit trail)
 *
 * One line is one write(2) to stderr, prefixed with the process name, or one JSON object a line
 * with log_init(.., LOG_JSON, ..). Control characters are escaped. errno is preserved.
 */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

enum log_level { LOG_LEVEL_ERR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum log_format { LOG_TEXT, LOG_JSON };

/**
 * Set name, format and threshold for this process; before it: "agentsh", text, warnings.
 *
 * @param name  borrowed for ever: a literal
 */
void log_init(const char *name, enum log_format format, enum log_level level);

/** Take format and level from AGENTSH_LOG ("debug", "json,info", ...); unknown words are ignored. */
void log_init_env(const char *name);

/** Send lines to another descriptor (borrowed) instead of stderr. */
void log_set_fd(int fd);

void log_at(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_err(...) log_at(LOG_LEVEL_ERR, __VA_ARGS__)
#define log_warn(...) log_at(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_at(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
