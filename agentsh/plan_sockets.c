/*
 * A read-only mount does not stop connect(2): a service of the host that listens in /opt could be
 * reached through a plain bind, past every rule. A tree in which one listens goes through fsgate,
 * where a socket is only a name.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agentsh/plan_i.h"
#include "common/auto.h"
#include "common/path.h"

static int add_socket(struct plan_build *b, const char *path)
{
	char **bigger = realloc(b->sockets, (b->n_sockets + 1) * sizeof(*bigger));
	char *copy = strdup(path);

	if (bigger)
		b->sockets = bigger;
	if (!bigger || !copy) {
		free(copy);
		return -ENOMEM;
	}
	b->sockets[b->n_sockets++] = copy;
	return 0;
}

/* proc_pid_net(5): the name is the last column, and the only one that can have a slash */
int plan_find_sockets(struct plan_build *b, struct err *e)
{
	autofclose FILE *f = fopen("/proc/net/unix", "re");
	autofree char *line = NULL;
	size_t size = 0;
	ssize_t n;

	if (!f)
		return err_set(e, errno, "open /proc/net/unix");
	while ((n = getline(&line, &size, f)) > 0) {
		const char *path = strchr(line, '/');
		char real[PATH_MAX];
		struct stat st;

		line[n - 1] = '\0';
		/* not @/abstract; what is gone or lies in another mount namespace is nobody's door */
		if (!path || path == line || path[-1] != ' ' || !realpath(path, real) ||
		    !plan_is_software(real) || lstat(real, &st) < 0 || !S_ISSOCK(st.st_mode))
			continue;
		if (add_socket(b, real) < 0)
			return err_set(e, ENOMEM, "list the host's sockets");
	}
	return 0;
}

bool plan_has_socket(const struct plan_build *b, const char *tree)
{
	for (size_t i = 0; i < b->n_sockets; i++)
		if (path_is_below(b->sockets[i], tree))
			return true;
	return false;
}
