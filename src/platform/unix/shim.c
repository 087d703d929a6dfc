/* SPDX-License-Identifier: BSD-2-Clause */
#include <stddef.h>

/*
 * ThreadSanitizer in the program cannot see what orders two threads that meet in a kqueue: the library is not compiled
 * with it, and the kernel's part is not to be seen at all.
 */
extern void __tsan_acquire(void *) __attribute__((weak));
extern void __tsan_release(void *) __attribute__((weak));

/* What the calling thread did so far comes before what one does that takes an event of `queue`. */
void kq_hand_over(void *queue)
{
	if (__tsan_release != NULL)
		__tsan_release(queue);
}

void kq_take_over(void *queue)
{
	if (__tsan_acquire != NULL)
		__tsan_acquire(queue);
}

/* GNU: true while there is one thread, which makes others no sooner than it says so. */
extern char __libc_single_threaded __attribute__((weak));

/* Where libc keeps it; where libc does not say (before glibc 2.32), nobody is ever known to be alone. */
const char *kq_single_threaded(void)
{
	static const char unknown;

	return &__libc_single_threaded != NULL ? &__libc_single_threaded : &unknown;
}
