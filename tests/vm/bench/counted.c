// SPDX-License-Identifier: MIT
/* counted COMMAND [ARGUMENT...]: runs a command while the profile plugin counts, and ends as it did. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mark.h"

#define TEXT(...) #__VA_ARGS__
#define EXECUTE(...) __asm__ volatile(".byte " TEXT(__VA_ARGS__))

int main(int argc, char **argv)
{
	int status;
	pid_t pid;

	if (argc < 2) {
		fputs("usage: counted COMMAND [ARGUMENT...]\n", stderr);
		return 2;
	}
	EXECUTE(MARK_BEGIN);
	pid = vfork();
	if (pid == 0) {
		execvp(argv[1], argv + 1);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0) {
		fprintf(stderr, "counted: %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	EXECUTE(MARK_END);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
