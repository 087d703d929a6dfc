/* SPDX-License-Identifier: BSD-2-Clause */
/* EVFILT_VNODE: many files, the limits of the system (5.5), and lost events (5.6). */
#define SUITE "vnode_limits"
#include "suite.h"

#include "vnodes.h"

#ifdef EVFILT_VNODE

#include <sys/resource.h>

#ifdef __linux__
#include <sched.h>
#endif

enum { SIZE = 10 };

#define GROWTH (NOTE_WRITE | NOTE_EXTEND)

/* ---- Many ---------------------------------------------------------------------------------------------- */

/* 5.5 A thousand files on one queue cost no descriptor each; each is heard by itself, and together. */
TEST(thousand_files, "5.5 1.12")
{
    enum { N = 1000 };
    static int fds[N], seen[N];
    char path[32];
    need_descriptors(N + 100);
    int kq = queue();
    for (int i = 0; i < N; i++) {
        snprintf(path, sizeof path, "file%d", i);
        fds[i] = new_file(path, SIZE);
    }
    int before = open_descriptors();
    for (int i = 0; i < N; i++)
        watch(kq, fds[i], NOTE_WRITE | NOTE_ATTRIB, i);
    CHECK_LE(open_descriptors(), before + 3);
    for (int i = 0; i < N; i += 37) {
        overwrite(fds[i]);
        EXPECT_NOTES(kq, fds[i], NOTE_WRITE, i);
    }
    silent(kq);
    for (int i = 0; i < N; i++)
        overwrite(fds[i]);
    for (int left = N; left > 0;) {
        struct kevent ev[64];
        int n = collect(kq, ev, 64);
        CHECK_EQ(n, left < 64 ? left : 64);
        for (int i = 0; i < n; i++) {
            size_t which = (size_t)ev[i].udata;
            CHECK(which < N && !seen[which]);
            seen[which] = 1;
            EXPECT_EVENT(ev[i], fds[which], EVFILT_VNODE, EV_ADD | EV_CLEAR, NOTE_WRITE, 0, which);
        }
        left -= n;
    }
    silent(kq);
    for (int i = 0; i < N; i += 2)
        change(kq, fds[i], EVFILT_VNODE, EV_DELETE, 0, 0, 0);
    for (int i = 0; i < N; i++)
        if (i % 2 == 0)
            overwrite(fds[i]);
    silent(kq);
    overwrite(fds[501]);
    EXPECT_NOTES(kq, fds[501], NOTE_WRITE, 501);
}

/* 5.5 Many descriptors of one file: all hear, and the last one still does. */
TEST(many_descriptors_of_one_file, "5.5 2.6")
{
    enum { N = 100 };
    int kq = queue(), fds[N];
    struct kevent ev[N + 1];
    OK(close(new_file("file", SIZE)));
    for (int i = 0; i < N; i++) {
        fds[i] = OK(open("file", O_RDWR));
        watch(kq, fds[i], i % 2 ? NOTE_ATTRIB : NOTE_WRITE, i);
    }
    overwrite(fds[0]);
    CHECK_EQ(collect(kq, ev, N + 1), N / 2);
    for (int i = 0; i < N; i += 2)
        EXPECT_EVENT(*find_event(ev, N / 2, fds[i], EVFILT_VNODE), fds[i], EVFILT_VNODE, EV_ADD | EV_CLEAR, NOTE_WRITE,
                     0, i);
    silent(kq);
    for (int i = 0; i < N - 2; i++) {
        if (i % 3)
            OK(close(fds[i]));
        else
            change(kq, fds[i], EVFILT_VNODE, EV_DELETE, 0, 0, 0);
    }
    OK(fchmod(fds[N - 2], 0600));
    EXPECT_NOTES(kq, fds[N - 1], NOTE_ATTRIB, N - 1);
    overwrite(fds[N - 1]);
    EXPECT_NOTES(kq, fds[N - 2], NOTE_WRITE, N - 2);
    silent(kq);
}

/* ---- 5.6 Lost events ----------------------------------------------------------------------------------- */

