/* SPDX-License-Identifier: BSD-2-Clause */
/* EVFILT_VNODE: receipts, errors and short lists (section 1), and which wishes are accepted (5.1, 5.3). */
#define SUITE "vnode_wishes"
#include "suite.h"

#include "vnodes.h"

#ifdef EVFILT_VNODE

enum { SIZE = 10 };

#define GROWTH (NOTE_WRITE | NOTE_EXTEND)

/* ---- 1 Receipts, errors, short lists --------------------------------------------------------------- */

/* 1.7 EV_RECEIPT answers the change; 1.15 it and the other mode flags come back in every event. */
TEST(receipt, "1.7 1.15")
{
    int kq = queue(), fd = new_file("file", SIZE);
    const unsigned short flags = EV_ADD | EV_RECEIPT | EV_CLEAR;
    struct kevent ev[4], add = EVENT(fd, EVFILT_VNODE, flags, NOTE_WRITE, 0, 1);
    CHECK_EQ(kevent(kq, &add, 1, ev, 4, NULL), 1);
    EXPECT_EVENT(ev[0], fd, EVFILT_VNODE, flags | EV_ERROR, NOTE_WRITE, 0, 1);
    overwrite(fd);
    EXPECT_NEXT(kq, fd, EVFILT_VNODE, flags, NOTE_WRITE, 0, 1);
    silent(kq);
}

/* 1.5 A change that fails comes back with its errno, and the others are applied. */
TEST(error_entries, "1.5 1.6 5.5")
{
    int kq = queue(), fd = new_file("file", SIZE), fds[2];
    pipe_pair(fds);
    struct kevent ev[8];
    struct kevent changes[] = {
        EVENT(fds[0], EVFILT_VNODE, EV_ADD | EV_CLEAR, NOTE_WRITE, 3, 1),
        EVENT(fd, EVFILT_VNODE, EV_ADD | EV_CLEAR, NOTE_WRITE, 0, 2),
        EVENT(400, EVFILT_VNODE, EV_ADD, NOTE_DELETE, 0, 3),
        EVENT(fd, EVFILT_VNODE, EV_ADD, 0x40000000, 0, 4),
    };
    CHECK_EQ(kevent(kq, changes, 4, ev, 8, NULL), 3);
    EXPECT_EVENT(ev[0], fds[0], EVFILT_VNODE, EV_ADD | EV_CLEAR | EV_ERROR, NOTE_WRITE, EINVAL, 1);
    EXPECT_EVENT(ev[1], 400, EVFILT_VNODE, EV_ADD | EV_ERROR, NOTE_DELETE, EBADF, 3);
    EXPECT_EVENT(ev[2], fd, EVFILT_VNODE, EV_ADD | EV_ERROR, 0x40000000, EINVAL, 4);
    overwrite(fd);
    EXPECT_NOTES(kq, fd, NOTE_WRITE, 2);
}

/* 1.12 More are ready than fit: each comes once, in calls of any size, and the queue polls readable until then. */
TEST(short_eventlists, "1.12 2.9 10.5")
{
    enum { N = 50 };
    int kq = queue(), fds[N];
    char path[32];
    look_often(kq);
    for (int i = 0; i < N; i++) {
        snprintf(path, sizeof path, "file%d", i);
        fds[i] = new_file(path, SIZE);
        watch(kq, fds[i], NOTE_WRITE | NOTE_ATTRIB, i);
    }
    for (int room = 1; room <= N + 1; room += 7) {
        int seen[N] = {0}, left = N;
        for (int i = 0; i < N; i++) {
            overwrite(fds[i]);
            OK(fchmod(fds[i], 0600));
        }
        while (left > 0) {
            struct kevent ev[N + 1];
            CHECK(readable(kq));
            int n = collect(kq, ev, room);
            CHECK_EQ(n, room < left ? room : left);
            for (int i = 0; i < n; i++) {
                size_t which = (size_t)ev[i].udata;
                CHECK(which < N && !seen[which]);
                seen[which] = 1;
                EXPECT_EVENT(ev[i], fds[which], EVFILT_VNODE, EV_ADD | EV_CLEAR, NOTE_WRITE | NOTE_ATTRIB, 0, which);
            }
            left -= n;
        }
        silent(kq);
    }
}

