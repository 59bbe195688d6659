#include "agentsh/prompt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <termios.h>
#include <unistd.h>

#include "common/auto.h"
#include "common/str.h"

struct prompt {
	struct loop *loop;
	struct broker *broker;
	struct tty *tty;
	struct sandbox *sandbox;
	int fd; /**< /dev/tty, our own open file description */
	struct loop_io io;
	uint32_t asking; /**< id of the request on the screen; 0: none */
	bool agent_had_terminal;
	struct termios saved;
	char line[256];
	size_t len;
};

bool prompt_is_open(const struct prompt *p)
{
	return p->asking != 0;
}

static void say(struct prompt *p, const char *text, size_t len)
{
	if (write(p->fd, text, len) < 0) {
		/* a terminal that is gone answers nothing: the clock denies */
	}
}

static void take_terminal(struct prompt *p)
{
	struct termios t;

	p->agent_had_terminal = tty_agent_owns(p->tty);
	tty_take(p->tty);
	if (tcgetattr(p->fd, &p->saved) < 0)
		return;
	t = p->saved;
	t.c_iflag |= ICRNL;
	t.c_lflag |= ICANON | ECHO | ECHOE | ISIG | TOSTOP;
	t.c_oflag |= OPOST | ONLCR;
	tcsetattr(p->fd, TCSAFLUSH, &t);
}

static void give_terminal_back(struct prompt *p)
{
	tcsetattr(p->fd, TCSADRAIN, &p->saved);
	tty_give(p->tty);
	sandbox_continue(p->sandbox, p->agent_had_terminal);
}

static void show(struct prompt *p, const struct broker_pending *q)
{
	char buf[8192];
	struct str s;

	str_init(&s, buf, sizeof(buf));
	str_add(&s, "\r\nagentsh: approval needed: ");
	str_add_escaped(&s, q->op, strlen(q->op));
	str_add(&s, " ");
	str_add_mem(&s, q->subject, strlen(q->subject));
	str_add(&s, "\r\n  asked by ");
	str_add_escaped(&s, q->comm, strlen(q->comm));
	str_addf(&s, " (pid %lld), rule ", (long long)q->pid);
	str_add_escaped(&s, q->rule, strlen(q->rule));
	if (*q->message) {
		str_add(&s, "\r\n  ");
		str_add_escaped(&s, q->message, strlen(q->message));
	}
	str_addf(&s, "\r\n  allow? [y]es once, [s]ession, [N]o (denied in %u s): ",
		 q->timeout_ms / 1000);
	say(p, s.buf, s.len);
}

void prompt_update(struct prompt *p)
{
	const struct broker_pending *q = broker_oldest(p->broker);

	if (p->asking && (!q || q->id != p->asking)) {
		static const char gone[] = "\r\n  (answered or timed out)\r\n";

		say(p, gone, sizeof(gone) - 1);
		p->asking = 0;
		if (!q)
			give_terminal_back(p);
	}
	if (!q || p->asking == q->id)
		return;
	if (!p->asking)
		take_terminal(p);
	p->asking = q->id;
	p->len = 0;
	loop_io_mod(&p->io, EPOLLIN);
	show(p, q);
}

static void answer(struct prompt *p)
{
	uint32_t id = p->asking;
	bool allow = p->len == 1 && (p->line[0] == 'y' || p->line[0] == 's');
	bool word_yes = (p->len == 3 && memcmp(p->line, "yes", 3) == 0);
	char who[128];

	p->len = 0;
	p->asking = 0;
	snprintf(who, sizeof(who), "uid %u at the terminal", (unsigned)getuid());
	broker_answer(p->broker, id, allow || word_yes, who,
		      allow && p->line[0] == 's' ? SCOPE_SESSION : SCOPE_ONCE, "");
	/* broker_answer() calls prompt_update(), which asks the next one if there is one */
	if (!p->asking)
		give_terminal_back(p);
}

static void on_terminal(struct loop_io *io, uint32_t events)
{
	struct prompt *p = container_of(io, struct prompt, io);
	char c;

	if (!p->asking) {
		loop_io_mod(io, 0); /* not ours to read: the agent's input */
		return;
	}
	if ((events & (EPOLLHUP | EPOLLERR)) && !(events & EPOLLIN)) {
		loop_io_del(io);
		return;
	}
	if (read(p->fd, &c, 1) != 1)
		return;
	if (c == '\n' || c == '\r')
		answer(p);
	else if (p->len < sizeof(p->line))
		p->line[p->len++] = c;
}

int prompt_open(struct prompt **out, struct loop *l, struct broker *b, struct tty *tty,
		struct sandbox *sandbox, struct err *e)
{
	struct prompt *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return err_set(e, ENOMEM, "terminal prompt");
	p->fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (p->fd < 0) {
		free(p);
		return err_say(e, ENXIO,
			       "--approver tty: there is no controlling terminal; use agentsh "
			       "approve from another one");
	}
	p->loop = l;
	p->broker = b;
	p->tty = tty;
	p->sandbox = sandbox;
	r = loop_io_add(l, &p->io, p->fd, 0, on_terminal);
	if (r < 0) {
		close(p->fd);
		free(p);
		return err_set(e, -r, "terminal prompt");
	}
	*out = p;
	return 0;
}

void prompt_close(struct prompt *p)
{
	if (!p)
		return;
	if (p->asking)
		tcsetattr(p->fd, TCSADRAIN, &p->saved);
	loop_io_del(&p->io);
	close(p->fd);
	free(p);
}
