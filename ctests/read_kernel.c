/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * EVFILT_READ and EVFILT_WRITE on the other descriptors that Linux has: they work as their poll(2) says,
 * and data is never 0, because programs read that many.
 */
#ifdef __linux__

#define SUITE "read_kernel"
#include "suite.h"

#include "sockets.h"

#include <linux/filter.h>
#include <linux/if_packet.h>
#include <linux/io_uring.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/seccomp.h>
#include <mqueue.h>
#include <net/ethernet.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

/* READ of the descriptor reports at least `least`, at every call while poll(2) says readable. */
static void reports(int kq, int fd, int least)
{
    CHECK(readable(fd));
    EXPECT_NEXT_ANY(kq, fd, EVFILT_READ, EV_ADD, 0, least, 0xfeed, DATA_AT_LEAST);
    EXPECT_NEXT_ANY(kq, fd, EVFILT_READ, EV_ADD, 0, least, 0xfeed, DATA_AT_LEAST);
}

/* ---- Counters ----------------------------------------------------------------------------------- */

/* 3.7 An eventfd is ready with a counter; data is 1 or the counter, which is not consumed. */
TEST(eventfd_is_readable, "3.7 2.10")
{
    struct kevent ev;
    uint64_t count;
    int kq = queue(), fd = OK(eventfd(0, EFD_NONBLOCK));
    change(kq, fd, EVFILT_READ, EV_ADD, 0, 0, 0xfeed);
    nothing(kq);
    OK(eventfd_write(fd, 5));
    for (int round = 0; round < 2; round++) {
        wait_event(kq, &ev);
        EXPECT_EVENT_ANY(ev, fd, EVFILT_READ, EV_ADD, 0, 1, 0xfeed, ANY_DATA);
        CHECK(ev.data == 1 || ev.data == 5);
    }
    OK(eventfd_read(fd, &count));
    CHECK_EQ(count, 5);
    nothing(kq);
}

/* 2.9 With EV_CLEAR each write of an eventfd is news, with the old count unread. */
TEST(eventfd_clear_reports_each_write, "3.7 2.9")
{
    int kq = queue(), fd = OK(eventfd(0, EFD_NONBLOCK));
    change(kq, fd, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 0);
    for (int round = 0; round < 3; round++) {
        OK(eventfd_write(fd, 1));
        EXPECT_NEXT_ANY(kq, fd, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 1, 0, DATA_AT_LEAST);
        nothing(kq);
    }
}

/* 4.1 An eventfd is ready to write while its counter has room; 2.11 READ beside it knows nothing of that. */
TEST(eventfd_is_writable, "4.1 2.11 2.15")
{
    struct kevent ev[4];
    uint64_t count;
    int kq = queue(), fd = OK(eventfd(0, EFD_NONBLOCK));
    change(kq, fd, EVFILT_WRITE, EV_ADD, 0, 0, 0xbeef);
    EXPECT_NEXT_ANY(kq, fd, EVFILT_WRITE, EV_ADD, 0, 1, 0xbeef, DATA_AT_LEAST);
    change(kq, fd, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 0xfeed);
    OK(eventfd_write(fd, UINT64_MAX - 1));
    EXPECT_NEXT_ANY(kq, fd, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 1, 0xfeed, DATA_AT_LEAST);
    nothing(kq);
    OK(eventfd_read(fd, &count));
    EXPECT_NEXT_ANY(kq, fd, EVFILT_WRITE, EV_ADD, 0, 1, 0xbeef, DATA_AT_LEAST);
    OK(eventfd_write(fd, 1));
    CHECK_EQ(collect(kq, ev, 4), 2);
    EXPECT_EVENT_ANY(*find_event(ev, 2, fd, EVFILT_READ), fd, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 1, 0xfeed,
                     DATA_AT_LEAST);
    EXPECT_EVENT_ANY(*find_event(ev, 2, fd, EVFILT_WRITE), fd, EVFILT_WRITE, EV_ADD, 0, 1, 0xbeef,
                     DATA_AT_LEAST);
}

