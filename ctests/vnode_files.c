/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * EVFILT_VNODE: what is reported of a file (5.1, 5.2, 5.3).
 *
 * Each action is tried with every wish: all notes of changes together, each of them alone, and all but
 * those that the action has.
 */
#define SUITE "vnode_files"
#include "suite.h"

#include "vnodes.h"

#ifdef EVFILT_VNODE

#include <sys/file.h>
#include <sys/uio.h>

#ifdef __linux__
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/xattr.h>
#include <linux/falloc.h>
#endif

/* Size of the file at the start. */
enum { SIZE = 10 };

static void one_wish(int kq, void (*act)(int), int names, unsigned wanted, unsigned expected)
{
    static int round;
    char directory[32];
    snprintf(directory, sizeof directory, "round%d", round++);
    OK(mkdir(directory, 0755));
    OK(chdir(directory));
    OK(mkdir("elsewhere", 0755));
    int fd = new_file("file", SIZE);
    if (names == 2)
        OK(link("file", "second"));
    printf("wanted %#x, expected %#x\n", wanted, expected);
    watch(kq, fd, wanted, 0xfeed);
    act(fd);
    if (expected)
        EXPECT_NOTES(kq, fd, expected, 0xfeed);
    OK(chdir(".."));
    silent(kq);
    change(kq, fd, EVFILT_VNODE, EV_DELETE, 0, 0, 0);
    OK(close(fd));
}

/* The action reports `notes`, of those that are wanted; what is not in `decided` is not asked for. */
static void every_wish(void (*act)(int), int names, unsigned notes, unsigned decided)
{
    const unsigned growing = NOTE_WRITE | NOTE_EXTEND;
    int kq = queue();
    one_wish(kq, act, names, decided, notes);
    one_wish(kq, act, names, decided & ~notes, 0);
    for (unsigned note = 1; note <= decided; note <<= 1) {
        if (note & decided) {
            int grows = (notes & growing) == growing && (note & growing);
            one_wish(kq, act, names, note, grows ? growing : notes & note);
        }
    }
}

#define ACTION_OF(name, rules, names, notes, decided)                                                       \
    static void name(int fd);                                                                               \
    TEST(name, rules)                                                                                       \
    {                                                                                                       \
        every_wish(name, names, notes, decided);                                                            \
    }                                                                                                       \
    static void name(int fd)

#define ACTION(name, rules, notes) ACTION_OF(name, rules, 1, notes, CHANGES)

/* ---- 5.2 NOTE_WRITE, NOTE_EXTEND, NOTE_TRUNCATE -------------------------------------------------- */

#define GROWS (NOTE_WRITE | NOTE_EXTEND)
#define SHRINKS (NOTE_WRITE | NOTE_TRUNCATE)

/* 5.1 A growing write reports both when either is wanted, by whatever call and descriptor. */
ACTION(appending, "5.1 5.2", GROWS)
{
    (void)fd;
    append_to("file", 5);
}

ACTION(writing_past_the_end, "5.1 5.2", GROWS)
{
    OK(lseek(fd, 0, SEEK_END));
    put(fd, 1);
}

ACTION(writing_across_the_end, "5.1 5.2", GROWS)
{
    CHECK_EQ(pwrite(fd, "12345", 5, SIZE - 2), 5);
}

ACTION(writing_beyond_a_hole, "5.1 5.2", GROWS)
{
    CHECK_EQ(pwrite(fd, "1", 1, 100000), 1);
}

ACTION(writing_vectors, "5.1 5.2", GROWS)
{
    struct iovec parts[] = {{"123", 3}, {"4567", 4}};
    OK(lseek(fd, 0, SEEK_END));
    CHECK_EQ(writev(fd, parts, 2), 7);
}

/* 5.2 A write that leaves the size as it is: NOTE_WRITE alone. */
ACTION(overwriting, "5.1 5.2", NOTE_WRITE)
{
    overwrite(fd);
}

ACTION(overwriting_all, "5.1 5.2", NOTE_WRITE)
{
    put(fd, SIZE);
}

