/*
 * gate_config.h - the keys of GATE_CONFIG, for whoever supervises a gate
 */
#ifndef AGENTSH_GATE_CONFIG_H
#define AGENTSH_GATE_CONFIG_H

#include "agentsh/session.h"
#include "agentsh/vars.h"
#include "common/dirs.h"
#include "common/ipc.h"

/** What every gate gets: session, root, uid, gid, workspace, run_dir. */
void gate_config_common(struct ipc_msg *m, const struct session *session, const struct vars *vars);

/** fsgate's, but its trees: what it never shows, where deleted files go. */
void gate_config_fs(struct ipc_msg *m, const struct dirs *dirs);

#endif
