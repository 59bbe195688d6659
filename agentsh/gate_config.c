#include "agentsh/gate_config.h"

#include <unistd.h>

#include "common/gate.h"

void gate_config_common(struct ipc_msg *m, const struct session *session, const struct vars *vars)
{
	gate_put_kv(m, "session", session->name);
	gate_put_kv(m, "root", geteuid() == 0 ? "1" : "0");
	gate_put_kvf(m, "uid", "%u", (unsigned)geteuid());
	gate_put_kvf(m, "gid", "%u", (unsigned)getegid());
	gate_put_kv(m, "workspace", vars->seen_as);
	gate_put_kv(m, "run_dir", session->run_dir);
}

void gate_config_fs(struct ipc_msg *m, const struct dirs *dirs)
{
	gate_put_kv(m, "hide.0", dirs->state);
	gate_put_kv(m, "hide.1", dirs->runtime);
	gate_put_kv(m, "hide.2", dirs->config);
	gate_put_kvf(m, "trash.dir", "%s/trash", dirs->state);
}
