/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * EVFILT_VNODE where the system takes back what it gave, a watch, the right to have one (5.5, 5.6), and on file systems
 * that do not count subdirectories (5.3).
 */
#define SUITE "vnode_lost"
#include "suite.h"

#include "vnodes.h"

#if defined(EVFILT_VNODE) && defined(__linux__)

#include "mounts.h"

#include <sys/syscall.h>

enum { SIZE = 10 };

#define GROWTH (NOTE_WRITE | NOTE_EXTEND)

/* ---- 5.5 The instance ---------------------------------------------------------------------------------- */

/*
 * Closes the library's inotify instance, as a program does that closes all numbers. Where the library hears of closes
 * that number is not open, for the program; where it does not, this is how its libc closes.
 */
static void take_instance_away(void)
{
    int behind = strcmp(suite_backend(), "linux-behind") == 0;
    for (int fd = 3; fd < 4096; fd++) {
        char path[64], target[64] = "";
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        if (readlink(path, target, sizeof target - 1) == -1 || strcmp(target, "anon_inode:inotify") != 0)
            continue;
        if (behind)
            OK(syscall(SYS_close, fd));
        else
            CHECK_ERRNO(close(fd), EBADF);
    }
}

/* 5.5 5.6 Once it is noticed, all files are compared with how they stood, and watched again. */
TEST(instance_is_taken_away, "5.5 5.6 3.6")
{
    struct kevent ev[8];
    int kq = queue(), file = new_file("file", SIZE), second = OK(open("file", O_RDONLY));
    int mode = new_file("mode", SIZE), end = new_file("end", 0), same = new_file("same", SIZE), late;
    int directory = new_directory("dir");
    OK(close(new_directory("elsewhere")));
    watch(kq, file, NOTE_WRITE, 1);
    watch(kq, second, NOTE_LINK, 2);
    watch(kq, mode, NOTE_ATTRIB, 3);
    watch(kq, same, NOTE_LINK | NOTE_DELETE, 4);
    watch(kq, directory, NOTE_DELETE, 5);
    change(kq, end, EVFILT_READ, EV_ADD, 0, 0, 6);
    silent(kq);
    take_instance_away();
    append_to("file", 1);
    OK(fchmod(mode, 0600));
    OK(rename("dir", "elsewhere/dir"));
    append_to("end", 3);
    late = new_file("late", SIZE);
    watch(kq, late, NOTE_WRITE, 7);
    CHECK_EQ(collect(kq, ev, 8), 3);
    EXPECT_EVENT(*find_event(ev, 3, file, EVFILT_VNODE), file, EVFILT_VNODE, EV_ADD | EV_CLEAR, GROWTH, 0, 1);
    EXPECT_EVENT(*find_event(ev, 3, mode, EVFILT_VNODE), mode, EVFILT_VNODE, EV_ADD | EV_CLEAR, NOTE_ATTRIB, 0, 3);
    EXPECT_EVENT(*find_event(ev, 3, end, EVFILT_READ), end, EVFILT_READ, EV_ADD, 0, 3, 6);
    change(kq, end, EVFILT_READ, EV_DELETE, 0, 0, 0);
    silent(kq);
    overwrite(file);
    EXPECT_NOTES(kq, file, NOTE_WRITE, 1);
    OK(link("file", "name"));
    EXPECT_NOTES(kq, second, NOTE_LINK, 2);
    OK(fchmod(mode, 0640));
    EXPECT_NOTES(kq, mode, NOTE_ATTRIB, 3);
    OK(link("same", "other"));
    EXPECT_NOTES(kq, same, NOTE_LINK, 4);
    OK(rmdir("elsewhere/dir"));
    EXPECT_NOTES(kq, directory, NOTE_DELETE, 5);
    overwrite(late);
    EXPECT_NOTES(kq, late, NOTE_WRITE, 7);
    silent(kq);
}

/* ---- 5.5 The rights --------------------------------------------------------------------------------------- */

/* Goes on as a user without rights, who owns the files given; nobody may read them from now on. */
static void lose_rights(int one, int other)
{
    enum { NOBODY = 65534 };
    const int fds[] = {one, other};
    for (int i = 0; i < 2; i++) {
        OK(fchmod(fds[i], 0300));
        if (geteuid() == 0)
            OK(fchown(fds[i], NOBODY, NOBODY));
    }
    OK(chmod(".", 0777));
    if (geteuid() == 0) {
        OK(setresgid(NOBODY, NOBODY, NOBODY));
        OK(setresuid(NOBODY, NOBODY, NOBODY));
    }
    CHECK_NE(geteuid(), 0);
}

