/* The clone of musl, on the trampoline: with this object and the library's in place of its own two, musl's threads,
 * posix_spawn and popen start by clone_trampoline, and its detached threads end by unmap_exit_trampoline.
 * USING-AS-BACKEND.md explains it.
 *
 * __clone is variadic in musl, whose callers leave out what their flags do not use; on every architecture of this
 * library the arguments are in the same places either way. Like the trampoline, it returns -errno. */
#include <clone_trampoline.h>

#ifdef __i386__
#include <asm/ldt.h>

/* musl has the thread's base address, the kernel wants a segment. The child inherits gs, which selects one of the
 * thread's own entries of the kernel's table (which one, the kernel chose when the program began). */
static struct user_desc segment(void *base)
{
	struct user_desc desc = {
		.base_addr = (unsigned)base, .limit = 0xfffff, .seg_32bit = 1, .limit_in_pages = 1, .useable = 1
	};
	unsigned gs;

	__asm__("mov %%gs, %0" : "=r"(gs));
	desc.entry_number = gs >> 3;
	return desc;
}
#endif

__attribute__((__visibility__("hidden")))
int __clone(int (*fn)(void *), void *stack, int flags, void *arg, int *parent_tid, void *tls, int *child_tid)
{
#ifdef __i386__
	struct user_desc desc = segment(tls); /* read before the call returns */

	tls = &desc;
#endif
	return (int)clone_trampoline(fn, stack, (unsigned)flags, arg, parent_tid, tls, child_tid);
}

/* Called with all signals blocked, no robust list, and a tid address outside of the range; musl has no rseq. */
__attribute__((__visibility__("hidden"), __noreturn__))
void __unmapself(void *base, size_t size)
{
	unmap_exit_trampoline(base, size, 0);
}
