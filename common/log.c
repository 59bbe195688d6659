#include "common/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/str.h"

/* The log sink: the one mutable global of the project (HACKING.md, "Globals"). */
static struct {
	const char *name;
	enum log_format format;
	enum log_level level;
	int fd;
} sink = {"agentsh", LOG_TEXT, LOG_LEVEL_WARN, STDERR_FILENO};

static const char *const level_names[] = {"error", "warning", "info", "debug"};

void log_init(const char *name, enum log_format format, enum log_level level)
{
	sink.name = name;
	sink.format = format;
	sink.level = level;
}

void log_init_env(const char *name)
{
	const char *spec = getenv("AGENTSH_LOG");

	sink.name = name;
	if (!spec)
		return;
	if (strstr(spec, "json"))
		sink.format = LOG_JSON;
	for (unsigned i = 0; i < 4; i++)
		if (strstr(spec, level_names[i]))
			sink.level = (enum log_level)i;
}

void log_set_fd(int fd)
{
	sink.fd = fd;
}

static void format_line(struct str *line, enum log_level level, const char *text)
{
	struct timespec now;
	struct tm tm;

	if (sink.format == LOG_TEXT) {
		str_addf(line, "%s: %s", sink.name, level == LOG_LEVEL_WARN ? "warning: " : "");
		str_add_escaped(line, text, strlen(text));
		str_add(line, "\n");
		return;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	str_addf(line, "{\"time\":\"%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ\",", tm.tm_year + 1900,
		 tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
		 now.tv_nsec / 1000000);
	str_addf(line, "\"level\":\"%s\",\"process\":\"%s\",\"pid\":%d,\"message\":\"",
		 level_names[level], sink.name, (int)getpid());
	str_add_json(line, text, strlen(text));
	str_add(line, "\"}\n");
}

void log_at(enum log_level level, const char *fmt, ...)
{
	int saved = errno;
	char text[1024], buf[2048];
	struct str line;
	va_list ap;

	if (level > sink.level)
		return;
	va_start(ap, fmt);
	errno = saved;
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	str_init(&line, buf, sizeof(buf));
	format_line(&line, level, text);
	if (line.cut)
		buf[line.len - 1] = '\n';
	if (write(sink.fd, buf, line.len) < 0) {
		/* nowhere left to say it */
	}
	errno = saved;
}
