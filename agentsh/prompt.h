/*
 * prompt.h - held requests asked on the controlling terminal (--approver tty)
 *
 * While a question is open the agent's process group does not own the terminal: it can neither read
 * the answer nor type one (TIOCSTI is refused by execgate), and TOSTOP keeps it from drawing over
 * the question. What was typed ahead is thrown away, so nobody answers by accident.
 */
#ifndef AGENTSH_PROMPT_H
#define AGENTSH_PROMPT_H

#include <stdbool.h>

#include "agentsh/broker.h"
#include "agentsh/sandbox.h"
#include "agentsh/tty.h"
#include "common/loop.h"

struct prompt; /* opaque */

/** @return 0, or -ENXIO when there is no controlling terminal */
int prompt_open(struct prompt **out, struct loop *l, struct broker *b, struct tty *tty,
		struct sandbox *sandbox, struct err *e);

/** The list of pending requests changed: ask about the oldest, or withdraw the question. */
void prompt_update(struct prompt *p);

bool prompt_is_open(const struct prompt *p);

void prompt_close(struct prompt *p);

#endif