/* 1.12 Level knotes take turns, and events that come meanwhile are not lost. */
TEST(level_knotes_take_turns, "1.12 2.10")
{
    enum { N = 10 };
    int kq = queue(), fds[N], seen[N] = {0};
    char path[32];
    for (int i = 0; i < N; i++) {
        snprintf(path, sizeof path, "file%d", i);
        fds[i] = new_file(path, SIZE);
        change(kq, fds[i], EVFILT_VNODE, EV_ADD, NOTE_WRITE, 0, i);
        overwrite(fds[i]);
    }
    for (int call = 0; call < 2 * N; call++) {
        struct kevent ev;
        CHECK_EQ(collect(kq, &ev, 1), 1);
        size_t which = (size_t)ev.udata;
        CHECK(which < N);
        EXPECT_EVENT(ev, fds[which], EVFILT_VNODE, EV_ADD, NOTE_WRITE, 0, which);
        seen[which]++;
        overwrite(fds[call % N]);
    }
    for (int i = 0; i < N; i++)
        CHECK_GE(seen[i], 1);
}

/* ---- 5.1 Which wishes are accepted ----------------------------------------------------------------- */

/* 5.1 No wish at all is accepted, and reports nothing until one comes. */
TEST(no_wish, "5.1 5.4")
{
    int kq = queue(), fd = new_file("file", SIZE);
    watch(kq, fd, 0, 1);
    append_to("file", 1);
    OK(fchmod(fd, 0600));
    OK(rename("file", "other"));
    silent(kq);
    watch(kq, fd, NOTE_WRITE, 2);
    silent(kq);
    append_to("other", 1);
    EXPECT_NOTES(kq, fd, GROWTH, 2);
}

/* 2.4 A number that is not open is EBADF, whatever is wanted of it. */
TEST(wrong_note_of_no_descriptor, "2.4 1.11")
{
    int kq = queue(), fd = new_file("file", 0);
    OK(close(fd));
    CHECK_EQ(change_errno(kq, fd, EVFILT_VNODE, EV_ADD, 0x40000000, 0, 0), EBADF);
    CHECK_EQ(change_errno(kq, fd, EVFILT_VNODE, EV_ADD, NOTE_WRITE, 0, 0), EBADF);
    nothing(kq);
}

/* 5.3 NOTE_REVOKE alone is EINVAL, and accepted beside others, of which it takes nothing away. */
TEST(revoke, "5.3")
{
    int kq = queue(), fd = new_file("file", SIZE);
    CHECK_EQ(change_errno(kq, fd, EVFILT_VNODE, EV_ADD, NOTE_REVOKE, 0, 0), EINVAL);
    CHECK_EQ(change_errno(kq, fd, EVFILT_VNODE, EV_DELETE, 0, 0, 0), ENOENT);
    watch(kq, fd, CHANGES | NOTE_REVOKE, 1);
    append_to("file", 1);
    EXPECT_NOTES(kq, fd, GROWTH, 1);
    CHECK_EQ(change_errno(kq, fd, EVFILT_VNODE, EV_ADD, NOTE_REVOKE, 0, 2), EINVAL);
    overwrite(fd);
    EXPECT_NOTES(kq, fd, NOTE_WRITE, 1);
}

/* 5.3 A note that does not exist is refused; a knote that was there stays as it was. */
TEST(unknown_notes, "5.3")
{
    static const unsigned wrong[] = {0x1000, 0x80000000, NOTE_WRITE | 0x2000, 0xffffffff, 0x01000000 | NOTE_DELETE};
    int kq = queue(), fd = new_file("file", SIZE);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        CHECK_EQ(change_errno(kq, fd, EVFILT_VNODE, EV_ADD, wrong[i], 0, 0), EINVAL);
        CHECK_EQ(change_errno(kq, fd, EVFILT_VNODE, EV_DELETE, 0, 0, 0), ENOENT);
    }
    watch(kq, fd, NOTE_WRITE, 1);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        CHECK_EQ(change_errno(kq, fd, EVFILT_VNODE, EV_ADD, wrong[i], 0, 2), EINVAL);
    OK(fchmod(fd, 0600));
    silent(kq);
    overwrite(fd);
    EXPECT_NOTES(kq, fd, NOTE_WRITE, 1);
}

#endif
