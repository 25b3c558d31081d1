/* All that this program has is the library: no libc, no start files, not even a system call of its own. So it
 * carries each property that its compiler and the library agree on. Status 42 if all went well. */
#include <clone_trampoline.h>

static int number;

static int child(void *argument)
{
	number = *(int *)argument;
	return 7;
}

#if defined(__i386__) || defined(__x86_64__)
__attribute__((__force_align_arg_pointer__)) /* the kernel has not called it */
#endif
void _start(void)
{
	/* By pointers that the compiler does not see through: indirect calls, which must meet a landing pad. */
	long (*volatile clone)(int (*)(void *), void *, unsigned long, void *, int *, void *, int *) = clone_trampoline;
	long (*volatile clone3)(const struct clone_trampoline_args *, size_t, int (*)(void *), void *) = clone3_trampoline;
	void (*volatile unmap_exit)(void *, size_t, int) = unmap_exit_trampoline;
	const unsigned long flags = CLONE_TRAMPOLINE_VM | CLONE_TRAMPOLINE_VFORK;
	const struct clone_trampoline_args args = { .flags = flags };
	int first = 20, second = 42, status = 1;

	if (clone(child, NULL, flags, &first, NULL, NULL, NULL) > 0 && number == first &&
	    clone3(&args, sizeof args, child, &second) > 0)
		status = number;
	unmap_exit(NULL, 0, status); /* nothing to unmap: it exits */
}
