#include <stdio.h>
#include <string.h>

#include "slug.h"
#include "title.h"

/* Reads headlines, one a line; prints each in title case with the name for its URL. */
int main(void)
{
	char line[256], slug[256];

	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		slug_make(slug, sizeof(slug), line);
		title_case(line);
		printf("%s /%s\n", line, slug);
	}
	return 0;
}