/* 3.9 A timerfd is ready when it expired, and not after it was read. */
TEST(timerfd_is_readable, "3.9")
{
    struct itimerspec soon = {.it_value = {0, 1000000}};
    int kq = queue(), fd = OK(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
    change(kq, fd, EVFILT_READ, EV_ADD, 0, 0, 0xfeed);
    nothing(kq);
    OK(timerfd_settime(fd, 0, &soon, NULL));
    EXPECT_NEXT_ANY(kq, fd, EVFILT_READ, EV_ADD, 0, 1, 0xfeed, DATA_AT_LEAST);
    reports(kq, fd, 1);
    take(fd, sizeof(uint64_t));
    nothing(kq);
}

/* 3.9 A signalfd is ready with a pending signal. */
TEST(signalfd_is_readable, "3.9")
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    OK(sigprocmask(SIG_BLOCK, &set, NULL));
    int kq = queue(), fd = OK(signalfd(-1, &set, SFD_NONBLOCK));
    change(kq, fd, EVFILT_READ, EV_ADD, 0, 0, 0xfeed);
    nothing(kq);
    OK(kill(getpid(), SIGUSR1));
    reports(kq, fd, 1);
    take(fd, sizeof(struct signalfd_siginfo));
    nothing(kq);
}

/* 3.9 An inotify instance is ready with events; data is the bytes of them. */
TEST(inotify_is_readable, "3.9")
{
    int kq = queue(), fd = OK(inotify_init1(IN_NONBLOCK));
    OK(inotify_add_watch(fd, ".", IN_CREATE));
    change(kq, fd, EVFILT_READ, EV_ADD, 0, 0, 0xfeed);
    nothing(kq);
    OK(close(OK(open("new", O_CREAT | O_RDWR, 0600))));
    reports(kq, fd, 1);
    EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD, 0, bytes_queued(fd), 0xfeed);
    take(fd, (size_t)bytes_queued(fd));
    nothing(kq);
}

/* 3.9 Another library's epoll is ready while one of its descriptors is. */
TEST(epoll_is_readable, "3.9")
{
    struct epoll_event event = {.events = EPOLLIN};
    int kq = queue(), fd = OK(epoll_create1(0)), p[2];
    pipe_pair(p);
    OK(epoll_ctl(fd, EPOLL_CTL_ADD, p[0], &event));
    change(kq, fd, EVFILT_READ, EV_ADD, 0, 0, 0xfeed);
    nothing(kq);
    put(p[1], 5);
    reports(kq, fd, 1);
    take(p[0], 5);
    nothing(kq);
}

/* 3.9 A pidfd is ready when its process has ended, which nobody reaps. */
TEST(pidfd_is_readable, "3.9")
{
    int release[2];
    pipe_pair(release);
    pid_t child = OK(fork());
    if (child == 0) {
        char byte;
        OK(close(release[1]));
        _exit(read(release[0], &byte, 1) == 0 ? 0 : 1);
    }
    int fd = (int)syscall(SYS_pidfd_open, child, 0);
    if (fd == -1)
        SKIP("no pidfd_open");
    int kq = queue();
    change(kq, fd, EVFILT_READ, EV_ADD, 0, 0, 0xfeed);
    nothing(kq);
    OK(close(release[1]));
    EXPECT_NEXT_ANY(kq, fd, EVFILT_READ, EV_ADD, 0, 1, 0xfeed, DATA_AT_LEAST);
    child_succeeds(child);
}

/* 3.9 A message queue is ready with a message. */
TEST(message_queue_is_readable, "3.9")
{
    char name[64] = "/conformance-", bytes[64];
    struct mq_attr attributes = {.mq_maxmsg = 2, .mq_msgsize = sizeof bytes};
    for (unsigned pid = (unsigned)getpid(), at = 13; pid > 0; pid /= 10)
        name[at++] = (char)('0' + pid % 10);
    mqd_t fd = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attributes);
    if (fd == -1)
        SKIP("no message queues");
    OK(mq_unlink(name));
    int kq = queue();
    change(kq, fd, EVFILT_READ, EV_ADD, 0, 0, 0xfeed);
    nothing(kq);
    OK(mq_send(fd, "hello", 5, 0));
    reports(kq, fd, 1);
    CHECK_EQ(mq_receive(fd, bytes, sizeof bytes, NULL), 5);
    nothing(kq);
    change(kq, fd, EVFILT_WRITE, EV_ADD, 0, 0, 0xbeef);
    EXPECT_NEXT_ANY(kq, fd, EVFILT_WRITE, EV_ADD, 0, 1, 0xbeef, DATA_AT_LEAST);
    OK(mq_send(fd, "hello", 5, 0));
    OK(mq_send(fd, "hello", 5, 0));
    reports(kq, fd, 1);
}