/* 5.5 A file that must not be read any more when the instance goes is looked at. */
TEST(instance_and_rights_are_taken_away, "5.5 5.6 10.5")
{
    int kq = queue(), fd = new_file("file", SIZE), directory = new_directory("dir"), late;
    watch(kq, fd, NOTE_WRITE | NOTE_LINK, 1);
    silent(kq);
    lose_rights(fd, directory);
    late = new_file("late", SIZE);
    take_instance_away();
    watch(kq, late, NOTE_EXTEND, 2);
    for (int round = 0; round < 3; round++) {
        overwrite(fd);
        EXPECT_NOTES(kq, fd, NOTE_WRITE, 1);
        append_to("late", 1);
        EXPECT_NOTES(kq, late, GROWTH, 2);
    }
    OK(link("file", "name"));
    EXPECT_NOTES(kq, fd, NOTE_LINK, 1);
    sleeps(kq);
}

/* A file with two names, and a directory for lose_rights(). */
static int file_of_two_names(int *directory)
{
    int fd = new_file("file", SIZE);
    *directory = new_directory("dir");
    OK(link("file", "second"));
    return fd;
}

/* 5.5 Linux ends a watch with the last name, where that is not the one that was opened: the same again. */
TEST(last_name_and_rights_are_taken_away, "5.5 5.3 10.5")
{
    int directory, kq = queue(), fd = file_of_two_names(&directory);
    watch(kq, fd, NOTE_WRITE | NOTE_DELETE, 1);
    silent(kq);
    lose_rights(fd, directory);
    OK(unlink("file"));
    silent(kq);
    OK(unlink("second"));
    EXPECT_NOTES(kq, fd, NOTE_DELETE, 1);
    for (int round = 0; round < 3; round++) {
        overwrite(fd);
        EXPECT_NOTES(kq, fd, NOTE_WRITE, 1);
    }
    put(fd, SIZE);
    EXPECT_NOTES(kq, fd, NOTE_WRITE | (lseek(fd, 0, SEEK_CUR) == SIZE ? 0 : NOTE_EXTEND), 1);
    sleeps(kq);
}

/* 5.5 The same where only writes are wanted, so that nothing is told when the watch ends. */
TEST(last_name_and_rights_are_taken_from_a_writer, "5.5 5.3 10.5")
{
    int directory, kq = queue(), fd = file_of_two_names(&directory);
    watch(kq, fd, NOTE_WRITE, 1);
    silent(kq);
    lose_rights(fd, directory);
    OK(unlink("file"));
    silent(kq);
    OK(unlink("second"));
    silent(kq);
    overwrite(fd);
    EXPECT_NOTES(kq, fd, NOTE_WRITE, 1);
    sleeps(kq);
}

/* 2.5 5.4 The same while the knote is disabled. */
TEST(last_name_and_rights_are_taken_away_while_disabled, "2.5 5.3 5.4 5.5")
{
    int directory, kq = queue(), fd = file_of_two_names(&directory);
    watch(kq, fd, NOTE_WRITE | NOTE_DELETE, 1);
    change(kq, fd, EVFILT_VNODE, EV_DISABLE, 0, 0, 1);
    silent(kq);
    lose_rights(fd, directory);
    OK(unlink("file"));
    OK(unlink("second"));
    silent(kq);
    overwrite(fd);
    change(kq, fd, EVFILT_VNODE, EV_ENABLE, 0, 0, 1);
    EXPECT_NOTES(kq, fd, NOTE_DELETE | NOTE_WRITE, 1);
    sleeps(kq);
}

/* 2.3 5.1 More is wanted of a file that must not be read any more: it is looked at, or that is refused (5.3). */
TEST(wish_after_the_rights_are_gone, "2.3 5.1 5.3 5.5")
{
    int kq = queue(), fd = new_file("file", SIZE), directory = new_directory("dir");
    watch(kq, fd, NOTE_LINK, 1);
    silent(kq);
    lose_rights(fd, directory);
    watch(kq, fd, NOTE_LINK | NOTE_WRITE, 2);
    for (int round = 0; round < 3; round++) {
        overwrite(fd);
        EXPECT_NOTES(kq, fd, NOTE_WRITE, 2);
    }
#ifdef NOTE_OPEN
    int error = change_errno(kq, fd, EVFILT_VNODE, EV_ADD, NOTE_OPEN, 0, 3);
    CHECK(error == EACCES || error == ENOTSUP);
    if (strcmp(suite_backend(), "linux") == 0)
        CHECK_EQ(error, EACCES);
#endif
    OK(link("file", "name"));
    EXPECT_NOTES(kq, fd, NOTE_LINK, 2);
    overwrite(fd);
    EXPECT_NOTES(kq, fd, NOTE_WRITE, 2);
    sleeps(kq);
}

