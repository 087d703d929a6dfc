/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Cases that a backend cannot pass, each with the reason. A declared case is run all the same: where it
 * fails it is reported as skipped with this reason, where it passes the declaration is reported as wrong.
 * BUGS.md carries the same list (a test compares the two). NOT_RUN: it would only wait for its time limit, or passes
 * now and then.
 *
 * DECLARED("backend", "suite.case", "why the system cannot do it")
 * ABSENT: the same of what the build does not have at all, which is no difference.
 */

#define NO_SHUTDOWN "no call tells that the own write side of a SOCK_SEQPACKET socket is shut, but one that sends"
DECLARED("linux", "write_eof.unix_seqpacket_own_shutdown_is_eof", NO_SHUTDOWN)
DECLARED("linux", "write_eof.unix_seqpacket_earlier_own_shutdown_is_eof", NO_SHUTDOWN)
DECLARED("linux", "write_eof.unix_seqpacket_clear_reports_own_shutdown", NO_SHUTDOWN)

DECLARED("linux", "vnode_files.setting_the_time_of_access", "that the time of access was set looks like a read")

/* The POSIX backend: BUGS.md, "Any Unix", says more of each reason. */
#define PIPE "the kqueue is the read end of a pipe, and that has another end (1.1, 10.5)"
DECLARED("posix", "close.queues_to_the_limit", PIPE)
DECLARED("posix", "descriptor.read_and_write_fail", PIPE)
DECLARED("posix", "kevent.kqueue1_flags", PIPE)

#define LIMIT "poll() takes no more entries than RLIMIT_NOFILE allows (1.1)"
DECLARED("posix", "kevent.queue_works_at_the_descriptor_limit", LIMIT)

#define THREAD "a thread may be there for what nobody waits for (10.5)"
NOT_RUN("posix", "proc.no_mark_is_left", THREAD)

#define ORDER \
    "an exit is heard of by a signal, which poll() does not order, and which ends a poll() of the program's (1.12)"
NOT_RUN("posix", "proc.exit_makes_the_kqueue_readable", ORDER)
NOT_RUN("posix", "proc.output_first_with_room_for_one", ORDER)
NOT_RUN("posix", "proc.output_in_a_kqueue_first", ORDER)

#define NUMBER \
    "a process is known by its number: of a stranger only its being reaped is seen, of forks nothing (8.3, 8.5)"
NOT_RUN("posix", "faults.add_zombie", NUMBER)
NOT_RUN("posix", "faults.wait_process", NUMBER)
NOT_RUN("posix", "proc.clone_without_sigchld", NUMBER)
NOT_RUN("posix", "proc.daemon", NUMBER)
NOT_RUN("posix", "proc.ended_knote_is_not_the_next_process", NUMBER)
NOT_RUN("posix", "proc.grandchild", NUMBER)
DECLARED("posix", "proc.hidden_beside_seen", NUMBER)
DECLARED("posix", "proc.hidden_status_is_not_invented", NUMBER)
DECLARED("posix", "proc.hidden_status_not_asked_for", NUMBER)
DECLARED("posix", "proc.hidden_zombie", NUMBER)
NOT_RUN("posix", "proc.killed_grandchild", NUMBER)
NOT_RUN("posix", "proc.older_kernel_and_hidden_status", NUMBER)
NOT_RUN("posix", "proc.relatives", NUMBER)
DECLARED("posix", "proc.thread_is_no_process", NUMBER)
NOT_RUN("posix", "refusals.wait_stranger", NUMBER)

#define FILE_KIND "what fstat calls a regular file is one, and poll() takes what epoll refuses (3.9)"
DECLARED("posix", "read_kernel.message_queue_is_readable", FILE_KIND)
DECLARED("posix", "read_kernel.what_cannot_be_polled", FILE_KIND)
DECLARED("posix", "vnode_kinds.namespace_is_no_file", FILE_KIND)

#define NO_EDGE "poll() tells no edge: where as much may have been taken as came it is told again (2.9)"
NOT_RUN("posix", "races.unix_stream_every_byte_is_reported_to_edge", NO_EDGE)
NOT_RUN("posix", "sequence.readable_says_what_kevent_returns", NO_EDGE)
NOT_RUN("posix", "sequence.short_lists_return_the_same", NO_EDGE)
NOT_RUN("posix", "threads.one_waiter_gets_a_write_oneshot", NO_EDGE)
NOT_RUN("posix", "threads.one_waiter_gets_one_of_two_edges", NO_EDGE)

