/*
 * err.h - an error with context, in the caller's storage
 *
 * Control paths return 0 or a negative errno and describe the failure in the caller's struct err.
 * No heap: reporting ENOMEM cannot fail, and it is safe between fork and exec.
 */
#ifndef COMMON_ERR_H
#define COMMON_ERR_H

#include <stddef.h>

#define ERR_TEXT_MAX 480

struct err {
	int code;		 /**< positive errno, 0 while nothing is set */
	char text[ERR_TEXT_MAX]; /**< one line for a person, NUL-terminated, no newline */
};

#define ERR_INIT                                                                                   \
	{                                                                                          \
		0, ""                                                                              \
	}

/**
 * Set the message and the code; with a nonzero code, ": strerror" is appended.
 *
 * @param e     may be NULL
 * @param code  positive errno
 * @return -code, so that "return err_set(...)" reads well (-EIO when code is 0)
 */
int err_set(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/** Like err_set(), without strerror text: the message says it all. */
int err_say(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/**
 * Put context in front of the message: "context: message".
 *
 * @return -e->code
 */
int err_wrap(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