/* 2.3 2.5 The same while the knote is disabled: what happens then is reported when it is enabled. */
TEST(disabled_wish_after_the_rights_are_gone, "2.3 2.5 5.4 5.5")
{
    int kq = queue(), fd = new_file("file", SIZE), other = new_file("other", SIZE);
    watch(kq, fd, NOTE_LINK, 1);
    silent(kq);
    lose_rights(fd, other);
    change(kq, fd, EVFILT_VNODE, EV_ADD | EV_DISABLE, NOTE_LINK | NOTE_WRITE, 0, 2);
    overwrite(fd);
    silent(kq);
    change(kq, fd, EVFILT_VNODE, EV_ENABLE, 0, 0, 3);
    EXPECT_NOTES(kq, fd, NOTE_WRITE, 3);
    sleeps(kq);
}

/* 5.3 A file that must not be read is renamed; another one gets a second name, which is no rename. */
TEST(unreadable_file_is_renamed, "5.3 5.5")
{
    int kq = queue(), fd = new_file("file", SIZE), other = new_file("other", SIZE);
    silent(kq);
    lose_rights(fd, other);
    watch(kq, fd, NOTE_RENAME, 1);
    watch(kq, other, NOTE_RENAME | NOTE_LINK, 2);
    OK(rename("file", "renamed"));
    EXPECT_NOTES(kq, fd, NOTE_RENAME, 1);
    OK(link("other", "name"));
    EXPECT_NOTES(kq, other, NOTE_LINK, 2);
    OK(mkdir("sub", 0755));
    OK(rename("renamed", "sub/renamed"));
    EXPECT_NOTES(kq, fd, NOTE_RENAME, 1);
    OK(rename("sub/renamed", "file"));
    EXPECT_NOTES(kq, fd, NOTE_RENAME, 1);
    OK(rename("other", "third"));
    EXPECT_NOTES(kq, other, NOTE_RENAME, 2);
    sleeps(kq);
}

/* 2.3 5.3 The name is looked at once it is of interest. */
TEST(rename_is_wanted_of_an_unreadable_file, "2.3 5.3 5.5")
{
    int kq = queue(), fd = new_file("file", SIZE), other = new_file("other", SIZE);
    silent(kq);
    lose_rights(fd, other);
    watch(kq, fd, NOTE_WRITE, 1);
    OK(rename("file", "renamed"));
    silent(kq);
    watch(kq, fd, NOTE_RENAME, 2);
    OK(rename("renamed", "file"));
    EXPECT_NOTES(kq, fd, NOTE_RENAME, 2);
    sleeps(kq);
}

#ifdef NOTE_OPEN
/* 5.3 5.5 What only a watch can tell is refused of a file that could not be watched; it leaves no watch, and takes none. */
TEST(uses_are_wanted_of_a_file_that_was_unreadable, "2.3 5.3 5.5")
{
    if (strcmp(suite_backend(), "linux") != 0)
        SKIP("files are not watched by inotify there");
    int kq = queue(), fd = new_file("file", SIZE), other = new_file("other", SIZE);
    silent(kq);
    lose_rights(fd, other);
    watch(kq, fd, NOTE_EXTEND, 1);
    CHECK_EQ(change_errno(kq, fd, EVFILT_VNODE, EV_ADD, NOTE_OPEN, 0, 2), EACCES);
    OK(fchmod(fd, 0600));
    CHECK_EQ(change_errno(kq, fd, EVFILT_VNODE, EV_ADD, NOTE_OPEN, 0, 2), ENOTSUP);
    CHECK_LE(watches_held(), 0);
    int again = OK(open("file", O_RDONLY));
    watch(kq, again, NOTE_WRITE, 3);
    CHECK_EQ(change_errno(kq, fd, EVFILT_VNODE, EV_ADD, NOTE_OPEN, 0, 2), ENOTSUP);
    overwrite(fd);
    EXPECT_NOTES(kq, again, NOTE_WRITE, 3);
    CHECK_EQ(ftruncate(fd, SIZE + 1), 0);
    change(kq, again, EVFILT_VNODE, EV_DELETE, 0, 0, 0);
    EXPECT_NOTES(kq, fd, GROWTH, 1);
    sleeps(kq);
}
#endif

