//! The header: made from SOURCES, committed, and fit for every C and C++ that a program may be written in.
//!
//! `UPDATE_HEADER=1 cargo test --test header` writes it anew.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const HEADER: &str = "include/kqueue/sys/event.h";
const SOURCES: [&str; 2] = ["src/event.rs", "src/abi/queue.rs"];

/// The values of the C library (SEMANTICS 11), and of ours that it lacks, for what this build implements.
const VALUES: &[(&str, i64)] = &[
    ("LIBKQUEUE", 1),
    ("EVFILT_READ", -1),
    ("EVFILT_WRITE", -2),
    ("EVFILT_AIO", -3),
    ("EVFILT_VNODE", -4),
    ("EVFILT_PROC", -5),
    ("EVFILT_SIGNAL", -6),
    ("EVFILT_TIMER", -7),
    ("EVFILT_USER", -11),
    ("EVFILT_LIBKQUEUE", -12),
    ("EVFILT_EMPTY", -13),
    ("EVFILT_PROCDESC", -16),
    ("EVFILT_EXCEPT", -17),
    ("EV_ADD", 0x1),
    ("EV_DELETE", 0x2),
    ("EV_ENABLE", 0x4),
    ("EV_DISABLE", 0x8),
    ("EV_ONESHOT", 0x10),
    ("EV_CLEAR", 0x20),
    ("EV_RECEIPT", 0x40),
    ("EV_DISPATCH", 0x80),
    ("EV_FORCEONESHOT", 0x100),
    ("EV_KEEPUDATA", 0x200),
    ("EV_SYSFLAGS", 0xf000),
    ("EV_FLAG1", 0x2000),
    ("EV_ERROR", 0x4000),
    ("EV_EOF", 0x8000),
    ("NOTE_LOWAT", 0x1),
    ("NOTE_FILE_POLL", 0x2),
    ("NOTE_OOB", 0x2),
    ("NOTE_DELETE", 0x1),
    ("NOTE_WRITE", 0x2),
    ("NOTE_EXTEND", 0x4),
    ("NOTE_ATTRIB", 0x8),
    ("NOTE_LINK", 0x10),
    ("NOTE_RENAME", 0x20),
    ("NOTE_REVOKE", 0x40),
    ("NOTE_TRUNCATE", 0x80),
    ("NOTE_OPEN", 0x100),
    ("NOTE_CLOSE", 0x200),
    ("NOTE_CLOSE_WRITE", 0x400),
    ("NOTE_READ", 0x800),
    ("NOTE_EXIT", 0x8000_0000),
    ("NOTE_FORK", 0x4000_0000),
    ("NOTE_EXEC", 0x2000_0000),
    ("NOTE_EXITSTATUS", 0x400_0000),
    ("NOTE_PCTRLMASK", 0xf000_0000),
    ("NOTE_PDATAMASK", 0xf_ffff),
    ("NOTE_TRACK", 0x1),
    ("NOTE_TRACKERR", 0x2),
    ("NOTE_CHILD", 0x4),
    ("NOTE_FFNOP", 0),
    ("NOTE_FFAND", 0x4000_0000),
    ("NOTE_FFOR", 0x8000_0000),
    ("NOTE_FFCOPY", 0xc000_0000),
    ("NOTE_FFCTRLMASK", 0xc000_0000),
    ("NOTE_FFLAGSMASK", 0xff_ffff),
    ("NOTE_TRIGGER", 0x100_0000),
    ("NOTE_SECONDS", 0x1),
    ("NOTE_USECONDS", 0x2),
    ("NOTE_NSECONDS", 0x4),
    ("NOTE_ABSOLUTE", 0x8),
    ("NOTE_ABSTIME", 0x8),
    ("NOTE_MSECONDS", 0x10),
    ("NOTE_VERSION", 0x1),
    ("NOTE_VERSION_STR", 0x2),
    ("NOTE_THREAD_SAFE", 0x3),
    ("NOTE_FORK_CLEANUP", 0x4),
    ("NOTE_DEBUG", 0x5),
    ("NOTE_DEBUG_PREFIX", 0x6),
    ("NOTE_DEBUG_FUNC", 0x7),
    ("NOTE_FILE_POLL_INTERVAL", 0x8),
    ("KQUEUE_CLOEXEC", 0x1),
];

/// The committed header, written anew before any test looks at it if that was asked for.
static COMMITTED: LazyLock<String> = LazyLock::new(|| {
    let path = Path::new(ROOT).join(HEADER);
    if env::var_os("UPDATE_HEADER").is_some() {
        fs::write(&path, generate()).unwrap();
    }
    fs::read_to_string(&path).unwrap()
});

/// The committed header is what the sources say.
#[test]
fn header_is_generated_from_the_source() {
    let committed = COMMITTED.as_str();
    let generated = generate();
    let line = committed.lines().zip(generated.lines()).position(|(a, b)| a != b);
    assert!(
        committed == generated,
        "{HEADER} is not what the sources say (first difference: line {}): run UPDATE_HEADER=1 cargo test --test header",
        line.unwrap_or(committed.lines().count().min(generated.lines().count())) + 1
    );
}