#ifdef __linux__
/* Makes more events of the file than the system keeps, no two in a row alike. */
static void overflow(int fd)
{
    long most = 0;
    FILE *file = fopen("/proc/sys/fs/inotify/max_queued_events", "re");
    if (!file || fscanf(file, "%ld", &most) != 1)
        SKIP("the length of inotify's queue is unknown");
    fclose(file);
    if (most > 200000)
        SKIP("inotify's queue is too long to be filled");
    for (long i = 0; i < most + 10; i++) {
        if (i % 2)
            OK(fchmod(fd, i % 4 == 1 ? 0600 : 0640));
        else
            overwrite(fd);
    }
}

/* The busy file, watched with these notes, fills the queue; its event is there, and it works afterwards. */
static int busy_file(int kq)
{
    int fd = new_file("busy", SIZE);
    watch(kq, fd, NOTE_WRITE | NOTE_ATTRIB, 0xb);
    return fd;
}

#define OTHERS 16
struct others {
    struct kevent ev[OTHERS];
    int n;
};

/* Everything that is reported after the overflow, the busy file's among it. */
static struct others all_events(int kq, int busy)
{
    struct others got = {.n = collect(kq, got.ev, OTHERS)};
    EXPECT_EVENT(*find_event(got.ev, got.n, busy, EVFILT_VNODE), busy, EVFILT_VNODE, EV_ADD | EV_CLEAR,
                 NOTE_WRITE | NOTE_ATTRIB, 0, 0xb);
    return got;
}

#define EXPECT_AMONG(got, fd, notes, udata)                                                                 \
    EXPECT_EVENT(*find_event((got).ev, (got).n, fd, EVFILT_VNODE), fd, EVFILT_VNODE, EV_ADD | EV_CLEAR, notes, 0, udata)

/* 5.6 What differs is reported of every knote: size, link count, the last name, the mode; nothing of the others. */
TEST(overflow_compares_files, "5.6")
{
    int kq = queue(), busy = busy_file(kq);
    int grown = new_file("grown", SIZE), shrunk = new_file("shrunk", SIZE), linked = new_file("linked", SIZE);
    int removed = new_file("removed", SIZE), mode = new_file("mode", SIZE), same = new_file("same", SIZE);
    int directory = new_directory("dir");
    watch(kq, grown, NOTE_WRITE, 1);
    watch(kq, shrunk, NOTE_TRUNCATE, 2);
    watch(kq, linked, NOTE_LINK, 3);
    watch(kq, removed, NOTE_DELETE, 4);
    watch(kq, mode, NOTE_ATTRIB, 5);
    watch(kq, same, NOTE_EXTEND | NOTE_TRUNCATE | NOTE_LINK | NOTE_DELETE, 6);
    watch(kq, directory, NOTE_WRITE, 7);
    overflow(busy);
    append_to("grown", 1);
    OK(ftruncate(shrunk, 1));
    OK(link("linked", "second"));
    OK(unlink("removed"));
    OK(fchmod(mode, 0600));
    touch_file("dir/file");
    struct others got = all_events(kq, busy);
    CHECK_EQ(got.n, 7);
    EXPECT_AMONG(got, grown, GROWTH, 1);
    EXPECT_AMONG(got, shrunk, NOTE_TRUNCATE, 2);
    EXPECT_AMONG(got, linked, NOTE_LINK, 3);
    EXPECT_AMONG(got, removed, NOTE_DELETE, 4);
    EXPECT_AMONG(got, mode, NOTE_ATTRIB, 5);
    EXPECT_AMONG(got, directory, NOTE_WRITE, 7);
    silent(kq);
    append_to("grown", 1);
    EXPECT_NOTES(kq, grown, GROWTH, 1);
    OK(ftruncate(same, SIZE + 1));
    EXPECT_NOTES(kq, same, GROWTH, 6);
    overwrite(busy);
    EXPECT_NOTES(kq, busy, NOTE_WRITE, 0xb);
    silent(kq);
}

