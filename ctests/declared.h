/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Cases that a backend cannot pass, each with the reason. A declared case is run all the same: where it
 * fails it is reported as skipped with this reason, where it passes the declaration is reported as wrong.
 * BUGS.md carries the same list (a test compares the two).
 *
 * DECLARED("backend", "suite.case", "why the system cannot do it")
 */

#define NO_SHUTDOWN "no call tells that the own write side of a SOCK_SEQPACKET socket is shut, but one that sends"
DECLARED("linux", "write_eof.unix_seqpacket_own_shutdown_is_eof", NO_SHUTDOWN)
DECLARED("linux", "write_eof.unix_seqpacket_earlier_own_shutdown_is_eof", NO_SHUTDOWN)
DECLARED("linux", "write_eof.unix_seqpacket_clear_reports_own_shutdown", NO_SHUTDOWN)

DECLARED("linux", "vnode_files.setting_the_time_of_access", "that the time of access was set looks like a read")