/// 11 Every constant is a #define with the C library's value, and nothing else is defined.
#[test]
fn constants_are_macros_with_the_values_of_the_c_library() {
    let mut defined: Vec<&str> = COMMITTED.lines().filter_map(defined_name).collect();
    let mut expected: Vec<&str> = VALUES.iter().map(|&(name, _)| name).collect();
    defined.retain(|&name| name != "EV_SET" && name != "LIBKQUEUE_SYS_EVENT_H");
    defined.sort_unstable();
    expected.sort_unstable();
    assert_eq!(defined, expected);

    let mut program = String::from("#include <sys/event.h>\n");
    for &(name, value) in VALUES {
        // The sum fails for a bare -1 (`--1`), and #if for anything but an integer.
        let against = if value < 0 { format!("-{name} != {}", -value) } else { format!("{name} != {value:#x}") };
        program += &format!("#if !defined({name}) || {against}\n#error {name}\n#endif\n");
    }
    program += "int main(void) { return 0; }\n";
    for compiler in compilers() {
        compiler.compile("constants", &program);
    }
}

/// kqueue(2) names every constant and function of the header.
#[test]
fn manual_names_what_the_header_defines() {
    let manual = fs::read_to_string(Path::new(ROOT).join("man/kqueue.2")).unwrap();
    let words: BTreeSet<&str> = manual.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
    let functions = COMMITTED.lines().filter_map(|line| {
        let name = line.strip_suffix(");")?.split('(').next()?.split([' ', '*']).next_back()?;
        (!name.ends_with('_')).then_some(name)
    });
    let unnamed: Vec<&str> =
        VALUES.iter().map(|&(name, _)| name).chain(functions).filter(|name| !words.contains(name)).collect();
    assert!(unnamed.is_empty(), "man/kqueue.2 does not name {unnamed:?}");
}

/// The header needs no other before it.
#[test]
fn header_compiles_alone() {
    for compiler in compilers() {
        compiler.compile("alone", "#include <sys/event.h>\nint main(void) { return 0; }\n");
        compiler.compile("twice", "#include <sys/event.h>\n#include <sys/event.h>\nint main(void) { return 0; }\n");
    }
}

/// 11 struct kevent is the C library's.
#[test]
fn struct_kevent_has_the_layout_of_the_c_library() {
    let program = r#"
#include <sys/event.h>
#include <stddef.h>
#define LP64 (sizeof(void *) == 8)
#define HOLDS(what, condition) typedef char what[(condition) ? 1 : -1]; extern what what##_holds
HOLDS(size, sizeof(struct kevent) == (LP64 ? 32 : 20));
HOLDS(ident, offsetof(struct kevent, ident) == 0);
HOLDS(filter, offsetof(struct kevent, filter) == (LP64 ? 8 : 4));
HOLDS(flags, offsetof(struct kevent, flags) == (LP64 ? 10 : 6));
HOLDS(fflags, offsetof(struct kevent, fflags) == (LP64 ? 12 : 8));
HOLDS(data, offsetof(struct kevent, data) == (LP64 ? 16 : 12));
HOLDS(udata, offsetof(struct kevent, udata) == (LP64 ? 24 : 16));
int main(void)
{
    struct kevent k = { 0, 0, 0, 0, 0, 0 };
    uintptr_t *ident = &k.ident;
    short *filter = &k.filter;
    unsigned short *flags = &k.flags;
    unsigned int *fflags = &k.fflags;
    intptr_t *data = &k.data;
    void **udata = &k.udata;
    return !(ident && filter && flags && fflags && data && udata);
}
"#;
    for compiler in compilers() {
        compiler.run("layout", program);
    }
}

/// EV_SET is an expression, evaluates each argument once, and the caller's names mean what the caller says.
#[test]
fn ev_set_evaluates_each_argument_once_and_shadows_nothing() {
    let program = r#"
#include <sys/event.h>
#include <stddef.h>
static short filter = EVFILT_READ;
static unsigned short flags = EV_ADD | EV_CLEAR;
int main(void)
{
    struct kevent list[3], *kevp = list, k;
    uintptr_t ident = 7;
    unsigned int fflags = NOTE_LOWAT;
    intptr_t data = 5;
    char udata[1];
    int n = 0, i;

    EV_SET(kevp++, ident++, filter++, flags++, fflags++, data++, udata);
    if (kevp != list + 1 || ident != 8 || filter != EVFILT_READ + 1 || flags != (EV_ADD | EV_CLEAR) + 1
        || fflags != NOTE_LOWAT + 1 || data != 6)
        return 1;
    if (list[0].ident != 7 || list[0].filter != EVFILT_READ || list[0].flags != (EV_ADD | EV_CLEAR)
        || list[0].fflags != NOTE_LOWAT || list[0].data != 5 || list[0].udata != udata)
        return 2;

    if (n == 0)
        EV_SET(kevp, 1, EVFILT_USER, EV_ADD, NOTE_FFCOPY | NOTE_TRIGGER, 0, NULL);
    else
        EV_SET(kevp, 2, EVFILT_USER, EV_ADD, 0, 0, NULL);
    if (list[1].ident != 1 || list[1].fflags != 0xc1000000 || list[1].udata != NULL)
        return 3;

    for (i = 0; i < 3; EV_SET(&list[i], 10 + i, EVFILT_TIMER, EV_ADD, 0, -1, 0), i++)
        n++;
    if (n != 3 || list[2].ident != 12 || list[2].data != -1)
        return 4;

    (void)(n ? EV_SET(&k, &udata, EVFILT_USER, EV_ADD, 0, 0, (intptr_t)9) : (void)0);
    return k.ident != (uintptr_t)&udata || (intptr_t)k.udata != 9;
}
"#;
    for compiler in compilers() {
        compiler.with(&["-Wshadow", "-Wconversion", "-Wno-sign-conversion"]).run("ev_set", program);
    }
}

