/* The shared library, loaded by name at run time. It comes in this program, because a guest has no other file:
 * LIBRARY is its path when the program is compiled. */
#define _GNU_SOURCE
#include <clone_trampoline.h>

#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

__asm__(".section .rodata\n"
	".globl library, library_end\n"
	"library: .incbin \"" LIBRARY "\"\n"
	"library_end: .byte 0\n"
	".previous");
extern const char library[], library_end[];

static int number;

static int child(void *argument)
{
	number = *(int *)argument;
	return 7;
}

int main(void)
{
	const unsigned long flags = CLONE_TRAMPOLINE_VM | CLONE_TRAMPOLINE_VFORK | SIGCHLD;
	long (*clone)(int (*)(void *), void *, unsigned long, void *, int *, void *, int *);
	int file = memfd_create("library", 0), argument = 42, status;
	char path[64];
	void *loaded;
	long pid;

	if (write(file, library, library_end - library) != library_end - library)
		return perror("write"), 1;
	snprintf(path, sizeof path, "/proc/self/fd/%d", file);
	loaded = dlopen(path, RTLD_NOW);
	if (!loaded)
		return puts(dlerror()), 1;
	*(void **)&clone = dlsym(loaded, "clone_trampoline");
	if (!clone || !dlsym(loaded, "clone3_trampoline") || !dlsym(loaded, "unmap_exit_trampoline") ||
	    !dlsym(loaded, "clone_trampoline_syscall"))
		return puts(dlerror()), 1;
	pid = clone(child, NULL, flags, &argument, NULL, NULL, NULL);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || WEXITSTATUS(status) != 7 || number != 42)
		return puts("clone"), 1;
	if (dlclose(loaded) != 0)
		return puts(dlerror()), 1;
	puts("loaded, called, unloaded");
	return 0;
}
