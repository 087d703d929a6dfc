/* SPDX-License-Identifier: BSD-2-Clause */
/* 1.12: within one call descriptors come before process exits, so that a program reads the last output first. */
#define SUITE "proc"
#include "suite.h"

#ifdef EVFILT_PROC

#include "procs.h"

#ifdef __linux__
#include <sys/syscall.h>
#endif

enum { BYTES = 5 };

/* A child that, let go, writes BYTES and exits with code 3. */
struct writer {
    int out; /* where to read them */
    int go;
    pid_t pid;
};

static struct writer new_writer(int sockets)
{
    int out[2], go[2];
    if (sockets)
        socket_pair(out);
    else
        pipe_pair(out);
    pipe_pair(go);
    pid_t pid = OK(fork());
    if (pid == 0) {
        take(go[0], 1);
        put(out[1], BYTES);
        _exit(3);
    }
    OK(close(out[1]));
    OK(close(go[0]));
    return (struct writer){out[0], go[1], pid};
}

static void let_write(const struct writer *writer)
{
    put(writer->go, 1);
    until_zombie(writer->pid);
}

/* Both are there; one call reports both, the output first. The end of the output came with the exit. */
static void output_first(int sockets, unsigned short mode)
{
    for (int order = 0; order < 2; order++) {
        int kq = queue();
        struct kevent ev[4];
        struct writer writer = new_writer(sockets);
        if (order == 0)
            change(kq, writer.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 1);
        change(kq, writer.out, EVFILT_READ, EV_ADD | mode, 0, 0, 2);
        if (order == 1)
            change(kq, writer.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 1);
        let_write(&writer);
        CHECK_EQ(kevent(kq, NULL, 0, ev, 4, NULL), 2);
        EXPECT_EVENT(ev[0], writer.out, EVFILT_READ, EV_ADD | mode | EV_EOF, 0, BYTES, 2);
        EXPECT_EVENT(ev[1], writer.pid, EVFILT_PROC, ENDED, NOTE_EXIT, CODE(3), 1);
    }
}

