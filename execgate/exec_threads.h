/*
 * exec_threads.h - detached threads that can be waited for together
 */
#ifndef EXECGATE_EXEC_THREADS_H
#define EXECGATE_EXEC_THREADS_H

#include "common/auto.h"

struct exec_threads;

/** @return NULL on ENOMEM */
struct exec_threads *exec_threads_new(void);

/** None may be running. */
void exec_threads_free(struct exec_threads *t);
AUTO_DEFINE(struct exec_threads *, exec_threads_free)

typedef void exec_thread_fn(void *arg);

/** Run fn(arg) in a thread of its own. @return 0 or -errno */
int exec_threads_start(struct exec_threads *t, exec_thread_fn *fn, void *arg);

/** Wait until none is running. @return 0 or -ETIMEDOUT */
int exec_threads_wait(struct exec_threads *t, unsigned timeout_ms);

#endif
