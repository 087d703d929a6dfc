/* SPDX-License-Identifier: BSD-2-Clause */
/* The least program that has a queue: how long is it to the first one? */
#ifdef RAW
#include <sys/epoll.h>
#define first_queue() epoll_create1(EPOLL_CLOEXEC)
#else
#include <sys/types.h>
#include <sys/event.h>
#define first_queue() kqueue()
#endif

int main(void)
{
    return first_queue() == -1;
}
