#include "agentsh/wrap_mount.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/path.h"
#include "common/str.h"

/* DIR, or DIR:AT with an absolute AT; a colon in a name is not foreseen. */
static int one(struct plan_mount *m, struct wrap_mount *p, const char *spec, struct err *e)
{
	char text[2 * PATH_MAX];
	size_t len = strlen(spec);
	char *at;

	if (len >= sizeof(text))
		return err_set(e, ENAMETOOLONG, "--mount");
	memcpy(text, spec, len + 1);
	m->read_only = len > 3 && strcmp(text + len - 3, ":ro") == 0;
	if (m->read_only)
		text[len - 3] = '\0';
	at = strchr(text, ':');
	if (at)
		*at++ = '\0';
	if (!*text || (at && (*at != '/' || strchr(at, ':'))))
		return err_say(e, EINVAL, "--mount %s: write DIR, DIR:/PLACE, DIR:ro or DIR:/PLACE:ro",
			       spec);
	if (!realpath(text, p->host))
		return err_set(e, errno, "--mount %s", text);
	if (!str_is_utf8(p->host, strlen(p->host)))
		return err_say(e, EILSEQ, "--mount: the name is not UTF-8, so no policy can name it");
	if (path_normalize(p->at, sizeof(p->at), at ? at : p->host) < 0)
		return err_set(e, ENAMETOOLONG, "--mount %s", spec);
	m->what = "--mount";
	m->host = p->host;
	m->at = p->at;
	return 0;
}

int wrap_mounts(struct plan_mount *list, struct wrap_mount *places, const char *const *specs,
		size_t n, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = one(&list[i], &places[i], specs[i], e);
	return r;
}
