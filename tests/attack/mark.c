/* mark.c - a program whose running can be seen: the victim of exec.c, hello, and setuid-id */
#include <stdio.h>
#include <unistd.h>

int main(void)
{
	printf("VICTIM RAN\neuid %d\n", (int)geteuid());
	return 0;
}
