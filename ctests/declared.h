/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Cases that a backend cannot pass, each with the reason. A declared case is run all the same: where it
 * fails it is reported as skipped with this reason, where it passes the declaration is reported as wrong.
 * BUGS.md carries the same list (a test compares the two).
 *
 * DECLARED("backend", "suite.case", "why the system cannot do it")
 */

/* None. */
