/*
 * fs_who.h - the process behind a request, cheaply
 *
 * A request names a thread. Its process and name are read from /proc once and kept with an open
 * descriptor of its comm file, which stops working when that very thread is gone: so a recycled id
 * is noticed. The file is read again when half a millisecond has gone by; a name can be as old.
 */
#ifndef FSGATE_FS_WHO_H
#define FSGATE_FS_WHO_H

#include <sys/types.h>

#include "common/auto.h"

struct fs_who; /* opaque: fs_who.c */

struct fs_who_is {
	pid_t pid;     /**< thread group, in the initial pid namespace; the thread when unknown */
	char comm[17]; /**< "" when unknown */
};

int fs_who_new(struct fs_who **out);
void fs_who_free(struct fs_who *w);
AUTO_DEFINE(struct fs_who *, fs_who_free)

void fs_who_get(struct fs_who *w, pid_t tid, struct fs_who_is *out);

#endif
