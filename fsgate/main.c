/* agentsh-fsgate: the file server of one session. Started by the supervisor, see common/gate.h. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "common/log.h"
#include "fsgate/fs_conf.h"
#include "fsgate/fs_place_setup.h"
#include "fsgate/fs_redirect.h"
#include "fsgate/fs_serve.h"
#include "fsgate/fs_setup.h"
#include "fsgate/fs_trash.h"
#include "fsgate/fs_undo.h"

#define GRACE_S 1 /* nothing is served meanwhile: whoever asks gets an error from the kernel */

static int set_up(struct fs *fs, struct fs_mount *m, struct err *e)
{
	struct fs_setup_args args = {.is_root = fs->gate.is_root, .pidfd = -1, .source = "agentsh"};
	char source[128];
	int r = fs_serve_init(fs, e);

	if (r == 0 && gate_ready(&fs->gate, "", 0) < 0)
		r = err_say(e, EPIPE, "the supervisor is gone");
	if (r == 0)
		r = gate_wait_setup(&fs->gate, &args.pidfd, 1, e);
	if (r >= 0)
		r = fs_conf_load(fs, e);
	if (r >= 0)
		r = fs_trash_open(fs, e);
	if (r >= 0)
		r = fs_redirect_open(fs, e);
	if (r >= 0)
		r = fs_undo_open(fs, e);
	if (r < 0)
		return r;
	args.uid = fs->uid;
	args.gid = fs->gid;
	if (fs->at) {
		snprintf(source, sizeof(source), "agentsh/%s", fs->gate.session);
		args.source = source;
		args.at = fs->at;
		args.read_only = gate_conf(&fs->gate, "read_only") != NULL;
	}
	r = fs_setup_mount(m, &args, e);
	if (args.pidfd >= 0)
		close(args.pidfd);
	return r;
}

static int go_live(struct fs *fs, struct fs_mount *m, struct err *e)
{
	const struct fs_setup_args args = {.at = fs->at};
	int r = fs_serve_attach(fs, m->dev, e);

	if (r == 0 && fs->at && m->mount >= 0)
		r = fs_place_root(m->mount, &args, e);
	if (r == 0)
		r = fs_serve_drop(fs, e);
	if (r == 0)
		r = fs_serve_watch(fs, e);
	/* a mount alone is in its place; the supervisor has no use for it */
	if (r == 0 && gate_live(&fs->gate, &m->mount, fs->at ? 0 : 1) < 0)
		r = err_say(e, EPIPE, "the supervisor is gone");
	if (m->mount >= 0)
		close(m->mount);
	return r;
}

int main(void)
{
	static struct fs fs;
	struct fs_mount m = {-1, -1};
	struct err e = ERR_INIT;

	log_init_env("agentsh-fsgate");
	if (gate_open(&fs.gate, "fsgate", AUDIT_FS, &e) < 0)
		return 1;
	if (set_up(&fs, &m, &e) < 0 || go_live(&fs, &m, &e) < 0) {
		gate_failed(&fs.gate, &e);
		return 1;
	}
	if (fs_serve_run(&fs) != 0)
		log_err("the connection to the kernel was lost");
	/* the only one to unmount is a person */
	if (fs.at)
		fs_serve_end(&fs);
	/*
	 * Unmounted or cut off: either the sandbox is gone, and the supervisor is about to say so to
	 * the control thread, which ends the process in order; or it is not, and this end kills it.
	 */
	sleep(GRACE_S);
	return 1;
}