#define OUTPUT_FIRST(name, mode)                                                                            \
    TEST(output_by_pipe_first_##name, "1.12") { output_first(0, mode); }                                    \
    TEST(output_by_socket_first_##name, "1.12") { output_first(1, mode); }
OUTPUT_FIRST(level, 0)
OUTPUT_FIRST(clear, EV_CLEAR)
OUTPUT_FIRST(oneshot, EV_ONESHOT)
OUTPUT_FIRST(dispatch, EV_DISPATCH)

/* 1.12 The process was a zombie when it was added: its output comes first all the same. */
TEST(output_first_of_a_zombie, "1.12 8.1")
{
    for (int order = 0; order < 2; order++) {
        int kq = queue();
        struct kevent ev[4];
        struct writer writer = new_writer(0);
        let_write(&writer);
        struct kevent changes[] = {EVENT(writer.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 1),
                                   EVENT(writer.out, EVFILT_READ, EV_ADD, 0, 0, 2)};
        if (order) {
            struct kevent first = changes[0];
            changes[0] = changes[1];
            changes[1] = first;
        }
        CHECK_EQ(kevent(kq, changes, 2, ev, 4, NULL), 2);
        EXPECT_EVENT(ev[0], writer.out, EVFILT_READ, EV_ADD | EV_EOF, 0, BYTES, 2);
        EXPECT_EVENT(ev[1], writer.pid, EVFILT_PROC, ENDED, NOTE_EXIT, CODE(3), 1);
    }
}

/* 1.12 It was reaped before kevent looks. */
TEST(output_first_of_one_that_was_reaped, "1.12 8.4")
{
    int kq = queue();
    struct kevent ev[4];
    struct writer writer = new_writer(0);
    change(kq, writer.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 1);
    change(kq, writer.out, EVFILT_READ, EV_ADD, 0, 0, 2);
    let_write(&writer);
    reap(writer.pid);
    CHECK_EQ(kevent(kq, NULL, 0, ev, 4, NULL), 2);
    EXPECT_EVENT(ev[0], writer.out, EVFILT_READ, EV_ADD | EV_EOF, 0, BYTES, 2);
    EXPECT_EVENT(ev[1], writer.pid, EVFILT_PROC, ENDED, NOTE_EXIT, reaped_status_is_told() ? CODE(3) : 0, 1);
}

/* 1.12 The output is watched by a kqueue inside this one. */
TEST(output_in_a_kqueue_first, "1.12 3.8")
{
    int kq = queue(), inner = queue();
    struct kevent ev[4];
    struct writer writer = new_writer(0);
    change(kq, writer.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 1);
    change(inner, writer.out, EVFILT_READ, EV_ADD, 0, 0, 2);
    change(kq, inner, EVFILT_READ, EV_ADD, 0, 0, 3);
    let_write(&writer);
    CHECK_EQ(kevent(kq, NULL, 0, ev, 4, NULL), 2);
    EXPECT_EVENT_ANY(ev[0], inner, EVFILT_READ, EV_ADD, 0, 1, 3, DATA_AT_LEAST);
    EXPECT_EVENT(ev[1], writer.pid, EVFILT_PROC, ENDED, NOTE_EXIT, CODE(3), 1);
    EXPECT_NEXT(inner, writer.out, EVFILT_READ, EV_ADD | EV_EOF, 0, BYTES, 2);
}

/* 1.12 With room for one event the output comes in the first call, the exit in the second. */
TEST(output_first_with_room_for_one, "1.12")
{
    int kq = queue();
    struct kevent ev;
    struct writer writer = new_writer(0);
    change(kq, writer.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 1);
    change(kq, writer.out, EVFILT_READ, EV_ADD | EV_ONESHOT, 0, 0, 2);
    let_write(&writer);
    CHECK_EQ(kevent(kq, NULL, 0, &ev, 1, NULL), 1);
    EXPECT_EVENT(ev, writer.out, EVFILT_READ, EV_ADD | EV_ONESHOT | EV_EOF, 0, BYTES, 2);
    CHECK_EQ(kevent(kq, NULL, 0, &ev, 1, NULL), 1);
    EXPECT_EVENT(ev, writer.pid, EVFILT_PROC, ENDED, NOTE_EXIT, CODE(3), 1);
    nothing(kq);
}

/* 1.12 Of many: every output of the call before every exit. */
TEST(outputs_before_exits, "1.12")
{
    enum { N = 20 };
    int kq = queue(), outputs = 0, exits_seen = 0;
    struct writer writers[N];
    struct kevent ev[2 * N];
    for (int i = 0; i < N; i++) {
        writers[i] = new_writer(i % 2);
        change(kq, writers[i].pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, i);
        change(kq, writers[i].out, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, i);
    }
    for (int i = N - 1; i >= 0; i--)
        let_write(&writers[i]);
    CHECK_EQ(kevent(kq, NULL, 0, ev, 2 * N, NULL), 2 * N);
    for (int i = 0; i < 2 * N; i++) {
        int index = (int)(intptr_t)ev[i].udata;
        CHECK(index >= 0 && index < N);
        if (ev[i].filter == EVFILT_READ) {
            CHECK_EQ(exits_seen, 0);
            EXPECT_EVENT(ev[i], writers[index].out, EVFILT_READ, EV_ADD | EV_CLEAR | EV_EOF, 0, BYTES, index);
            outputs++;
        } else {
            EXPECT_EVENT(ev[i], writers[index].pid, EVFILT_PROC, ENDED, NOTE_EXIT, CODE(3), index);
            exits_seen++;
        }
    }
    CHECK_EQ(outputs, N);
    CHECK_EQ(exits_seen, N);
}

/* 1.12 A program that sleeps in kevent while the child writes and exits never hears of the end first. */
TEST_LIMIT(no_exit_before_its_output, "1.12 8.2", 30)
{
    for (int i = 0; i < 100; i++) {
        int kq = queue(), output = 0, ended = 0;
        struct writer writer = new_writer(i % 2);
        change(kq, writer.pid, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, 1);
        change(kq, writer.out, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 2);
        put(writer.go, 1);
        while (!ended) {
            struct kevent ev[4];
            int n = collect(kq, ev, 4);
            for (int j = 0; j < n; j++) {
                output |= ev[j].filter == EVFILT_READ;
                ended |= ev[j].filter == EVFILT_PROC;
                CHECK(!ended || output);
            }
        }
        reap(writer.pid);
        OK(close(kq));
        OK(close(writer.out));
        OK(close(writer.go));
    }
}

#if defined(EVFILT_PROCDESC) && defined(SYS_pidfd_open)
/* 1.12 8.7 A process descriptor reports an exit, not a descriptor's state: it comes after the output, too. */
TEST(output_before_the_end_by_descriptor, "1.12 8.7")
{
    int kq = queue();
    struct kevent ev[4];
    struct writer writer = new_writer(0);
    int fd = (int)syscall(SYS_pidfd_open, writer.pid, 0);
    if (fd == -1)
        SKIP("no pidfd_open");
    change(kq, fd, EVFILT_PROCDESC, EV_ADD, NOTE_EXIT, 0, 1);
    change(kq, writer.out, EVFILT_READ, EV_ADD, 0, 0, 2);
    let_write(&writer);
    CHECK_EQ(kevent(kq, NULL, 0, ev, 4, NULL), 2);
    EXPECT_EVENT(ev[0], writer.out, EVFILT_READ, EV_ADD | EV_EOF, 0, BYTES, 2);
    EXPECT_EVENT(ev[1], fd, EVFILT_PROCDESC, ENDED, NOTE_EXIT, CODE(3), 1);
}
#endif

#endif