#define TOGETHER \
    "a handler that is not behind ours leaves no trace when a swallowed signal comes with it (7.2)"
NOT_RUN("posix", "signal.pair_own_first", TOGETHER)
NOT_RUN("posix", "signal.pair_recorded_first", TOGETHER)
NOT_RUN("posix", "signal.pair_with_a_disabled_event", TOGETHER)
NOT_RUN("posix", "signal.woken_for_nothing", TOGETHER)
NOT_RUN("posix", "signal.woken_for_nothing_beside_an_older_handler", TOGETHER)

DECLARED("posix", "write_eof.unix_seqpacket_clear_reports_own_shutdown", NO_SHUTDOWN)
DECLARED("posix", "write_eof.unix_seqpacket_earlier_own_shutdown_is_eof", NO_SHUTDOWN)
DECLARED("posix", "write_eof.unix_seqpacket_own_shutdown_is_eof", NO_SHUTDOWN)

#define NO_WATCH "nobody tells of files: they are compared with how they stood, now and then (5.2, 5.3)"
DECLARED("posix", "vnode_batches.made_and_moved_away", NO_WATCH)
DECLARED("posix", "vnode_batches.moved_away_after_it_was_reported", NO_WATCH)
DECLARED("posix", "vnode_batches.moved_away_beside_a_disabled_knote", NO_WATCH)
DECLARED("posix", "vnode_directories.exchanging_subdirectories", NO_WATCH)
DECLARED("posix", "vnode_directories.making_and_removing_a_subdirectory", NO_WATCH)
DECLARED("posix", "vnode_directories.moved_entries_extend", NO_WATCH)
DECLARED("posix", "vnode_directories.moving_it", NO_WATCH)
DECLARED("posix", "vnode_directories.removing_it_after_it_was_moved", NO_WATCH)
DECLARED("posix", "vnode_directories.renaming_it", NO_WATCH)
DECLARED("posix", "vnode_directories.renaming_it_over_another", NO_WATCH)
DECLARED("posix", "vnode_directories.setting_its_times", NO_WATCH)
DECLARED("posix", "vnode_directories.setting_its_times_before_a_subdirectory_is_made", NO_WATCH)
DECLARED("posix", "vnode_events.events_add_up", NO_WATCH)
DECLARED("posix", "vnode_events.one_event_after_the_other", NO_WATCH)
DECLARED("posix", "vnode_files.exchanging_names", NO_WATCH)
DECLARED("posix", "vnode_files.removing_an_extended_attribute", NO_WATCH)
DECLARED("posix", "vnode_files.renaming", NO_WATCH)
DECLARED("posix", "vnode_files.renaming_over_another", NO_WATCH)
DECLARED("posix", "vnode_files.renaming_to_another_directory", NO_WATCH)
DECLARED("posix", "vnode_files.setting_an_extended_attribute", NO_WATCH)
DECLARED("posix", "vnode_files.setting_the_group", NO_WATCH)
DECLARED("posix", "vnode_files.setting_the_owner", NO_WATCH)
DECLARED("posix", "vnode_files.setting_the_same_mode", NO_WATCH)
DECLARED("posix", "vnode_files.setting_the_time_of_access", NO_WATCH)
DECLARED("posix", "vnode_files.setting_the_times", NO_WATCH)
DECLARED("posix", "vnode_files.setting_the_times_to_now", NO_WATCH)
DECLARED("posix", "vnode_files.storing_by_mmap", NO_WATCH)
DECLARED("posix", "vnode_flags.added_disabled", NO_WATCH)
DECLARED("posix", "vnode_flags.dispatch", NO_WATCH)
DECLARED("posix", "vnode_flags.oneshot", NO_WATCH)
NOT_RUN("posix", "vnode_kinds.device", NO_WATCH)
DECLARED("posix", "vnode_kinds.memfd_changes_add_up", NO_WATCH)
DECLARED("posix", "vnode_kinds.symbolic_link", NO_WATCH)
DECLARED("posix", "vnode_life.number_comes_back", NO_WATCH)
DECLARED("posix", "vnode_life.two_descriptors", NO_WATCH)
DECLARED("posix", "vnode_limits.overflow_after_a_rename", NO_WATCH)
DECLARED("posix", "vnode_limits.overflow_keeps_what_came_before", NO_WATCH)
DECLARED("posix", "vnode_lost.many_entries_leave", NO_WATCH)
DECLARED("posix", "vnode_lost.uncounted_directory_called_deleted_is_removed", NO_WATCH)
DECLARED("posix", "vnode_lost.uncounted_directory_ends_once", NO_WATCH)
DECLARED("posix", "vnode_lost.uncounted_directory_is_removed", NO_WATCH)
NOT_RUN("posix", "vnode_lost.uncounted_directory_that_is_unreadable_is_removed", NO_WATCH)
DECLARED("posix", "vnode_lost.uncounted_subdirectories", NO_WATCH)
DECLARED("posix", "vnode_lost.unreadable_file_is_renamed_where_that_is_not_wanted", NO_WATCH)
DECLARED("posix", "vnode_parents.events_of_a_directory_add_up", NO_WATCH)
DECLARED("posix", "vnode_process.changes_by_another_process", NO_WATCH)
NOT_RUN("posix", "vnode_process.threads_come_and_go", NO_WATCH)
NOT_RUN("posix", "vnode_queue.no_event_is_lost", NO_WATCH)
DECLARED("posix", "vnode_wishes.short_eventlists", NO_WATCH)

