/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the library's header does not define on every backend, because not every one implements it. The cases need the
 * names all the same: each that is about such a one is run, is refused, and is reported as skipped with one of these
 * reasons (declared.h). The values are those of the builds that have them.
 */
#ifndef ABSENT_H
#define ABSENT_H

#ifdef LIBKQUEUE

#ifndef EVFILT_PROCDESC
#define LACKS_PROCDESC "this build has no EVFILT_PROCDESC"
#define EVFILT_PROCDESC (-16)
#endif

#ifndef NOTE_OPEN
#define LACKS_USES "this build has no NOTE_OPEN, NOTE_CLOSE, NOTE_CLOSE_WRITE, NOTE_READ"
#define NOTE_OPEN 0x0100
#define NOTE_CLOSE 0x0200
#define NOTE_CLOSE_WRITE 0x0400
#define NOTE_READ 0x0800
#endif

#ifndef NOTE_FORK
#define LACKS_FORKS "this build has no NOTE_FORK, NOTE_EXEC, NOTE_TRACK, NOTE_CHILD"
#define NOTE_FORK 0x40000000
#define NOTE_EXEC 0x20000000
#define NOTE_TRACK 0x00000001
#define NOTE_TRACKERR 0x00000002
#define NOTE_CHILD 0x00000004
#endif

#endif
#endif
