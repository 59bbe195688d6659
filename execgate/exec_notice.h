/*
 * exec_notice.h - the one line that a refused program finds on its stderr
 *
 * "agentsh: denied: curl https://x (rule no-curl): use the package mirror"
 */
#ifndef EXECGATE_EXEC_NOTICE_H
#define EXECGATE_EXEC_NOTICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define EXEC_NOTICE_MAX 1024

/**
 * Format the line: arguments escaped and cut, newline at the end.
 *
 * @param rule     "" when no policy was asked
 * @param message  "" for none
 */
void exec_notice_format(char *buf, size_t size, const char *const *argv, size_t argc,
			const char *rule, const char *message);

/** What was said to whom lately. Threads: safe. */
struct exec_notices;

struct exec_notices *exec_notices_new(void);
void exec_notices_free(struct exec_notices *n);

/**
 * Write it to descriptor 2 of a process, if that is a terminal, pipe, socket or file open for
 * writing. Never blocks on it: a line that does not fit now is dropped. So is one that the same
 * process was told before: a shell tries a name in each directory of PATH.
 */
void exec_notice_send(struct exec_notices *n, pid_t tgid, uint64_t start_ticks, const char *line);

/**
 * An approval was refused, or nobody gave one in time. A shell then tries the same program under
 * its next name in PATH: that is not worth a second question.
 *
 * @param subject  what the person was shown
 */
void exec_notice_refused(struct exec_notices *n, pid_t tgid, uint64_t start_ticks,
			 const char *subject);

/** Was just this refused to this process within the last three seconds? */
bool exec_notice_was_refused(struct exec_notices *n, pid_t tgid, uint64_t start_ticks,
			     const char *subject);

#endif