/* 5.6 Events before the overflow are kept, and those of unwanted notes are not made up. */
TEST(overflow_keeps_what_came_before, "5.6 5.4")
{
    int kq = queue(), busy = busy_file(kq), fd = new_file("file", SIZE);
    watch(kq, fd, CHANGES & ~(NOTE_WRITE | NOTE_EXTEND | NOTE_ATTRIB), 1);
    OK(rename("file", "renamed"));
    OK(ftruncate(fd, 5));
    overflow(busy);
    append_to("renamed", 1);
    OK(fchmod(fd, 0600));
    struct others got = all_events(kq, busy);
    CHECK_EQ(got.n, 2);
    EXPECT_AMONG(got, fd, NOTE_RENAME | NOTE_TRUNCATE, 1);
    silent(kq);
}

/* 5.6 A directory that was removed, another in which subdirectories were made. */
TEST(overflow_compares_directories, "5.6 5.3")
{
    int kq = queue(), busy = busy_file(kq), removed = new_directory("removed"), parent = new_directory("parent");
    int files = new_directory("files");
    struct stat before, after;
    watch(kq, removed, NOTE_DELETE, 1);
    watch(kq, parent, NOTE_LINK | NOTE_DELETE, 2);
    watch(kq, files, NOTE_LINK | NOTE_DELETE, 3); /* a file is no subdirectory */
    overflow(busy);
    touch_file("files/file");
    OK(fstat(parent, &before));
    OK(rmdir("removed"));
    OK(mkdir("parent/sub", 0755));
    OK(fstat(parent, &after));
    struct others got = all_events(kq, busy);
    EXPECT_AMONG(got, removed, NOTE_DELETE, 1);
    if (before.st_nlink != after.st_nlink) { /* else it cannot be known */
        CHECK_EQ(got.n, 3);
        EXPECT_AMONG(got, parent, NOTE_LINK, 2);
    }
    silent(kq);
}

/* 5.6 5.3 A directory was moved when events were lost, and is removed from where it is then. */
TEST(overflow_hides_a_move, "5.6 5.3")
{
    int kq = queue(), busy = busy_file(kq), fd = new_directory("dir");
    OK(close(new_directory("elsewhere")));
    watch(kq, fd, NOTE_DELETE, 1);
    overflow(busy);
    OK(rename("dir", "elsewhere/dir"));
    CHECK_EQ(all_events(kq, busy).n, 1);
    silent(kq);
    OK(rmdir("elsewhere/dir"));
    EXPECT_NOTES(kq, fd, NOTE_DELETE, 1);
    silent(kq);
}

/* 5.6 5.3 One of two in a directory was moved when events were lost: each is removed from where it is then. */
static void overflow_hides_one_move(int moved)
{
    const char *const names[] = {"parent/one", "parent/two"};
    int kq = queue(), busy = busy_file(kq), fds[2];
    OK(close(new_directory("parent")));
    OK(close(new_directory("elsewhere")));
    for (int i = 0; i < 2; i++) {
        fds[i] = new_directory(names[i]);
        watch(kq, fds[i], NOTE_DELETE, i);
    }
    overflow(busy);
    OK(rename(names[moved], "elsewhere/dir"));
    CHECK_EQ(all_events(kq, busy).n, 1);
    silent(kq);
    OK(rmdir(names[!moved]));
    EXPECT_NOTES(kq, fds[!moved], NOTE_DELETE, !moved);
    OK(rmdir("elsewhere/dir"));
    EXPECT_NOTES(kq, fds[moved], NOTE_DELETE, moved);
    silent(kq);
}

TEST(overflow_hides_the_move_of_the_first_of_two, "5.6 5.3")
{
    overflow_hides_one_move(0);
}

TEST(overflow_hides_the_move_of_the_second_of_two, "5.6 5.3")
{
    overflow_hides_one_move(1);
}

