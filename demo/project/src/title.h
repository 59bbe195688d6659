#ifndef TITLE_H
#define TITLE_H

/** Upper-case the first letter of each word, in place. */
void title_case(char *text);

#endif
