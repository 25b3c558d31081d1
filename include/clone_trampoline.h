/* clone(2) and clone3(2) for C: see PORTING.md for what every port promises (C1 to C12), and src/raw.rs for
 * what the caller must. All three are async-signal-safe, need no thread-local storage, and may be called
 * before libc is up. */
#ifndef CLONE_TRAMPOLINE_H
#define CLONE_TRAMPOLINE_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct clone_args; /* <linux/sched.h> */

/* The child's tid, or -errno. The child runs fn(arg) on the stack below stack_top and exits with its return
 * value; flags have the exit signal in their lowest eight bits. */
long clone_trampoline(int (*fn)(void *), void *stack_top, unsigned long flags, void *arg,
                      int *parent_tid, void *tls, int *child_tid);

/* The same by clone3(2), Linux 5.3. args is read by the kernel alone. */
long clone3_trampoline(const struct clone_args *args, size_t size, int (*fn)(void *), void *arg);

/* Unmaps [base, base + length), the stack it runs on, and ends the calling task. Before: block all signals;
 * unregister the robust list, the rseq area and the clear_child_tid address if they lie in that range. */
#if defined(__GNUC__)
__attribute__((__noreturn__))
#endif
void unmap_exit_trampoline(void *base, size_t length, int status);

#ifdef __cplusplus
}
#endif

#endif