/* 5.6 5.3 A rename that was reported before events were lost is not reported again, nor those that it stood for. */
TEST(overflow_after_a_rename, "5.6 5.3")
{
    int kq = queue(), busy = busy_file(kq), fd = new_file("file", SIZE);
    watch(kq, fd, NOTE_RENAME, 1);
    OK(rename("file", "renamed"));
    EXPECT_NOTES(kq, fd, NOTE_RENAME, 1);
    overflow(busy);
    CHECK_EQ(all_events(kq, busy).n, 1);
    silent(kq);
    change(kq, fd, EVFILT_VNODE, EV_DISABLE, 0, 0, 1);
    OK(rename("renamed", "file"));
    silent(kq);
    OK(rename("file", "other"));
    silent(kq);
    OK(rename("other", "third"));
    change(kq, fd, EVFILT_VNODE, EV_ENABLE, 0, 0, 1);
    EXPECT_NOTES(kq, fd, NOTE_RENAME, 1);
    overflow(busy);
    CHECK_EQ(all_events(kq, busy).n, 1);
    silent(kq);
}

/* 5.6 5.5 The last name went when events were lost, and Linux forgot its watch: the file is still watched. */
TEST(overflow_hides_the_end_of_a_watch, "5.6 5.5")
{
    int kq = queue(), busy = busy_file(kq), fd = new_file("file", SIZE);
    OK(link("file", "second"));
    watch(kq, fd, NOTE_DELETE | NOTE_WRITE, 1);
    overflow(busy);
    OK(unlink("file"));
    OK(unlink("second"));
    struct others got = all_events(kq, busy);
    CHECK_EQ(got.n, 2);
    EXPECT_EVENT_ANY(*find_event(got.ev, got.n, fd, EVFILT_VNODE), fd, EVFILT_VNODE, EV_ADD | EV_CLEAR, 0, 0, 1,
                     ANY_FFLAGS);
    CHECK(find_event(got.ev, got.n, fd, EVFILT_VNODE)->fflags & NOTE_DELETE); /* NOTE_WRITE cannot be known */
    silent(kq);
    OK(ftruncate(fd, SIZE + 1));
    EXPECT_NOTES(kq, fd, GROWTH, 1);
    overwrite(fd);
    EXPECT_NOTES(kq, fd, NOTE_WRITE, 1);
}

/* 5.6 5.4 A knote that is disabled meanwhile is compared too, and reports when it is enabled. */
TEST(overflow_while_disabled, "5.6 5.4 2.5")
{
    int kq = queue(), busy = busy_file(kq), fd = new_file("file", SIZE);
    watch(kq, fd, NOTE_WRITE, 1);
    change(kq, fd, EVFILT_VNODE, EV_DISABLE, 0, 0, 1);
    overflow(busy);
    append_to("file", 1);
    CHECK_EQ(all_events(kq, busy).n, 1);
    silent(kq);
    change(kq, fd, EVFILT_VNODE, EV_ENABLE, 0, 0, 1);
    EXPECT_NOTES(kq, fd, GROWTH, 1);
    silent(kq);
}

/* 5.6 3.6 EVFILT_READ at the end of a file that grew when events were lost. */
TEST(overflow_beside_read, "5.6 3.6")
{
    int kq = queue(), busy = busy_file(kq), fd = new_file("file", SIZE);
    take(fd, SIZE);
    change(kq, fd, EVFILT_READ, EV_ADD, 0, 0, 1);
    nothing(kq);
    overflow(busy);
    append_to("file", 3);
    struct others got = all_events(kq, busy);
    CHECK_EQ(got.n, 2);
    EXPECT_EVENT(*find_event(got.ev, got.n, fd, EVFILT_READ), fd, EVFILT_READ, EV_ADD, 0, 3, 1);
}

/* ---- 5.5 What is held ------------------------------------------------------------------------------------- */