/* 5.3 5.4 That it is renamed is not NOTE_ATTRIB. */
TEST(unreadable_file_is_renamed_where_that_is_not_wanted, "5.3 5.4 5.5")
{
    int kq = queue(), fd = new_file("file", SIZE), other = new_file("other", SIZE);
    silent(kq);
    lose_rights(fd, other);
    watch(kq, fd, NOTE_ATTRIB, 1);
    OK(rename("file", "renamed"));
    silent(kq);
    OK(fchmod(fd, 0200));
    EXPECT_NOTES(kq, fd, NOTE_ATTRIB, 1);
    sleeps(kq);
}

/* 2.5 5.4 What nobody lacked while the knote was disabled cannot be told again: the file is looked at, and the parent. */
TEST(enabled_after_the_rights_are_gone, "2.5 5.3 5.4 5.5")
{
    int kq = queue(), fd = new_file("file", SIZE), parent = new_directory("parent");
    int directory = new_directory("parent/dir");
    OK(mkdir("parent/sibling", 0755));
    change(kq, fd, EVFILT_VNODE, EV_ADD | EV_CLEAR | EV_DISABLE, NOTE_EXTEND | NOTE_LINK, 0, 1);
    change(kq, directory, EVFILT_VNODE, EV_ADD | EV_CLEAR | EV_DISABLE, NOTE_DELETE, 0, 2);
    for (int round = 0; round < 3; round++) {
        overwrite(fd);
        OK(rmdir("parent/sibling"));
        OK(mkdir("parent/sibling", 0755));
        silent(kq);
    }
    lose_rights(fd, parent);
    change(kq, fd, EVFILT_VNODE, EV_ENABLE, 0, 0, 1);
    change(kq, directory, EVFILT_VNODE, EV_ENABLE, 0, 0, 2);
    silent(kq);
    for (int size = SIZE + 1; size < SIZE + 4; size++) {
        OK(ftruncate(fd, size));
        EXPECT_NOTES(kq, fd, GROWTH, 1);
    }
    OK(rmdir("parent/dir"));
    EXPECT_NOTES(kq, directory, NOTE_DELETE, 2);
    sleeps(kq);
}

/* ---- 5.3 Directories that are not counted ------------------------------------------------------------------- */

/* A directory whose link count is 1, whatever is in it: one that an overlay file system merges of two. */
static void mount_uncounted(const char *name)
{
    static const char *const made[] = {"lower", "upper", "work", "merged"};
    char path[64];
    struct stat st;
    for (size_t i = 0; i < sizeof made / sizeof *made; i++)
        OK(mkdir(made[i], 0755));
    snprintf(path, sizeof path, "lower/%s", name);
    OK(mkdir(path, 0755));
    snprintf(path, sizeof path, "upper/%s", name);
    OK(mkdir(path, 0755));
    if (own_mounts() == -1
        || mount("overlay", "merged", "overlay", 0, "lowerdir=lower,upperdir=upper,workdir=work") == -1)
        SKIP("no overlay file system can be mounted here");
    OK(chdir("merged"));
    OK(mkdir("elsewhere", 0755));
    OK(stat(name, &st));
    if (st.st_nlink != 1)
        SKIP("this overlay file system counts");
}

/* 5.2 5.3 Subdirectories come and go, and are renamed inside. */
TEST(uncounted_subdirectories, "5.2 5.3")
{
    mount_uncounted("dir");
    int kq = queue(), fd = OK(open("dir", O_RDONLY | O_DIRECTORY));
    watch(kq, fd, NOTE_LINK | NOTE_EXTEND, 1);
    for (int round = 0; round < 3; round++) {
        OK(mkdir("dir/sub", 0755));
        EXPECT_NOTES(kq, fd, NOTE_LINK, 1);
        OK(rename("dir/sub", "dir/other"));
        silent(kq);
        OK(rename("dir/other", "elsewhere/sub"));
        EXPECT_NOTES(kq, fd, NOTE_LINK | NOTE_EXTEND, 1);
        OK(rename("elsewhere/sub", "dir/sub"));
        EXPECT_NOTES(kq, fd, NOTE_LINK | NOTE_EXTEND, 1);
        touch_file("dir/file");
        OK(unlink("dir/file"));
        silent(kq);
        OK(rmdir("dir/sub"));
        EXPECT_NOTES(kq, fd, NOTE_LINK, 1);
    }
}

/* 5.3 Its end is told, and not before; nor while it is only called as /proc calls what was removed. */
static void uncounted_end(const char *name)
{
    mount_uncounted(name);
    int kq = queue(), fd = OK(open(name, O_RDONLY | O_DIRECTORY));
    watch(kq, fd, NOTE_DELETE, 1);
    OK(rmdir("elsewhere"));
    silent(kq);
    OK(rmdir(name));
    EXPECT_NOTES(kq, fd, NOTE_DELETE, 1);
    silent(kq);
}

