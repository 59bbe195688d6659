/*
 * Theory: fs_loop.c's threads serve requests; one more thread runs the gate's loop (answers to held
 * requests, the end of the session). The end is _exit(): a worker may be blocked in the backing
 * file system, records are in the writer's ring already, and every byte written is in its file.
 */
#include "fsgate/fs_serve.h"

#include <errno.h>
#include <linux/capability.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/log.h"
#include "common/loop.h"
#include "fsgate/fs_confine_setup.h"
#include "fsgate/fs_file.h"
#include "fsgate/fs_hold.h"
#include "fsgate/fs_lock.h"
#include "fsgate/fs_loop.h"
#include "fsgate/fs_pass.h"
#include "fsgate/fs_record.h"
#include "fsgate/fs_virtual.h"
#include "fsgate/fs_undo.h"
#include "fsgate/fs_who.h"
#include "fsgate/fs_watch.h"
#include "fsgate/fs_why.h"

/*
 * What the caller may do was checked by the kernel before we are asked (default_permissions); we
 * act on any file of the tree, and make files that are the caller's. CAP_FSETID is left out, so
 * that our writes clear set-user-ID bits as the caller's would; CAP_MKNOD, so that there are no
 * devices whatever else fails. CAP_SYS_ADMIN is for the backing ids of passthrough (fs_pass.c); that
 * it would also open the trusted attributes is what fs_ops_attr.c takes back.
 */
#define ROOT_KEEPS                                                                                 \
	(1ull << CAP_DAC_OVERRIDE | 1ull << CAP_DAC_READ_SEARCH | 1ull << CAP_FOWNER |             \
	 1ull << CAP_CHOWN | 1ull << CAP_SETUID | 1ull << CAP_SETGID | 1ull << CAP_SYS_ADMIN)

static unsigned raise_fd_limit(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) < 0)
		return 256;
	rl.rlim_cur = rl.rlim_max;
	setrlimit(RLIMIT_NOFILE, &rl);
	return rl.rlim_cur > 1u << 20 ? 1u << 20 : (unsigned)rl.rlim_cur;
}

static int init_locks(struct fs *fs)
{
	pthread_rwlockattr_t attr;
	int r;

	pthread_rwlockattr_init(&attr);
	/* else a loop that creates files could put off a rename for ever */
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	r = pthread_rwlock_init(&fs->names, &attr);
	pthread_rwlockattr_destroy(&attr);
	return -r;
}

int fs_serve_init(struct fs *fs, struct err *e)
{
	unsigned n_fds = raise_fd_limit();
	int r = fs_tree_new(&fs->tree, n_fds / 4);

	if (r == 0)
		r = fs_who_new(&fs->who);
	if (r == 0)
		r = fs_record_new(&fs->recent);
	if (r == 0)
		r = fs_lock_init(fs);
	if (r == 0)
		r = fs_file_init(fs);
	if (r == 0)
		r = fs_why_new(&fs->why);
	if (r == 0)
		r = fs_hold_new(&fs->holds);
	if (r == 0)
		r = fs_pass_init(fs);
	if (r == 0)
		r = init_locks(fs);
	if (r == 0)
		r = fs_watch_init(fs);
	return r < 0 ? err_set(e, -r, "file server") : 0;
}

static void fuse_says(enum fuse_log_level level, const char *fmt, va_list ap)
{
	char text[512];

	vsnprintf(text, sizeof(text), fmt, ap);
	text[sizeof(text) - 1] = '\0';
	for (char *p = text; *p; p++)
		if (*p == '\n')
			*p = p[1] ? ' ' : '\0';
	log_at(level <= FUSE_LOG_ERR ? LOG_LEVEL_WARN : LOG_LEVEL_DEBUG, "%s", text);
}

int fs_serve_attach(struct fs *fs, int dev, struct err *e)
{
	char name[] = "agentsh-fsgate";
	char *argv[] = {name, NULL};
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);

	fuse_set_log_func(fuse_says);
	fs->se = fuse_session_new(&args, &fs_virtual_ops, sizeof(fs_virtual_ops), fs);
	if (!fs->se)
		return err_say(e, EIO, "libfuse refuses the session");
	return fs_pass_attach(fs, dev, e);
}

int fs_serve_drop(struct fs *fs, struct err *e)
{
	return fs_confine(fs, fs->gate.is_root ? ROOT_KEEPS : 0, e);
}

void fs_serve_end(struct fs *fs)
{
	static pthread_mutex_t once = PTHREAD_MUTEX_INITIALIZER;

	/* who comes second waits here for the end of the process */
	pthread_mutex_lock(&once);
	fs_file_finish(fs);
	fs_undo_close(fs);
	/* whatever would be recorded after it is denied */
	audit_producer_end(fs->gate.audit);
	_exit(0);
}

static void *watch_thread(void *arg)
{
	struct fs *fs = arg;

	if (loop_run(fs->gate.loop) == 0)
		fs_serve_end(fs);
	_exit(1);
}

int fs_serve_watch(struct fs *fs, struct err *e)
{
	struct loop *l;
	pthread_t t;
	int r = loop_new(&l);

	if (r == 0)
		r = gate_watch(&fs->gate, l);
	if (r == 0)
		r = -pthread_create(&t, NULL, watch_thread, fs);
	if (r < 0)
		return err_set(e, -r, "control loop");
	pthread_detach(t);
	r = fs_watch_start(fs);
	if (r < 0)
		return err_set(e, -r, "watch on the host's changes");
	return 0;
}

int fs_serve_run(struct fs *fs)
{
	return fs_loop_run(fs);
}
