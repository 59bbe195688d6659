/*
 * plan_print.h - a plan for a person, or as JSON
 */
#ifndef AGENTSH_PLAN_PRINT_H
#define AGENTSH_PLAN_PRINT_H

#include <stdbool.h>

#include "agentsh/plan.h"

/** One line a tree: how it is shown, where, what of the host, why. Everything else is not there. */
void plan_print(const struct plan *p, bool as_json);

#endif