/* 5.5 A knote that has gone holds no watch, nor one on a parent that it was in, once its number is used again. */
TEST(watches_are_given_back, "5.5 2.6 2.7 10.1")
{
    int kq = queue(), file = new_file("file", SIZE), directory, fd;
    OK(close(new_directory("one")));
    OK(close(new_directory("two")));
    watch(kq, file, CHANGES, 1);
    if (watches_held() <= 0)
        SKIP("the system does not tell how many watches there are");
    change(kq, file, EVFILT_VNODE, EV_DELETE, 0, 0, 0);
    unready(kq);
    CHECK_EQ(watches_held(), 0);
    for (int round = 0; round < 10; round++) {
        change(kq, file, EVFILT_VNODE, EV_ADD | EV_ONESHOT, NOTE_WRITE, 0, 1);
        overwrite(file);
        EXPECT_NEXT(kq, file, EVFILT_VNODE, EV_ADD | EV_ONESHOT, NOTE_WRITE, 0, 1);
        fd = OK(open("file", O_RDONLY));
        watch(kq, fd, NOTE_LINK, 2);
        change(kq, fd, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, 2);
        EXPECT_NEXT(kq, fd, EVFILT_READ, EV_ADD | EV_CLEAR, 0, SIZE, 2);
        OK(close(fd));
        directory = new_directory("one/dir");
        watch(kq, directory, CHANGES & ~NOTE_LINK, 3);
        for (int move = 0; move < 4; move++) {
            OK(rename(move % 2 ? "two/dir" : "one/dir", move % 2 ? "one/dir" : "two/dir"));
            EXPECT_NOTES(kq, directory, NOTE_RENAME, 3);
            unready(kq);
            CHECK_LE(watches_held(), 2);
        }
        OK(rmdir("one/dir"));
        EXPECT_NOTES(kq, directory, NOTE_DELETE, 3);
        if (round % 2)
            change(kq, directory, EVFILT_VNODE, EV_DELETE, 0, 0, 0);
        OK(close(directory));
        unready(kq);
        CHECK_EQ(watches_held(), 0);
    }
    watch(kq, file, CHANGES, 1);
    OK(close(file));
    CHECK_EQ(new_file("successor", SIZE), file);
    watch(kq, file, NOTE_WRITE, 4);
    unready(kq);
    CHECK_EQ(watches_held(), 1);
}

/* 5.5 2.3 A directory's parent is watched as long as its end is wanted, and is still to come. */
TEST(parents_are_watched_for_an_end, "5.5 2.3")
{
    int kq = queue(), fd = new_directory("dir");
    watch(kq, fd, NOTE_WRITE, 1);
    if (watches_held() <= 0)
        SKIP("the system does not tell how many watches there are");
    CHECK_EQ(watches_held(), 1);
    watch(kq, fd, NOTE_WRITE | NOTE_DELETE, 1);
    CHECK_EQ(watches_held(), 2);
    watch(kq, fd, NOTE_WRITE, 1);
    CHECK_EQ(watches_held(), 1);
    OK(rmdir("dir"));
    silent(kq);
    watch(kq, fd, NOTE_ATTRIB | NOTE_DELETE, 1);
    CHECK_LE(watches_held(), 1);
    silent(kq);
}

/* ---- 5.5 Limits of the system ---------------------------------------------------------------------------- */

/* Sets one of inotify's limits in a user namespace of the process's own. */
static void set_limit(const char *name, int value)
{
    char path[64], text[16];
    static int apart;
    if (!apart && unshare(CLONE_NEWUSER) == -1)
        SKIP("no user namespaces for this process");
    apart = 1;
    snprintf(path, sizeof path, "/proc/sys/user/%s", name);
    int fd = open(path, O_WRONLY);
    if (fd == -1)
        SKIP("limits of a user namespace cannot be set");
    int length = snprintf(text, sizeof text, "%d\n", value);
    CHECK_EQ(write(fd, text, (size_t)length), length);
    OK(close(fd));
}

/* A knote that inotify has no room for is refused with `error` and leaves nothing, or it works; returns whether. */
static int refused_or_works(int kq, int fd, int error)
{
    int result = change_errno(kq, fd, EVFILT_VNODE, EV_ADD | EV_CLEAR, NOTE_WRITE | NOTE_ATTRIB, 0, 0x11);
    if (result != 0) {
        CHECK_EQ(result, error);
        CHECK_EQ(change_errno(kq, fd, EVFILT_VNODE, EV_DELETE, 0, 0, 0), ENOENT);
        overwrite(fd);
        nothing(kq);
        return 0;
    }
    for (int round = 0; round < 3; round++) {
        overwrite(fd);
        EXPECT_NOTES(kq, fd, NOTE_WRITE, 0x11);
        OK(fchmod(fd, 0600));
        EXPECT_NOTES(kq, fd, NOTE_ATTRIB, 0x11);
        nothing(kq);
    }
    return 1;
}