/* 3.9 An io_uring is ready with a completion. */
TEST(io_uring_is_readable, "3.9")
{
    struct io_uring_params params;
    memset(&params, 0, sizeof params);
    int fd = (int)syscall(SYS_io_uring_setup, 4, &params);
    if (fd == -1)
        SKIP("no io_uring");
    if (!(params.features & IORING_FEAT_SINGLE_MMAP))
        SKIP("an old io_uring");
    size_t submissions = params.sq_off.array + params.sq_entries * sizeof(unsigned);
    size_t completions = params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe);
    char *rings = mmap(NULL, submissions > completions ? submissions : completions, PROT_READ | PROT_WRITE,
                       MAP_SHARED, fd, IORING_OFF_SQ_RING);
    struct io_uring_sqe *entry = mmap(NULL, params.sq_entries * sizeof *entry, PROT_READ | PROT_WRITE,
                                      MAP_SHARED, fd, IORING_OFF_SQES);
    CHECK(rings != MAP_FAILED && entry != MAP_FAILED);
    int kq = queue();
    change(kq, fd, EVFILT_READ, EV_ADD, 0, 0, 0xfeed);
    nothing(kq);
    entry->opcode = IORING_OP_NOP;
    ((unsigned *)(rings + params.sq_off.array))[0] = 0;
    __atomic_store_n((unsigned *)(rings + params.sq_off.tail), 1, __ATOMIC_RELEASE);
    CHECK_EQ(syscall(SYS_io_uring_enter, fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0), 1);
    reports(kq, fd, 1);
    __atomic_store_n((unsigned *)(rings + params.cq_off.head), 1, __ATOMIC_RELEASE);
    nothing(kq);
}

#ifdef SYS_landlock_create_ruleset
/* 3.9 What cannot be polled is EINVAL, and no knote is left of it. */
TEST(what_cannot_be_polled, "3.9")
{
    uint64_t handled = 1; /* a struct landlock_ruleset_attr of the first version */
    int kq = queue(), fd = (int)syscall(SYS_landlock_create_ruleset, &handled, sizeof handled, 0);
    if (fd == -1)
        SKIP("no Landlock, whose rulesets cannot be polled");
    CHECK_EQ(change_errno(kq, fd, EVFILT_READ, EV_ADD, 0, 0, 0), EINVAL);
    CHECK_EQ(change_errno(kq, fd, EVFILT_WRITE, EV_ADD, 0, 0, 0), EINVAL);
    CHECK_EQ(change_errno(kq, fd, EVFILT_READ, EV_DELETE, 0, 0, 0), ENOENT);
    nothing(kq);
}
#endif

/* ---- Other sockets ------------------------------------------------------------------------------ */

/* 3.9 A netlink socket is ready with an answer, though its length cannot be asked for. */
TEST(netlink_is_readable, "3.9 4.3")
{
    struct {
        struct nlmsghdr header;
        struct rtgenmsg family;
        char padding[3];
    } question = {{sizeof question, RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, 1, 0}, {AF_UNSPEC}, {0}};
    char answer[65536];
    int kq = queue(), fd = OK(socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));
    change(kq, fd, EVFILT_READ, EV_ADD, 0, 0, 0xfeed);
    nothing(kq);
    OK(send(fd, &question, sizeof question, 0));
    reports(kq, fd, 1);
    change(kq, fd, EVFILT_WRITE, EV_ADD | EV_ONESHOT, 0, 0, 0xbeef);
    struct kevent ev[4];
    CHECK_EQ(collect(kq, ev, 4), 2);
    EXPECT_EVENT_ANY(*find_event(ev, 2, fd, EVFILT_WRITE), fd, EVFILT_WRITE, EV_ADD | EV_ONESHOT, 0, 1, 0xbeef,
                     DATA_AT_LEAST);
    while (recv(fd, answer, sizeof answer, MSG_DONTWAIT) > 0)
        ;
    nothing(kq);
}

/* 3.9 A raw socket is ready with a packet, and never at its end. */
TEST(raw_socket_is_readable, "3.9 3.3")
{
    int kq = queue(), fd = socket(AF_INET, SOCK_RAW, IPPROTO_UDP), s[2];
    if (fd == -1)
        SKIP("raw sockets are not permitted");
    connected(UDP, s);
    OK(bind(fd, (struct sockaddr *)&(struct sockaddr_in){.sin_family = AF_INET,
                                                         .sin_addr.s_addr = htonl(INADDR_LOOPBACK)},
            sizeof(struct sockaddr_in)));
    change(kq, fd, EVFILT_READ, EV_ADD, 0, 0, 0xfeed);
    put(s[1], 5);
    EXPECT_NEXT_ANY(kq, fd, EVFILT_READ, EV_ADD, 0, 20 + 8, 0xfeed, DATA_AT_LEAST);
    change(kq, fd, EVFILT_WRITE, EV_ADD | EV_ONESHOT, 0, 0, 0);
    change(kq, fd, EVFILT_READ, EV_DELETE, 0, 0, 0);
    EXPECT_NEXT_ANY(kq, fd, EVFILT_WRITE, EV_ADD | EV_ONESHOT, 0, 1, 0, DATA_AT_LEAST);
}

