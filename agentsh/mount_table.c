#include "agentsh/mount_table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/auto.h"
#include "common/str.h"

/* Space, tab, newline and backslash are \ooo in the table. */
static void unescape(char *s)
{
	char *to = s;

	for (const char *from = s; *from; to++) {
		if (from[0] == '\\' && from[1] && from[2] && from[3]) {
			*to = (char)((from[1] & 7) * 64 + (from[2] & 7) * 8 + (from[3] & 7));
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
}

/*
 * Fields are separated by single spaces; the place is the fifth, " - " precedes type and source.
 * @return the place, in line; NULL: not such a line
 */
static const char *parse(struct mount_entry *out, char *line)
{
	char *rest = strstr(line, " - "), *place = line, *save = NULL, *type, *source;

	for (int i = 0; place && i < 4; i++) {
		place = strchr(place, ' ');
		place = place ? place + 1 : NULL;
	}
	if (!rest || !place || place > rest)
		return NULL;
	place[strcspn(place, " ")] = '\0';
	unescape(place);
	type = strtok_r(rest + 3, " \n", &save);
	source = strtok_r(NULL, " \n", &save);
	snprintf(out->type, sizeof(out->type), "%s", type ? type : "");
	snprintf(out->source, sizeof(out->source), "%s", source ? source : "");
	return place;
}

int mount_table_each(const char *table, mount_table_fn *fn, void *arg)
{
	autofclose FILE *f = fopen(table, "re");
	autofree char *line = NULL;
	struct mount_entry entry;
	size_t size = 0;

	if (!f)
		return -errno;
	while (getline(&line, &size, f) > 0) {
		const char *at = parse(&entry, line);

		if (at)
			fn(arg, at, &entry);
	}
	return 0;
}

struct search {
	const char *at;
	struct mount_entry *out;
	bool found;
};

static void compare(void *arg, const char *at, const struct mount_entry *entry)
{
	struct search *s = arg;

	/* what is mounted over another mount comes after it */
	if (strcmp(at, s->at) == 0) {
		*s->out = *entry;
		s->found = true;
	}
}

int mount_table_find(struct mount_entry *out, const char *at)
{
	struct search s = {.at = at, .out = out};
	int r = mount_table_each("/proc/self/mountinfo", compare, &s);

	return r < 0 ? r : s.found ? 0 : -ENOENT;
}

const char *mount_table_session(const struct mount_entry *entry)
{
	size_t len = strlen(MOUNT_SOURCE_PREFIX);

	if (strcmp(entry->type, "fuse.agentsh") != 0 ||
	    !str_has_prefix(entry->source, MOUNT_SOURCE_PREFIX))
		return NULL;
	return entry->source + len;
}

bool mount_table_is_dead(const char *at)
{
	struct statx sx;

	return statx(AT_FDCWD, at, AT_STATX_FORCE_SYNC | AT_NO_AUTOMOUNT, STATX_BASIC_STATS, &sx) < 0 &&
	       (errno == ENOTCONN || errno == ECONNABORTED);
}