/* 5.5 At least as many knotes as inotify watches; one that was deleted or closed makes room. */
TEST(watches_run_out, "5.5 2.4")
{
    enum { N = 8, WATCHES = 4 };
    int fds[N], worked = 0;
    char path[32];
    for (int i = 0; i < N; i++) {
        snprintf(path, sizeof path, "file%d", i);
        fds[i] = new_file(path, SIZE);
    }
    set_limit("max_inotify_watches", WATCHES);
    int kq = queue();
    for (int i = 0; i < WATCHES; i++)
        watch(kq, fds[i], NOTE_WRITE, i);
    for (int i = WATCHES; i < N; i++)
        worked += refused_or_works(kq, fds[i], ENOSPC);
    CHECK(worked == 0 || worked == N - WATCHES);
    int same = OK(dup(fds[0]));
    watch(kq, same, NOTE_ATTRIB, 9);
    overwrite(fds[2]);
    EXPECT_NOTES(kq, fds[2], NOTE_WRITE, 2);
    change(kq, fds[2], EVFILT_VNODE, EV_DELETE, 0, 0, 0);
    watch(kq, fds[4], NOTE_WRITE, 4);
    overwrite(fds[2]);
    overwrite(fds[4]);
    EXPECT_NOTES(kq, fds[4], NOTE_WRITE, 4);
    OK(close(fds[4]));
    watch(kq, fds[5], NOTE_WRITE, 5);
    overwrite(fds[5]);
    EXPECT_NOTES(kq, fds[5], NOTE_WRITE, 5);
    OK(fchmod(same, 0600));
    EXPECT_NOTES(kq, same, NOTE_ATTRIB, 9);
    nothing(kq);
}

/* 5.5 One instance a kqueue; where there are no more it is EMFILE, if it is told; close gives it back. */
TEST(instances_run_out, "5.5 10.2 1.1")
{
    int fd = new_file("file", SIZE), other = new_file("other", SIZE);
    set_limit("max_inotify_instances", 1);
    int one = queue(), two = queue();
    watch(one, fd, NOTE_LINK, 1);
    watch(one, other, NOTE_WRITE, 2);
    refused_or_works(two, fd, EMFILE);
    change(two, 1, EVFILT_USER, EV_ADD | EV_CLEAR, NOTE_TRIGGER, 0, 4);
    EXPECT_NEXT(two, 1, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, 4);
    overwrite(other);
    EXPECT_NOTES(one, other, NOTE_WRITE, 2);
    OK(close(one));
    watch(two, fd, NOTE_WRITE, 5);
    overwrite(fd);
    EXPECT_NOTES(two, fd, NOTE_WRITE, 5);
}

/* 5.5 1.1 No descriptor left for it: EMFILE, and once there is one it works. */
TEST(descriptors_run_out, "5.5")
{
    int kq = queue(), fd = new_file("file", SIZE), spare[64], n = 0;
    struct rlimit limit;
    OK(getrlimit(RLIMIT_NOFILE, &limit));
    limit.rlim_cur = 64;
    OK(setrlimit(RLIMIT_NOFILE, &limit));
    while (n < 64 && (spare[n] = dup(fd)) != -1)
        n++;
    CHECK(n < 64);
    int error = change_errno(kq, fd, EVFILT_VNODE, EV_ADD | EV_CLEAR, NOTE_WRITE, 0, 1);
    if (error != 0) { /* else it needed none */
        CHECK_EQ(error, EMFILE);
        CHECK_EQ(change_errno(kq, fd, EVFILT_VNODE, EV_DELETE, 0, 0, 0), ENOENT);
    }
    while (n > 0)
        OK(close(spare[--n]));
    watch(kq, fd, NOTE_WRITE, 2);
    overwrite(fd);
    EXPECT_NOTES(kq, fd, NOTE_WRITE, 2);
}
#endif

#endif
