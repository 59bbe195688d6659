#include <stdio.h>
#include <string.h>

#include "agentsh/cmd.h"
#include "common/auto.h"
#include "common/log.h"

int main(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	log_init_env("agentsh");
	return EXIT_USAGE;
}
