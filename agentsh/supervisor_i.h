/*
 * supervisor_i.h - the supervisor's state, shared by supervisor*.c
 */
#ifndef AGENTSH_SUPERVISOR_I_H
#define AGENTSH_SUPERVISOR_I_H

#include <signal.h>

#include "agentsh/cgroup.h"
#include "agentsh/gate_link.h"
#include "agentsh/outside.h"
#include "agentsh/plan.h"
#include "agentsh/sandbox.h"
#include "agentsh/supervisor.h"
#include "agentsh/tty.h"
#include "common/audit.h"
#include "common/loop.h"

struct supervisor {
	const struct supervisor_args *args;
	struct loop *loop;
	struct audit_session *audit;
	struct audit_producer *producer; /**< our own ring: gate "ctl" */
	int own_ring;			 /**< our reference to it, for the counters */
	struct gate_link gates[GATE_COUNT];
	struct plan *plan;
	struct cgroup *cgroup;
	struct sandbox sandbox;
	bool sandbox_up; /**< pid 1 was made: there is something to take down */
	struct tty tty;
	sigset_t ignored; /**< what our caller ignored before we changed anything */
	struct broker *broker;
	struct outside *outside; /**< NULL unless audit.log_outside_reads finds plain binds to watch */
	struct prompt *prompt; /**< NULL unless --approver tty */
	struct loop_io audit_io, sandbox_io, init_io;
	struct loop_timer session_timer, command_timer;
	bool is_root;
	char hostname[65];
	int status;	 /**< what wrap will exit with */
	bool lost_a_gate;
	const char *end; /**< why the session ended, for the record */
};

/* supervisor.c */
void supervisor_cwd(const struct supervisor *s, char *out, size_t size);

/* supervisor_start.c: each step of start-up, in order; 0 or -errno with e set */
int supervisor_audit(struct supervisor *s, struct err *e);
int supervisor_gates(struct supervisor *s, struct err *e);
int supervisor_plan(struct supervisor *s, struct err *e);
int supervisor_clone(struct supervisor *s, struct err *e);
int supervisor_configure(struct supervisor *s, struct err *e);
int supervisor_build(struct supervisor *s, struct err *e);
int supervisor_arm(struct supervisor *s, struct err *e);
int supervisor_outside(struct supervisor *s, struct err *e);

/* supervisor_record.c: facts about the session itself */
int supervisor_record_start(struct supervisor *s, struct err *e);
void supervisor_record_end(struct supervisor *s);
void supervisor_summary(struct supervisor *s);

#endif
