/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What Rust cannot say: a blocking call that pthread_cancel() may unwind through, and libc's close() where nothing
 * comes next, in a fully static program.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int *kq_errno(void)
{
	return &errno;
}

/* What the program's user has no right to choose for it is not looked at. */
char *kq_secure_getenv(const char *name)
{
	return getuid() == geteuid() && getgid() == getegid() ? getenv(name) : NULL;
}

/* ppoll(); mask NULL: the thread's own, time-out NULL: for ever. A cancellation point. */
int kq_poll(struct pollfd *entries, unsigned long count, const struct timespec *timeout, const sigset_t *mask)
{
	return ppoll(entries, (nfds_t)count, timeout, mask);
}

extern int __close(int) __attribute__((weak));
extern int __dup2(int, int) __attribute__((weak));

/* close(), by the function that was found or by libc's other name for it; never a cancellation point. */
int kq_close(void *found, int fd)
{
	int result, state, error;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	if (found != NULL)
		result = ((int (*)(int))found)(fd);
	else if (__close != NULL)
		result = __close(fd);
	else
		result = -1, errno = ENOSYS;
	error = errno;
	pthread_setcancelstate(state, &state);
	errno = error;
	return result;
}

int kq_dup2(int old, int new)
{
	if (__dup2 != NULL)
		return __dup2(old, new);
	errno = ENOSYS;
	return -1;
}

extern int __sigaction(int, const struct sigaction *, struct sigaction *) __attribute__((weak));

int kq_sigaction(int signo, const struct sigaction *new, struct sigaction *old)
{
	if (__sigaction != NULL)
		return __sigaction(signo, new, old);
	errno = ENOSYS;
	return -1;
}
