/* Linus Torvalds's clone.c of 1996, on the trampoline. The child shares its mother's memory and file table.
 *
 *   cc start_thread.c $(pkg-config --cflags --libs clone_trampoline)
 */
#define _GNU_SOURCE
#include <clone_trampoline.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

/* The child changes this variable, and the mother reads it. */
static volatile int show_same_vm;

static void die(const char *step, int error)
{
	fprintf(stderr, "%s: %s\n", step, strerror(error));
	exit(1);
}

/* Prints a line without stdio and errno: the child has its mother's thread pointer, so they are hers. */
static void say(const char *before, int number, const char *after)
{
	char digits[12], *first = digits + sizeof digits;
	struct iovec line[3];

	do
		*--first = (char)('0' + number % 10);
	while (number /= 10);
	line[0].iov_base = (void *)(uintptr_t)before;
	line[0].iov_len = strlen(before);
	line[1].iov_base = first;
	line[1].iov_len = (size_t)(digits + sizeof digits - first);
	line[2].iov_base = (void *)(uintptr_t)after;
	line[2].iov_len = strlen(after);
	(void)!writev(STDOUT_FILENO, line, 3);
}

static int cloned_process_starts_here(void *data)
{
	int fd = (int)(intptr_t)data;

	say("child:\t got argument ", fd, " as fd\n");
	show_same_vm = 5;
	say("child:\t vm = ", show_same_vm, "\n");
	return close(fd);
}

/* Makes a stack above a guard page. */
static char *new_stack(size_t size)
{
	char *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);

	if (base == MAP_FAILED)
		die("mmap", errno);
	if (mprotect(base, (size_t)sysconf(_SC_PAGESIZE), PROT_NONE) < 0)
		die("mprotect", errno);
	return base;
}

int main(void)
{
	const size_t size = 128 * 1024; /* more than the largest page */
	const unsigned long flags = CLONE_TRAMPOLINE_VM | CLONE_TRAMPOLINE_FS | CLONE_TRAMPOLINE_FILES |
				    CLONE_TRAMPOLINE_SIGHAND | SIGCHLD;
	char *stack = new_stack(size);
	int fd = open("/dev/null", O_RDWR), status;
	long pid;

	if (fd < 0)
		die("open", errno);
	setvbuf(stdout, NULL, _IONBF, 0);
	printf("mother:\t fd = %d\n", fd);
	show_same_vm = 10;
	printf("mother:\t vm = %d\n", show_same_vm);

	pid = clone_trampoline(cloned_process_starts_here, stack + size, flags, (void *)(intptr_t)fd, NULL, NULL, NULL);
	if (pid < 0)
		die("clone", (int)-pid);
	while (waitpid((pid_t)pid, &status, 0) < 0)
		if (errno != EINTR)
			die("waitpid", errno);
	munmap(stack, size);
	if (status != 0) {
		fprintf(stderr, "the child's wait status is %#x\n", (unsigned)status);
		return 1;
	}

	printf("mother:\t vm = %d\n", show_same_vm);
	if (write(fd, "c", 1) < 0)
		printf("mother:\t child closed our file descriptor\n");
	return 0;
}
