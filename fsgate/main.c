#include "common/gate.h"
#include "common/log.h"

int main(void)
{
	struct gate g;
	struct err e = ERR_INIT;

	log_init_env("agentsh-fsgate");
	if (gate_open(&g, "fsgate", AUDIT_CTL, &e) < 0) {
		log_err("%s", e.text);
		return 1;
	}
	err_say(&e, 38, "fsgate has no operations yet");
	gate_failed(&g, &e);
	return 1;
}
