#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "common/policy_i.h"

/*
 * An image is made once, sealed, and mapped by every gate. The receiver checks the seals first, so
 * that the checks that follow hold for ever; then every span and string offset, so that no later
 * code has to. The digest is not computed again: it names the policy in records, the image comes
 * from the supervisor, and starting a crypto library costs a gate 0.7 ms.
 */

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

struct checker {
	const struct policy *p;
	const struct image_header *h;
	bool bad;
};

static void check_string(struct checker *c, uint32_t off)
{
	c->bad |= off >= c->h->strings.n;
}

static bool check_span(struct checker *c, struct image_span s, size_t element)
{
	uint64_t end = (uint64_t)s.off + (uint64_t)s.n * element;

	if (!s.n)
		return false;
	if (s.off < sizeof(*c->h) || s.off % 8 || end > c->h->strings.off)
		c->bad = true;
	return !c->bad;
}

static void check_strings(struct checker *c, struct image_span s)
{
	if (!check_span(c, s, sizeof(uint32_t)))
		return;
	for (uint32_t i = 0; i < s.n; i++)
		check_string(c, ((const uint32_t *)policy_at(c->p, s))[i]);
}

static void check_range(struct checker *c, uint32_t off, uint32_t len)
{
	c->bad |= (uint64_t)off + len >= c->h->strings.n;
}

static void check_glob(struct checker *c, const struct image_glob *g)
{
	check_string(c, g->text);
	check_string(c, g->rest);
	check_range(c, g->prefix, g->prefix_len);
	check_range(c, g->tail, g->tail_len);
	c->bad |= g->kind > GLOB_GENERAL;
}

static void check_rule(struct checker *c, const struct image_rule *r, unsigned kind)
{
	const struct image_span strings[] = {r->names,	 r->methods,	 r->regexes,
					     r->args,	 r->args_append, r->environment,
					     r->env_allow, r->env_deny};

	check_string(c, r->name);
	check_string(c, r->message);
	check_string(c, r->redirect_to);
	check_range(c, r->prefix, r->prefix_len);
	for (size_t i = 0; i < ARRAY_LEN(strings); i++)
		check_strings(c, strings[i]);
	check_span(c, r->cidrs, sizeof(struct image_cidr));
	check_span(c, r->ports, sizeof(struct image_ports));
	if (check_span(c, r->globs, sizeof(struct image_glob)))
		for (uint32_t i = 0; i < r->globs.n; i++)
			check_glob(c, (const struct image_glob *)policy_at(c->p, r->globs) + i);
	c->bad |= r->verdict >= VERDICT_COUNT || r->log > POLICY_LOG_FULL ||
		  r->tls > POLICY_TLS_PASSTHROUGH || r->environment.n % 2;
	c->bad |= kind == POLICY_SIGNAL && r->ops >= SIGNAL_TARGETS;
	c->bad |= (uint64_t)r->regex_first + r->regexes.n > c->h->regexes.n && r->regexes.n;
	for (uint32_t i = 0; !c->bad && i < r->cidrs.n; i++) {
		const struct image_cidr *cidr = (const struct image_cidr *)policy_at(c->p, r->cidrs);

		c->bad |= cidr[i].bits > 128;
	}
}

static bool image_is_sound(const struct policy *p)
{
	const struct image_header *h = policy_header(p);
	struct checker c = {p, h, false};

	if (memcmp(h->magic, IMAGE_MAGIC, sizeof(h->magic)) != 0 || h->version != IMAGE_VERSION ||
	    h->size != p->size || h->strings.n == 0 || h->strings.off < sizeof(*h) ||
	    (uint64_t)h->strings.off + h->strings.n != p->size ||
	    p->base[h->strings.off] != '\0' || p->base[p->size - 1] != '\0')
		return false;
	check_string(&c, h->name);
	check_string(&c, h->description);
	check_strings(&c, h->env_allow);
	check_strings(&c, h->env_deny);
	check_strings(&c, h->env_inject);
	check_strings(&c, h->sections);
	check_strings(&c, h->regexes);
	c.bad |= h->env_inject.n % 2 || h->sections.n % 2;
	for (unsigned i = 0; i < DEFAULTS; i++)
		c.bad |= h->defaults[i] >= VERDICT_COUNT;
	for (unsigned k = 0; k < POLICY_KINDS && !c.bad; k++) {
		const struct image_rule *rules;

		if (!check_span(&c, h->rules[k], sizeof(*rules)))
			continue;
		rules = policy_at(p, h->rules[k]);
		for (uint32_t i = 0; i < h->rules[k].n && !c.bad; i++)
			check_rule(&c, &rules[i], k);
	}
	return !c.bad;
}

