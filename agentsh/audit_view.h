/*
 * audit_view.h - records of the audit log as text: for people and as JSON lines
 *
 * Everything in a record that came from the agent is escaped. JSON keys are those of
 * docs/AUDIT.md, "The event view".
 */
#ifndef AGENTSH_AUDIT_VIEW_H
#define AGENTSH_AUDIT_VIEW_H

#include <stdbool.h>

#include "common/audit_reader.h"
#include "common/str.h"

/** Bytes that any record fits into, in either form. */
#define AUDIT_VIEW_MAX (1u << 19)

/** One JSON object and a newline. */
void audit_view_json(struct str *s, const struct audit_record *r);

/** One line for a person and a newline. @param colour  use ANSI colours */
void audit_view_line(struct str *s, const struct audit_record *r, bool colour);

/** Decision as shown ("" for plain facts). Borrowed from buf. */
const char *audit_view_decision(const struct audit_record *r, char *buf, size_t size);

/** True for records of the writer that matter to everyone (a lost producer, a full disk, ...). */
bool audit_view_notable(const struct audit_record *r);

#endif