ACTION(overwriting_by_another_descriptor, "5.1 5.2", NOTE_WRITE)
{
    (void)fd;
    int other = OK(open("file", O_WRONLY));
    put(other, 1);
    OK(close(other));
}

/* 5.2 The size grew, or shrank, by truncate(2): the contents are others. */
ACTION(truncating_up, "5.1 5.2", GROWS)
{
    OK(ftruncate(fd, SIZE + 1));
}

ACTION(truncating_down, "5.2", SHRINKS)
{
    OK(ftruncate(fd, SIZE - 1));
}

ACTION(truncating_by_name, "5.2", SHRINKS)
{
    (void)fd;
    OK(truncate("file", 0));
}

ACTION(truncating_by_open, "5.2", SHRINKS)
{
    (void)fd;
    OK(close(OK(open("file", O_WRONLY | O_TRUNC))));
}

/* 5.6 Grow and shrink before collection: the net change. */
ACTION(growing_and_shrinking_back, "5.6", NOTE_WRITE)
{
    append_to("file", 7);
    OK(ftruncate(fd, SIZE));
}

ACTION(shrinking_and_growing_back, "5.6", NOTE_WRITE)
{
    OK(ftruncate(fd, 3));
    OK(ftruncate(fd, SIZE));
}

ACTION(growing_more_than_shrinking, "5.6 5.1", GROWS)
{
    append_to("file", 7);
    OK(ftruncate(fd, SIZE + 1));
}

ACTION(shrinking_more_than_growing, "5.6", SHRINKS)
{
    OK(ftruncate(fd, 3));
    append_to("file", 2);
}

#ifdef __linux__
ACTION(copying_a_range_into_it, "5.1 5.2", GROWS)
{
    int from = new_file("from", 20);
    OK(lseek(fd, 0, SEEK_END));
    if (copy_file_range(from, NULL, fd, NULL, 20, 0) != 20)
        SKIP("no copy_file_range on this file system");
    OK(close(from));
}

ACTION(sending_a_file_into_it, "5.1 5.2", GROWS)
{
    int from = new_file("from", 20);
    OK(lseek(fd, 0, SEEK_END));
    CHECK_EQ(sendfile(fd, from, NULL, 20), 20);
    OK(close(from));
}

ACTION(splicing_a_pipe_into_it, "5.1 5.2", GROWS)
{
    int fds[2];
    pipe_pair(fds);
    put(fds[1], 20);
    OK(lseek(fd, 0, SEEK_END));
    CHECK_EQ(splice(fds[0], NULL, fd, NULL, 20, 0), 20);
    OK(close(fds[0]));
    OK(close(fds[1]));
}

ACTION(allocating_space, "5.1 5.2", GROWS)
{
    if (fallocate(fd, 0, 0, 100) == -1)
        SKIP("no fallocate on this file system");
}

ACTION(punching_a_hole, "5.2", NOTE_WRITE)
{
    if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, SIZE) == -1)
        SKIP("no holes on this file system");
}

/* 5.6 Stores by mmap are not seen (Linux). */
ACTION(storing_by_mmap, "5.6", 0)
{
    char *bytes = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(bytes != MAP_FAILED);
    bytes[3] = 'x';
    OK(msync(bytes, SIZE, MS_SYNC));
    OK(munmap(bytes, SIZE));
}
#endif

/* ---- 5.3 NOTE_ATTRIB ----------------------------------------------------------------------------- */

ACTION(setting_the_mode, "5.3", NOTE_ATTRIB)
{
    OK(fchmod(fd, 0600));
}

ACTION(setting_the_mode_by_name, "5.3", NOTE_ATTRIB)
{
    (void)fd;
    OK(chmod("file", 0400));
}

/* 5.3 Set, be it to what it was. */
ACTION(setting_the_same_mode, "5.3", NOTE_ATTRIB)
{
    OK(fchmod(fd, 0644));
}

ACTION(setting_the_owner, "5.3", NOTE_ATTRIB)
{
    OK(fchown(fd, geteuid(), getegid()));
}