/* 3.9 A packet socket is ready with a frame, and never at its end. */
TEST(packet_socket_is_readable, "3.9 3.3")
{
    int kq = queue(), fd = socket(AF_PACKET, SOCK_DGRAM, htons(ETH_P_IP)), s[2];
    if (fd == -1)
        SKIP("packet sockets are not permitted");
    connected(UDP, s);
    change(kq, fd, EVFILT_READ, EV_ADD, 0, 0, 0xfeed);
    put(s[1], 5);
    EXPECT_NEXT_ANY(kq, fd, EVFILT_READ, EV_ADD, 0, 1, 0xfeed, DATA_AT_LEAST);
}

/* ---- Sandboxes ---------------------------------------------------------------------------------- */

/* From now on the system call fails with EPERM in this process. */
static void forbid(int number)
{
    struct sock_filter steps[] = {
        {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, nr)},
        {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, (unsigned)number},
        {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | EPERM},
        {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW},
    };
    struct sock_fprog program = {sizeof steps / sizeof *steps, steps};
    OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == -1)
        SKIP("no seccomp filters");
}

/* 3.9 A getsockopt that the system refuses is no reason to fail. */
SOCKETS(getsockopt_is_refused, "3.9 3.1 4.1")
{
    struct kevent ev[4];
    int kq = queue(), s[2];
    connected(kind, s);
    forbid(SYS_getsockopt);
    CHECK_ERRNO(getsockopt(s[0], SOL_SOCKET, SO_ERROR, ev, &(socklen_t){sizeof(int)}), EPERM);
    change(kq, s[0], EVFILT_READ, EV_ADD, 0, 0, 0xfeed);
    change(kq, s[0], EVFILT_WRITE, EV_ADD, 0, 0, 0xbeef);
    EXPECT_NEXT_ANY(kq, s[0], EVFILT_WRITE, EV_ADD, 0, 1, 0xbeef, DATA_AT_LEAST);
    put(s[1], 5);
    until_queued(s[0], 5);
    CHECK_EQ(collect(kq, ev, 4), 2);
    EXPECT_EVENT(*find_event(ev, 2, s[0], EVFILT_READ), s[0], EVFILT_READ, EV_ADD, 0, 5, 0xfeed);
    EXPECT_EVENT_ANY(*find_event(ev, 2, s[0], EVFILT_WRITE), s[0], EVFILT_WRITE, EV_ADD, 0, 1, 0xbeef,
                     DATA_AT_LEAST);
    take(s[0], 5);
    EXPECT_NEXT_ANY(kq, s[0], EVFILT_WRITE, EV_ADD, 0, 1, 0xbeef, DATA_AT_LEAST);
}

/* 3.9 The same for listening sockets (3.2: data is 1 where nobody tells) and for the end of a stream. */
CONNECTIONS(getsockopt_is_refused_for_the_rest, "3.9 3.2 3.3")
{
    struct address address;
    int kq = queue(), listening = listener(kind, &address), s[2];
    connected(kind, s);
    int unconnected = new_socket(kind);
    forbid(SYS_getsockopt);
    change(kq, listening, EVFILT_READ, EV_ADD | EV_ONESHOT, 0, 0, 0xfeed);
    change(kq, unconnected, EVFILT_READ, EV_ADD, 0, 0, 0);
    nothing(kq);
    client_of(kind, &address);
    EXPECT_NEXT_ANY(kq, listening, EVFILT_READ, EV_ADD | EV_ONESHOT, 0, 1, 0xfeed, DATA_AT_LEAST);
    change(kq, s[0], EVFILT_READ, EV_ADD, 0, 0, 0xfeed);
    OK(close(s[1]));
    EXPECT_NEXT(kq, s[0], EVFILT_READ, EV_ADD | EV_EOF, 0, 0, 0xfeed);
}

#else
typedef int read_kernel_is_for_linux;
#endif