/* Event ports, over an emulation: BUGS.md, "Solaris and illumos", says more of each reason. */
#define PUMP "the emulation of event ports has a thread (10.2)"
NOT_RUN("solaris", "descriptor.no_helper_thread", PUMP)

#define EPOLL_IN_PORT "a descriptor of epoll's or of /dev/poll's never wakes a port (3.9)"
DECLARED("solaris", "read_kernel.epoll_is_readable", EPOLL_IN_PORT)
DECLARED("solaris", "read_kernel.message_queue_is_readable", FILE_KIND)
DECLARED("solaris", "read_kernel.what_cannot_be_polled", FILE_KIND)
#define EDGE_THREAD "a thread tells of edges: the kqueue is readable a moment after what makes it so (10.5)"
NOT_RUN("solaris", "sequence.readable_says_what_kevent_returns", EDGE_THREAD)
#define ONE_LOCK "the emulation of event ports has one lock: threads meet in kevent() less often than the case wants"
NOT_RUN("solaris", "threads.close_while_in_use", ONE_LOCK)
DECLARED("solaris", "write_eof.unix_seqpacket_clear_reports_own_shutdown", NO_SHUTDOWN)
DECLARED("solaris", "write_eof.unix_seqpacket_earlier_own_shutdown_is_eof", NO_SHUTDOWN)
DECLARED("solaris", "write_eof.unix_seqpacket_own_shutdown_is_eof", NO_SHUTDOWN)