static int map_image(struct policy *p, int fd, struct err *e)
{
	struct stat st;
	void *base;

	if (fstat(fd, &st) < 0)
		return err_set(e, errno, "policy image");
	if (st.st_size < (off_t)sizeof(struct image_header) || st.st_size > (off_t)IMAGE_MAX)
		return err_say(e, EINVAL, "policy image: it has an impossible size");
	base = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED)
		return err_set(e, errno, "map the policy image");
	p->base = base;
	p->size = (size_t)st.st_size;
	p->strings = (const char *)base + policy_header(p)->strings.off;
	return 0;
}

static int compile_regexes(struct policy *p, struct err *e)
{
	struct image_span all = policy_header(p)->regexes;

	p->regexes = calloc(all.n + 1, sizeof(struct regex *));
	if (!p->regexes)
		return err_set(e, ENOMEM, "policy image");
	for (uint32_t i = 0; i < all.n; i++)
		if (regex_new(&p->regexes[i], policy_item(p, all, i), e) < 0)
			return err_wrap(e, "policy image");
	return 0;
}

static int finish(struct policy *p, struct err *e)
{
	/* without patterns nothing ever searches, and the places cost memory */
	if (policy_header(p)->regexes.n && regex_scratch_new(&p->scratch) < 0)
		return err_set(e, ENOMEM, "policy image");
	return 0;
}

int policy_image_new(struct policy **out, const uint8_t *image, size_t size,
		     struct policy_loader *l, struct err *e)
{
	AUTO(policy_free) struct policy *p = calloc(1, sizeof(*p));
	size_t done = 0;
	int r;

	if (!p)
		return err_set(e, ENOMEM, "policy image");
	p->fd = memfd_create("agentsh-policy", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (p->fd < 0)
		return err_set(e, errno, "policy image: memfd_create");
	while (done < size) {
		ssize_t n = write(p->fd, image + done, size - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(e, errno, "policy image: write");
		done += (size_t)n;
	}
	if (fcntl(p->fd, F_ADD_SEALS, SEALS) < 0)
		return err_set(e, errno, "policy image: seal");
	r = map_image(p, p->fd, e);
	if (r < 0)
		return r;
	if (!image_is_sound(p))
		return err_say(e, EINVAL, "policy image: the compiler made a bad one");
	p->regexes = calloc(l->n_regexes + 1, sizeof(struct regex *));
	if (!p->regexes)
		return err_set(e, ENOMEM, "policy image");
	memcpy(p->regexes, l->regexes, l->n_regexes * sizeof(struct regex *));
	l->n_regexes = 0; /* they are the policy's now */
	r = finish(p, e);
	if (r < 0)
		return r;
	*out = steal_ptr(&p);
	return 0;
}

int policy_map(struct policy **out, int image_fd, struct err *e)
{
	AUTO(policy_free) struct policy *p = calloc(1, sizeof(*p));
	int seals = fcntl(image_fd, F_GET_SEALS), r;

	if (!p)
		return err_set(e, ENOMEM, "policy image");
	p->fd = -1;
	if (seals < 0 || (seals & SEALS) != SEALS)
		return err_say(e, EINVAL, "policy image: it is not a sealed memfd");
	p->fd = fcntl(image_fd, F_DUPFD_CLOEXEC, 3);
	if (p->fd < 0)
		return err_set(e, errno, "policy image");
	r = map_image(p, p->fd, e);
	if (r < 0)
		return r;
	if (!image_is_sound(p))
		return err_say(e, EINVAL, "policy image: it is damaged or of another version");
	r = compile_regexes(p, e);
	if (r == 0)
		r = finish(p, e);
	if (r < 0)
		return r;
	*out = steal_ptr(&p);
	return 0;
}

void policy_free(struct policy *p)
{
	if (!p)
		return;
	for (uint32_t i = 0; p->regexes && p->base && i < policy_header(p)->regexes.n; i++)
		regex_free(p->regexes[i]);
	free(p->regexes);
	regex_scratch_free(p->scratch);
	if (p->base)
		munmap((void *)(uintptr_t)p->base, p->size);
	if (p->fd >= 0)
		close(p->fd);
	free(p);
}

int policy_image_fd(const struct policy *p)
{
	return p->fd;
}

const char *policy_name(const struct policy *p)
{
	return policy_str(p, policy_header(p)->name);
}

const char *policy_description(const struct policy *p)
{
	return policy_str(p, policy_header(p)->description);
}

const uint8_t *policy_digest(const struct policy *p)
{
	return policy_header(p)->digest;
}
