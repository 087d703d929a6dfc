/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Cases that cannot pass where libc's close() and sigaction() come before ours (backend "linux-behind": the suite
 * linked with -lc before -lkqueue), each with the reason; BUGS.md says the same in prose. NOT_RUN: it would only wait
 * for its time limit, or passes now and then.
 */

#define UNTOLD "nobody tells of the close: the old file goes on reporting until the next change of its number"
DECLARED("linux-behind", "close.close_removes_the_knotes", UNTOLD)
DECLARED("linux-behind", "close.close_removes_a_knote_that_was_used", UNTOLD)
DECLARED("linux-behind", "close.close_removes_both_filters", UNTOLD)
DECLARED("linux-behind", "close.dup2_over_a_watched_descriptor", UNTOLD)
DECLARED("linux-behind", "close.dup3_over_a_watched_descriptor", UNTOLD)
DECLARED("linux-behind", "close.close_range_removes_the_knotes", UNTOLD)
DECLARED("linux-behind", "close.close_range_to_the_end", UNTOLD)
DECLARED("linux-behind", "close.closefrom_removes_the_knotes", UNTOLD)
DECLARED("linux-behind", "close.fclose_removes_the_knotes", UNTOLD)
DECLARED("linux-behind", "close.freopen_removes_the_knotes", UNTOLD)
DECLARED("linux-behind", "close.freopen64_removes_the_knotes", UNTOLD)
DECLARED("linux-behind", "close.close_of_a_regular_file", UNTOLD)
DECLARED("linux-behind", "close.number_comes_back_as_another_file", UNTOLD)
DECLARED("linux-behind", "descriptor.discarded_events_do_not_keep_it_readable", UNTOLD)
NOT_RUN("linux-behind", "threads.no_event_after_close", UNTOLD)
NOT_RUN("linux-behind", "stress.handlers_of_one_thread", UNTOLD)
NOT_RUN("linux-behind", "stress.handlers_of_two_threads", UNTOLD)

#define KEPT \
    "nobody tells that a kqueue is closed: its helpers wait for a kqueue() that looks, and it takes one from birth"
DECLARED("linux-behind", "cancel.cancellation_leaks_nothing", KEPT)
DECLARED("linux-behind", "close.close_frees_all_descriptors", KEPT)
DECLARED("linux-behind", "close.queues_to_the_limit", KEPT)
DECLARED("linux-behind", "kevent.kqueue_without_descriptors_is_emfile", KEPT)
DECLARED("linux-behind", "process.child_uses_its_own_queues", KEPT)
NOT_RUN("linux-behind", "process.fork_while_a_thread_waits", KEPT)
NOT_RUN("linux-behind", "process.fork_while_queues_are_born", KEPT)
NOT_RUN("linux-behind", "stress.children_of_contending_threads", KEPT)
NOT_RUN("linux-behind", "stress.other_ways_to_have_children", KEPT)

#define SIGACTION "libc's sigaction() comes first: a handler installed later replaces ours, and ours is seen"
DECLARED("linux-behind", "signal.handler_installed_later", SIGACTION)
DECLARED("linux-behind", "signal.sigaction_tells_the_programs_own", SIGACTION)
DECLARED("linux-behind", "signal.sigwait_after_delete", SIGACTION)
DECLARED("linux-behind", "signal.sa_onstack", SIGACTION)
DECLARED("linux-behind", "signal.sa_resethand", SIGACTION)
DECLARED("linux-behind", "signal.errno_survives", SIGACTION)
DECLARED("linux-behind", "signal.default_action_comes_back", SIGACTION)
DECLARED("linux-behind", "signal.handled_stop_does_not_stop", SIGACTION)

#define WAITS "nobody tells that a kqueue is closed: its waiters wait on"
NOT_RUN("linux-behind", "close.close_wakes_a_waiter", WAITS)
NOT_RUN("linux-behind", "close.close_wakes_all_waiters", WAITS)
NOT_RUN("linux-behind", "close.dup2_over_the_queue_wakes_all_waiters", WAITS)
NOT_RUN("linux-behind", "close.close_wakes_a_waiter_with_a_timeout", WAITS)
NOT_RUN("linux-behind", "close.waiters_do_not_enter_the_next_file", WAITS)
NOT_RUN("linux-behind", "threads.close_while_in_use", WAITS)
NOT_RUN("linux-behind", "stress.number_reused_by_an_epoll", WAITS)
NOT_RUN("linux-behind", "stress.waiter_left_by_siglongjmp", WAITS)
NOT_RUN("linux-behind", "stress.handlers_close_each_others_queue", WAITS)

DECLARED("linux-behind", "procdesc.number_comes_back", UNTOLD)
DECLARED("linux-behind", "procdesc.duplicate", UNTOLD)
DECLARED("linux-behind", "read_growth.number_comes_back", UNTOLD)
DECLARED("linux-behind", "vnode_life.dup2_over_it", UNTOLD)
DECLARED("linux-behind", "vnode_life.same_file_under_the_number", UNTOLD)
DECLARED("linux-behind", "proc.no_descriptor_is_left_of_notes", KEPT)
DECLARED("linux-behind", "proc.child_has_none_of_ours", KEPT)
DECLARED("linux-behind", "proc.kqueue_closed", KEPT)
DECLARED("linux-behind", "procdesc.forked_child", KEPT)
DECLARED("linux-behind", "read_growth.close_of_the_queue_frees_all", KEPT)
DECLARED("linux-behind", "vnode_process.close_of_the_queue_frees_all", KEPT)
NOT_RUN("linux-behind", "vnode_process.close_of_the_queue_wakes_waiters", WAITS)
DECLARED("linux-behind", "signal.spent_while_waited_for", SIGACTION)
DECLARED("linux-behind", "signal.disposition_is_put_back_whole", SIGACTION)
DECLARED("linux-behind", "signal.handler_changes_what_is_gone_on_with", SIGACTION)
DECLARED("linux-behind", "found.cancelled_dup2_over_a_queue_that_hears_of_forks", KEPT)

#define THEIRS "the library's own descriptors are the program's to close and to put files over"
NOT_RUN("linux-behind", "helpers.timers_after_dup2", THEIRS)
NOT_RUN("linux-behind", "helpers.signals_after_dup2", THEIRS)
NOT_RUN("linux-behind", "helpers.moved_helpers_are_closed_in_the_child", THEIRS)
DECLARED("linux-behind", "helpers.moved_process_is_deleted", THEIRS)
DECLARED("linux-behind", "helpers.no_number_to_move_to", THEIRS)
DECLARED("linux-behind", "helpers.helpers_are_not_open", THEIRS)
