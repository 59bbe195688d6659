/*
 * redact.h - secrets in arguments become "***" before they are shown or recorded
 *
 * Pure:    no I/O; allocates the copy
 * Covers:  values of options, variables and headers whose names speak of secrets (--password=x,
 *          --token x, API_KEY=x, Authorization: x), user:password@ in URLs, known token formats
 *          (GitHub, GitLab, Slack, AWS, Google, OpenAI, Anthropic, npm, PyPI, JWT, private keys)
 */
#ifndef COMMON_REDACT_H
#define COMMON_REDACT_H

#include <stddef.h>

/**
 * Copy an argument vector without its secrets.
 *
 * @return n + 1 pointers (NULL at the end) and their strings in one block for free(3), or NULL on
 *         ENOMEM
 */
const char **redact_argv(const char *const *argv, size_t n);

#endif