/* What the build does not have, and its header does not define (absent.h). */
#ifdef LACKS_PROCDESC
ABSENT("posix", "faults.add_descriptor", LACKS_PROCDESC)
ABSENT("posix", "faults.delete_descriptor", LACKS_PROCDESC)
ABSENT("posix", "faults.dup2_over_helper", LACKS_PROCDESC)
ABSENT("posix", "memory.add_descriptor", LACKS_PROCDESC)
ABSENT("posix", "memory.delete_descriptor", LACKS_PROCDESC)
ABSENT("posix", "memory.dup2_over_helper", LACKS_PROCDESC)
ABSENT("posix", "proc.output_before_the_end_by_descriptor", LACKS_PROCDESC)
ABSENT("posix", "procdesc.beside_read", LACKS_PROCDESC)
ABSENT("posix", "procdesc.close_removes_the_knote", LACKS_PROCDESC)
ABSENT("posix", "procdesc.death_by_signal", LACKS_PROCDESC)
ABSENT("posix", "procdesc.duplicate", LACKS_PROCDESC)
ABSENT("posix", "procdesc.exit_before_add", LACKS_PROCDESC)
ABSENT("posix", "procdesc.exit_is_reported", LACKS_PROCDESC)
ABSENT("posix", "procdesc.exit_wakes_a_waiter", LACKS_PROCDESC)
ABSENT("posix", "procdesc.flags", LACKS_PROCDESC)
ABSENT("posix", "procdesc.forked_child", LACKS_PROCDESC)
ABSENT("posix", "procdesc.grandchild", LACKS_PROCDESC)
ABSENT("posix", "procdesc.hidden_status", LACKS_PROCDESC)
ABSENT("posix", "procdesc.number_comes_back", LACKS_PROCDESC)
ABSENT("posix", "procdesc.reaped_before_kevent_looks", LACKS_PROCDESC)
ABSENT("posix", "procdesc.several_of_one_process", LACKS_PROCDESC)
ABSENT("posix", "procdesc.zombie_added_again", LACKS_PROCDESC)
ABSENT("solaris", "procdesc.flags", LACKS_PROCDESC)
ABSENT("posix", "refusals.add_descriptor", LACKS_PROCDESC)
ABSENT("posix", "refusals.delete_descriptor", LACKS_PROCDESC)
ABSENT("posix", "refusals.dup2_over_helper", LACKS_PROCDESC)
#endif
#ifdef LACKS_USES
ABSENT("posix", "vnode_batches.last_name_goes_and_a_knote_is_added", LACKS_USES)
ABSENT("posix", "vnode_directories.using_a_directory", LACKS_USES)
ABSENT("posix", "vnode_directories.using_its_files_is_not_using_it", LACKS_USES)
ABSENT("posix", "vnode_events.executing_is_opening", LACKS_USES)
ABSENT("posix", "vnode_events.uses_and_changes_add_up", LACKS_USES)
ABSENT("posix", "vnode_files.closing_a_duplicate", LACKS_USES)
ABSENT("posix", "vnode_files.closing_a_writer", LACKS_USES)
ABSENT("posix", "vnode_files.opening", LACKS_USES)
ABSENT("posix", "vnode_files.opening_and_closing", LACKS_USES)
ABSENT("posix", "vnode_files.reading", LACKS_USES)
ABSENT("posix", "vnode_files.reading_at_an_offset", LACKS_USES)
ABSENT("posix", "vnode_files.writing_is_no_use", LACKS_USES)
ABSENT("posix", "vnode_kinds.uses_of_a_file_without_a_name", LACKS_USES)
ABSENT("posix", "vnode_process.watching_is_not_opening", LACKS_USES)
ABSENT("posix", "vnode_rights.unreadable_file_of_which_uses_are_wanted", LACKS_USES)
#endif
#ifdef LACKS_FORKS
ABSENT("posix", "memory.add_forks", LACKS_FORKS)
#endif

/* Windows: BUGS.md, "Windows", says more of each reason. */
#define RESET "under Wine a reset or a refusal is gone from SO_ERROR and recv() (3.3)"
DECLARED("windows", "errors.tcp6_refused_connect_is_left_to_read", RESET)
DECLARED("windows", "errors.tcp6_reset_after_the_peers_close", RESET)
DECLARED("windows", "errors.tcp6_reset_in_every_mode", RESET)
DECLARED("windows", "errors.tcp6_reset_is_reported_and_left_to_read", RESET)
DECLARED("windows", "errors.tcp6_reset_is_reported_and_left_to_so_error", RESET)
DECLARED("windows", "errors.tcp6_reset_wakes_a_waiter", RESET)
DECLARED("windows", "errors.tcp6_reset_with_data_left", RESET)
DECLARED("windows", "errors.tcp6_taken_error_is_not_reported", RESET)
DECLARED("windows", "errors.tcp_refused_connect_is_left_to_read", RESET)
DECLARED("windows", "errors.tcp_reset_after_the_peers_close", RESET)
DECLARED("windows", "errors.tcp_reset_in_every_mode", RESET)
DECLARED("windows", "errors.tcp_reset_is_reported_and_left_to_read", RESET)
DECLARED("windows", "errors.tcp_reset_is_reported_and_left_to_so_error", RESET)
DECLARED("windows", "errors.tcp_reset_wakes_a_waiter", RESET)
DECLARED("windows", "errors.tcp_reset_with_data_left", RESET)
DECLARED("windows", "errors.tcp_taken_error_is_not_reported", RESET)

#define DATAGRAM_REFUSED "under Wine nobody tells that a datagram was refused (3.3)"
NOT_RUN("windows", "errors.udp6_refused_datagram_is_no_eof", DATAGRAM_REFUSED)
NOT_RUN("windows", "errors.udp_refused_datagram_is_no_eof", DATAGRAM_REFUSED)
NOT_RUN("windows", "errors.udp_refused_datagram_leaves_write_ready", DATAGRAM_REFUSED)