ACTION(setting_the_group, "5.3", NOTE_ATTRIB)
{
    (void)fd;
    OK(chown("file", (uid_t)-1, getegid()));
}

ACTION(setting_the_times, "5.3", NOTE_ATTRIB)
{
    struct timespec times[2] = {{1000, 0}, {2000, 0}};
    OK(futimens(fd, times));
}

ACTION(setting_the_times_to_now, "5.3", NOTE_ATTRIB)
{
    (void)fd;
    OK(utimensat(AT_FDCWD, "file", NULL, 0));
}

/* 5.3 One time alone is set. (Linux says the same of it as of a write that leaves the size as it is.) */
ACTION_OF(setting_the_time_of_modification, "5.3", 1, NOTE_ATTRIB, CHANGES & ~NOTE_WRITE)
{
    struct timespec times[2] = {{0, UTIME_OMIT}, {2000, 0}};
    OK(futimens(fd, times));
}

ACTION(setting_the_time_of_access, "5.3", NOTE_ATTRIB)
{
    struct timespec times[2] = {{2000, 0}, {0, UTIME_OMIT}};
    OK(futimens(fd, times));
}

#ifdef __linux__
ACTION(setting_an_extended_attribute, "5.3", NOTE_ATTRIB)
{
    if (fsetxattr(fd, "user.ctests", "1", 1, 0) == -1)
        SKIP("no extended attributes on this file system");
}

ACTION(removing_an_extended_attribute, "5.3", NOTE_ATTRIB)
{
    if (fsetxattr(fd, "user.ctests", "1", 1, 0) == -1)
        SKIP("no extended attributes on this file system");
    OK(removexattr("file", "user.ctests"));
}
#endif

/* ---- 5.3 NOTE_LINK, NOTE_RENAME, NOTE_DELETE ----------------------------------------------------- */

/* 5.3 A link count that changed is NOTE_LINK, and not NOTE_ATTRIB. */
ACTION(linking, "5.3", NOTE_LINK)
{
    (void)fd;
    OK(link("file", "elsewhere/other"));
}

ACTION_OF(unlinking_one_of_two_names, "5.3", 2, NOTE_LINK, CHANGES)
{
    (void)fd;
    OK(unlink("file"));
}

ACTION_OF(renaming_over_one_of_two_names, "5.3", 2, NOTE_LINK, CHANGES)
{
    (void)fd;
    touch_file("other");
    OK(rename("other", "second"));
}

/* 5.3 The last name gone is NOTE_DELETE (of NOTE_LINK the systems differ), and not NOTE_ATTRIB. */
ACTION_OF(unlinking, "5.3", 1, NOTE_DELETE, CHANGES & ~NOTE_LINK)
{
    (void)fd;
    OK(unlink("file"));
}

ACTION_OF(unlinking_both_names, "5.3", 2, NOTE_DELETE, CHANGES & ~NOTE_LINK)
{
    (void)fd;
    OK(unlink("file"));
    OK(unlink("second"));
}

ACTION_OF(renaming_another_over_it, "5.3", 1, NOTE_DELETE, CHANGES & ~NOTE_LINK)
{
    (void)fd;
    touch_file("other");
    OK(rename("other", "file"));
}

ACTION(renaming, "5.3", NOTE_RENAME)
{
    (void)fd;
    OK(rename("file", "other"));
}

ACTION(renaming_to_another_directory, "5.3", NOTE_RENAME)
{
    (void)fd;
    OK(rename("file", "elsewhere/file"));
}

ACTION(renaming_over_another, "5.3", NOTE_RENAME)
{
    (void)fd;
    touch_file("other");
    OK(rename("file", "other"));
}

/* 5.3 rename(2) of one name of a file to another of it does nothing. */
ACTION_OF(renaming_to_itself, "5.3", 2, 0, CHANGES)
{
    (void)fd;
    OK(rename("file", "file"));
    OK(rename("file", "second"));
}

#ifdef RENAME_EXCHANGE
ACTION(exchanging_names, "5.3", NOTE_RENAME)
{
    (void)fd;
    touch_file("other");
    if (renameat2(AT_FDCWD, "other", AT_FDCWD, "file", RENAME_EXCHANGE) == -1)
        SKIP("no RENAME_EXCHANGE on this file system");
}
#endif

