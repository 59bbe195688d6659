#include "title.h"

#include <ctype.h>

static int starts_word(char before)
{
	return before == ' ';
}

void title_case(char *text)
{
	char before = ' ';

	for (; *text; text++) {
		if (starts_word(before))
			*text = (char)toupper((unsigned char)*text);
		before = *text;
	}
}