#define END "under Wine the end of a stream is told only when all data was read (3.3)"
NOT_RUN("windows", "flags.added_disabled_and_hung_up", END)
NOT_RUN("windows", "pair.end_of_read_is_not_the_end_of_write", END)
NOT_RUN("windows", "read.tcp6_note_lowat_does_not_hold_back_eof", END)
NOT_RUN("windows", "read.tcp6_note_lowat_is_not_truncated", END)
NOT_RUN("windows", "read.tcp_note_lowat_does_not_hold_back_eof", END)
NOT_RUN("windows", "read.tcp_note_lowat_is_not_truncated", END)
NOT_RUN("windows", "read.unix_stream_note_lowat_does_not_hold_back_eof", END)
NOT_RUN("windows", "read.unix_stream_note_lowat_is_not_truncated", END)
NOT_RUN("windows", "read_eof.tcp6_clear_reports_eof", END)
NOT_RUN("windows", "read_eof.tcp6_eof_with_data_left", END)
NOT_RUN("windows", "read_eof.tcp_clear_reports_eof", END)
NOT_RUN("windows", "read_eof.tcp_eof_with_data_left", END)
NOT_RUN("windows", "read_eof.unix_stream_clear_reports_eof_once", END)
NOT_RUN("windows", "read_eof.unix_stream_eof_with_data_left", END)
NOT_RUN("windows", "write_eof.unix_stream_peers_close_is_eof", END)

#define OWN_END "nobody tells that the program has shut its own side for reading (3.3)"
DECLARED("windows", "read_eof.tcp6_own_shutdown_is_eof", OWN_END)
DECLARED("windows", "read_eof.tcp_own_shutdown_is_eof", OWN_END)
DECLARED("windows", "read_eof.unix_stream_own_shutdown_is_eof", OWN_END)
DECLARED("windows", "write_eof.tcp6_both_sides_shut", OWN_END)
DECLARED("windows", "write_eof.tcp_both_sides_shut", OWN_END)
DECLARED("windows", "write_eof.unix_stream_both_sides_shut", OWN_END)

#define BACKLOG "how many connections wait to be accepted is not known (3.2)"
NOT_RUN("windows", "read_eof.tcp6_pending_connections_are_counted", BACKLOG)
NOT_RUN("windows", "read_eof.tcp_pending_connections_are_counted", BACKLOG)

#define DATAGRAMS_TOGETHER "under Wine only the next datagram is counted (3.1)"
NOT_RUN("windows", "read.udp6_next_bytes_are_counted", DATAGRAMS_TOGETHER)
NOT_RUN("windows", "read.udp_next_bytes_are_counted", DATAGRAMS_TOGETHER)

#define NO_MARK "there is no SO_RCVLOWAT (3.1)"
DECLARED("windows", "read.tcp6_note_lowat_is_the_mark_of_one_knote", NO_MARK)
DECLARED("windows", "read.tcp_note_lowat_is_the_mark_of_one_knote", NO_MARK)
DECLARED("windows", "read.unix_stream_note_lowat_is_the_mark_of_one_knote", NO_MARK)

#define ROOM "how much of a send buffer, or under Wine of a pipe, is free is not known (4.1)"
DECLARED("windows", "write.unix_stream_note_lowat_waits_for_space", ROOM)
DECLARED("windows", "write.unix_stream_queued_bytes_take_space", ROOM)
DECLARED("windows", "write_eof.pipe_clear_reports_new_space", ROOM)
DECLARED("windows", "write_eof.pipe_last_reader_gone_is_eof", ROOM)
DECLARED("windows", "write_eof.pipe_note_lowat_is_the_mark", ROOM)
DECLARED("windows", "write_eof.pipe_space_is_reported", ROOM)

#define EDGE_CLOCK "an edge that was told is looked at by the clock, and told again where it cannot be known (2.9)"
NOT_RUN("windows", "pair.room_does_not_repeat_read", EDGE_CLOCK)
NOT_RUN("windows", "pair.unix_socket_read_first", EDGE_CLOCK)
NOT_RUN("windows", "pair.unix_socket_write_first", EDGE_CLOCK)
NOT_RUN("windows", "threads.one_waiter_gets_a_pipe_edge", EDGE_CLOCK)
NOT_RUN("windows", "threads.one_waiter_gets_a_write_oneshot", EDGE_CLOCK)
NOT_RUN("windows", "threads.one_waiter_gets_one_of_two_edges", EDGE_CLOCK)

#define CLOSED_PIPE "a closed pipe is found at the next look at its number (10.1)"
NOT_RUN("windows", "threads.no_event_after_close", CLOSED_PIPE)

#define NO_NONBLOCK "a kqueue has no O_NONBLOCK (1.1)"
DECLARED("windows", "kevent.kqueue1_flags", NO_NONBLOCK)