/* 5.3 Its directory is renamed: its own name is not. */
ACTION(renaming_its_directory, "5.3", 0)
{
    (void)fd;
    char path[4096];
    CHECK(getcwd(path, sizeof path) != NULL);
    char *name = strrchr(path, '/') + 1;
    char other[64];
    snprintf(other, sizeof other, "../%.32s.renamed", name);
    OK(rename(path, other));
}

/* 5.1 What changes nothing reports nothing of changes. */
ACTION(using_it_changes_nothing, "5.1 5.3", 0)
{
    struct stat st;
    char bytes[SIZE];
    CHECK_EQ(pread(fd, bytes, sizeof bytes, 0), SIZE);
    take(fd, SIZE);
    OK(lseek(fd, 5, SEEK_SET));
    OK(fstat(fd, &st));
    OK(fsync(fd));
    OK(flock(fd, LOCK_EX | LOCK_NB));
    OK(flock(fd, LOCK_UN));
    OK(fcntl(fd, F_SETFL, O_APPEND));
    OK(close(OK(open("file", O_RDWR))));
    OK(close(OK(dup(fd))));
    OK(access("file", W_OK));
    touch_file("other");
    OK(rename("other", "another"));
    OK(unlink("another"));
}

/* 5.1 A call that fails reports nothing. */
ACTION(failing_changes_nothing, "5.1", 0)
{
    int reader = OK(open("file", O_RDONLY));
    CHECK_ERRNO(write(reader, "1", 1), EBADF);
    CHECK_ERRNO(ftruncate(reader, 0), EINVAL);
    CHECK_ERRNO(rename("file", "elsewhere"), EISDIR);
    CHECK_ERRNO(link("file", "elsewhere"), EEXIST);
    CHECK_ERRNO(open("file", O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST);
    CHECK_EQ(write(fd, "", 0), 0);
    OK(close(reader));
}

/* ---- 5.3 NOTE_OPEN, NOTE_CLOSE, NOTE_CLOSE_WRITE, NOTE_READ -------------------------------------- */

#ifdef NOTE_OPEN
/* The same for the notes of use: all together, all but those of the action, each alone. */
static void every_use(void (*act)(int), unsigned notes)
{
    int kq = queue();
    one_wish(kq, act, 1, USES, notes);
    one_wish(kq, act, 1, USES & ~notes, 0);
    for (unsigned note = 1; note <= USES; note <<= 1)
        if (note & USES)
            one_wish(kq, act, 1, note, notes & note);
}

#define USE(name, rules, notes)                                                                             \
    static void name(int fd);                                                                               \
    TEST(name, rules)                                                                                       \
    {                                                                                                       \
        every_use(name, notes);                                                                             \
    }                                                                                                       \
    static void name(int fd)

USE(opening, "5.3", NOTE_OPEN)
{
    (void)fd;
    OK(open("file", O_RDONLY));
}

USE(opening_and_closing, "5.3", NOTE_OPEN | NOTE_CLOSE)
{
    (void)fd;
    OK(close(OK(open("file", O_RDONLY))));
}

/* 5.3 The close of a descriptor that could write, whether it did or not. */
USE(closing_a_writer, "5.3", NOTE_OPEN | NOTE_CLOSE_WRITE)
{
    (void)fd;
    OK(close(OK(open("file", O_RDWR))));
}

USE(reading, "5.3", NOTE_READ)
{
    take(fd, SIZE);
}

USE(reading_at_an_offset, "5.3", NOTE_READ)
{
    char byte;
    CHECK_EQ(pread(fd, &byte, 1, 3), 1);
}

USE(writing_is_no_use, "5.3 5.4", 0)
{
    put(fd, SIZE + 1);
    OK(fchmod(fd, 0600));
    OK(rename("file", "other"));
}

/* 5.3 A duplicate's close does not close the file. */
USE(closing_a_duplicate, "5.3", 0)
{
    OK(close(OK(dup(fd))));
}

#endif

#endif