TEST(uncounted_directory_is_removed, "5.3")
{
    uncounted_end("dir");
}

TEST(uncounted_directory_called_deleted_is_removed, "5.3")
{
    uncounted_end("dir (deleted)");
}

/* 5.5 One that had been removed before EV_ADD does not end again. */
TEST(uncounted_directory_was_removed, "5.3 5.5")
{
    mount_uncounted("dir");
    int kq = queue(), fd = OK(open("dir", O_RDONLY | O_DIRECTORY));
    OK(rmdir("dir"));
    watch(kq, fd, NOTE_DELETE | NOTE_LINK, 1);
    OK(rmdir("elsewhere"));
    silent(kq);
}

/* 5.3 It ends once, also where something else is told of it after that, and of its parent. */
TEST(uncounted_directory_ends_once, "5.3")
{
    mount_uncounted("dir");
    int kq = queue(), fd = OK(open("dir", O_RDONLY | O_DIRECTORY));
    watch(kq, fd, NOTE_DELETE | NOTE_ATTRIB, 1);
    OK(rmdir("dir"));
    EXPECT_NOTES(kq, fd, NOTE_DELETE, 1);
    if (fchmod(fd, 0700) == -1)
        SKIP("what was removed cannot be changed on this overlay file system");
    EXPECT_NOTES(kq, fd, NOTE_ATTRIB, 1);
    OK(rmdir("elsewhere"));
    silent(kq);
}

/* 5.3 5.5 The end of one that must not be read. */
TEST(uncounted_directory_that_is_unreadable_is_removed, "5.3 5.5")
{
    mount_uncounted("dir");
    int kq = queue(), fd = OK(open("dir", O_RDONLY | O_DIRECTORY)), other = OK(open("elsewhere", O_RDONLY | O_DIRECTORY));
    silent(kq);
    lose_rights(fd, other);
    watch(kq, fd, NOTE_DELETE, 1);
    OK(rmdir("elsewhere"));
    silent(kq);
    OK(rmdir("dir"));
    EXPECT_NOTES(kq, fd, NOTE_DELETE, 1);
    sleeps(kq);
}

/* 5.3 Without /proc there are only looks: a change of the directory may be a subdirectory. */
TEST(uncounted_subdirectories_without_proc, "5.3 5.5")
{
    mount_uncounted("dir");
    int kq = queue(), fd = OK(open("dir", O_RDONLY | O_DIRECTORY));
    hide_proc();
    watch(kq, fd, NOTE_LINK, 1);
    OK(mkdir("dir/sub", 0755));
    EXPECT_NOTES(kq, fd, NOTE_LINK, 1);
    nothing(kq);
}

/* ---- 5.2 Many halves of renames ------------------------------------------------------------------------------ */

/* 5.2 More entries than are kept in mind leave several directories at once, to where nobody looks: each is told. */
TEST(many_entries_leave, "5.2 5.3")
{
    /* By which directory each is left; the first and the last of some only once. */
    static const char order[] = "bebbbbbcd";
    enum { DIRECTORIES = 5 };
    int kq = queue(), fds[DIRECTORIES];
    struct kevent ev[DIRECTORIES + 1];
    char path[32], target[32];
    OK(mkdir("elsewhere", 0755));
    for (int i = 0; i < DIRECTORIES; i++) {
        snprintf(path, sizeof path, "%c", 'a' + i);
        fds[i] = new_directory(path);
        watch(kq, fds[i], NOTE_EXTEND, i);
    }
    for (size_t i = 0; order[i]; i++) {
        snprintf(path, sizeof path, "%c/%zu", order[i], i);
        touch_file(path);
    }
    silent(kq);
    for (size_t i = 0; order[i]; i++) {
        snprintf(path, sizeof path, "%c/%zu", order[i], i);
        snprintf(target, sizeof target, "elsewhere/%zu", i);
        OK(rename(path, target));
    }
    CHECK_EQ(collect(kq, ev, DIRECTORIES + 1), DIRECTORIES - 1);
    for (int i = 1; i < DIRECTORIES; i++)
        EXPECT_EVENT_ANY(*find_event(ev, DIRECTORIES - 1, fds[i], EVFILT_VNODE), fds[i], EVFILT_VNODE,
                         EV_ADD | EV_CLEAR, NOTE_EXTEND, 0, i, 0);
    silent(kq);
}

#endif
