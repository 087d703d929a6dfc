/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Cases that fail on an older Linux: on the kernel of tests/old-kernel (-b linux-old), beside those of declared.h. BUGS.md says these
 * things where it speaks of what older kernels lack.
 */
#define FIRST_THREAD "before Linux 5.16 waitid(WNOWAIT) gives the status with which the first thread ended (8.2)"
DECLARED("linux-old", "proc.first_thread_ended_before_add", FIRST_THREAD)
DECLARED("linux-old", "proc.first_thread_ends_first", FIRST_THREAD)

NOT_RUN("linux-old", "proc.family_that_is_gone", "who tells of a child that was reaped is a matter of luck there (8.3)")
DECLARED("linux-old", "procdesc.grandchild", "before Linux 6.13 nobody says which process a pidfd is about (8.7)")
DECLARED("linux-old", "read_devices.kqueues_too_deep", "there a kqueue that others hold too deep is EINVAL (3.8)")

#define STAMP "it is looked at by the clock, and two writes within a stamp of the file system look like one (5.6)"
NOT_RUN("linux-old", "vnode_kinds.memfd", STAMP)
NOT_RUN("linux-old", "vnode_limits.instances_run_out", STAMP)
NOT_RUN("linux-old", "vnode_limits.watches_run_out", STAMP)
NOT_RUN("linux-old", "vnode_events.one_event_after_the_other", STAMP)
NOT_RUN("linux-old", "vnode_rights.file_made_unreadable", STAMP)
NOT_RUN("linux-old", "vnode_rights.unreadable_file", STAMP)
NOT_RUN("linux-old", "vnode_rights.unreadable_file_of_which_only_writes_are_wanted", STAMP)
NOT_RUN("linux-old", "vnode_rights.unreadable_path_descriptor", STAMP)
NOT_RUN("linux-old", "vnode_rights.unreadable_file_wakes_poll", STAMP)
NOT_RUN("linux-old", "vnode_rights.without_proc", STAMP)

DECLARED("linux-old", "signal.ignored_lives_on_across_exec", "the shell of the initramfs does not leave SIGHUP ignored")

/* And those of EVFILT_PROC that fail without process descriptors (-b linux-nopidfd -w pidfd). */
#define BY_NUMBER "without pidfds a process is looked at by its number (8.1, 8.4)"
DECLARED("linux-nopidfd", "proc.thread_is_no_process", BY_NUMBER)
NOT_RUN("linux-nopidfd", "proc.ended_knote_is_not_the_next_process", BY_NUMBER)
NOT_RUN("linux-nopidfd", "proc.process_of_another_namespace", BY_NUMBER)
NOT_RUN("linux-nopidfd", "proc.family_that_is_gone", "who tells of a child that was reaped is a matter of luck there (8.3)")
NOT_RUN("linux-nopidfd", "proc.exit_makes_the_kqueue_readable", "SIGCHLD ends a poll() of the program's (7.2)")
#define CLOCK "all processes are looked at 50 times a second (10.5)"
NOT_RUN("linux-nopidfd", "proc.burst_of_forks", CLOCK)
NOT_RUN("linux-nopidfd", "proc.children_are_found_after_a_burst", CLOCK)