/// What cbindgen makes of the sources, but for two things that it has no setting for: numbers are as the
/// source writes them (it writes 0xC0000000 as 3221225472) and negative ones in parentheses, and a comment
/// takes one line, without Markdown.
fn generate() -> String {
    let root = Path::new(ROOT);
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).unwrap();
    let builder = SOURCES
        .iter()
        .fold(cbindgen::Builder::new().with_config(config), |builder, source| builder.with_src(root.join(source)));
    let mut raw = Vec::new();
    builder.generate().unwrap().write(&mut raw);
    let raw = String::from_utf8(raw).unwrap();

    let source = fs::read_to_string(root.join(SOURCES[0])).unwrap();
    let literals: BTreeMap<&str, &str> = source.lines().filter_map(constant).collect();
    let lines: Vec<&str> = raw.lines().collect();
    let mut header = String::new();
    let mut at = 0;
    while at < lines.len() {
        match lines[at..] {
            [open, text, close, ..] if open.trim() == "/*" && close.trim() == "*/" => {
                header += &format!("{open} {} */\n", text.trim().replace('`', ""));
                at += 2;
            }
            [line, ..] => match defined_name(line).and_then(|name| Some((name, literals.get(name)?))) {
                Some((name, literal)) if literal.starts_with('-') => header += &format!("#define {name} ({literal})\n"),
                Some((name, literal)) => header += &format!("#define {name} {literal}\n"),
                None => header += &format!("{line}\n"),
            },
            [] => {}
        }
        at += 1;
    }
    header
}

/// `NAME` of `#define NAME ...`.
fn defined_name(line: &str) -> Option<&str> {
    line.strip_prefix("#define ")?.split([' ', '(']).next()
}

/// `(NAME, LITERAL)` of `pub const NAME: type = LITERAL;`.
fn constant(line: &str) -> Option<(&str, &str)> {
    let (name, rest) = line.strip_prefix("pub const ")?.split_once(':')?;
    Some((name, rest.split_once("= ")?.1.strip_suffix(';')?))
}

/// One compiler in one dialect.
#[derive(Clone)]
struct Compiler {
    command: &'static str,
    flags: Vec<&'static str>,
    suffix: &'static str,
}

/// Those that are installed, each with every dialect. On a CI machine all have to be.
fn compilers() -> Vec<Compiler> {
    const C: &[&[&str]] = &[&["-std=c89", "-Wno-long-long"], &["-std=gnu89"], &["-std=c99"], &["-std=c11"]];
    const CXX: &[&[&str]] = &[&["-std=c++98", "-Wno-long-long"], &["-std=c++20"]];
    let mut found = Vec::new();
    for (command, suffix, dialects) in [("gcc", "c", C), ("clang", "c", C), ("g++", "cc", CXX), ("clang++", "cc", CXX)]
    {
        if Command::new(command).arg("--version").output().is_err() {
            assert!(env::var_os("CI").is_none(), "{command} is not installed");
            eprintln!("{command} is not installed: not tried");
            continue;
        }
        found.extend(dialects.iter().map(|flags| Compiler { command, flags: flags.to_vec(), suffix }));
    }
    assert!(!found.is_empty(), "no C compiler is installed");
    found
}

impl Compiler {
    fn with(&self, flags: &[&'static str]) -> Compiler {
        let mut compiler = self.clone();
        compiler.flags.extend(flags);
        compiler
    }

    /// Compiles the program with every warning as an error and returns the executable.
    fn compile(&self, name: &str, program: &str) -> PathBuf {
        LazyLock::force(&COMMITTED);
        let dialect = self.flags[0].trim_start_matches("-std=");
        let source =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}-{dialect}.{}", self.command, self.suffix));
        let executable = source.with_extension("bin");
        fs::write(&source, program).unwrap();
        let output = Command::new(self.command)
            .args(&self.flags)
            .args(["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I"])
            .arg(Path::new(ROOT).join("include/kqueue"))
            .arg(&source)
            .arg("-o")
            .arg(&executable)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{} {dialect} {}:\n{said}", self.command, source.display());
        executable
    }

    fn run(&self, name: &str, program: &str) {
        let executable = self.compile(name, program);
        let status = Command::new(&executable).status().unwrap();
        assert!(status.success(), "{}: {status}", executable.display());
    }
}
