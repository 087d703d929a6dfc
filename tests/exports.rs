//! What is installed: the names that the library defines, and that programs link with it in every shape.
//!
//! Looks at the installation that `make check` staged (KQUEUE_STAGE), or else makes one of its own.

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const TMP: &str = env!("CARGO_TARGET_TMPDIR");

static STAGE: LazyLock<PathBuf> = LazyLock::new(|| match env::var_os("KQUEUE_STAGE") {
    Some(stage) => stage.into(),
    None => {
        let stage = Path::new(TMP).join("prefix");
        make(&["install", &format!("PREFIX={}", stage.display())]);
        stage
    }
});

/// 11 The shared library exports the public functions and the interposed names of libc, nothing else.
#[test]
fn shared_library_exports_the_list() {
    let names = output("nm", &["-D", "--defined-only", "--format=posix", &lib("libkqueue.so")]);
    assert_eq!(first_words(&names), list());
}

/// The archive defines the same names globally: Rust's own are local.
#[test]
fn archive_defines_the_list() {
    let names = output("nm", &["-g", "--defined-only", "--format=posix", &lib("libkqueue.a")]);
    let names: String = names.lines().filter(|line| !line.ends_with("]:")).map(|line| format!("{line}\n")).collect();
    assert_eq!(first_words(&names), list());
}

/// 11 The C library's soname; never unmapped, because fork handlers and signal handlers point into it.
#[test]
fn shared_library_has_the_soname_and_stays_mapped() {
    let dynamic = output("readelf", &["-dW", &lib("libkqueue.so")]);
    assert!(dynamic.contains("Library soname: [libkqueue.so.0]"), "{dynamic}");
    assert!(dynamic.contains("NODELETE"), "{dynamic}");
    assert!(!dynamic.contains("TEXTREL"), "{dynamic}");
}

/// libkqueue.so -> libkqueue.so.0 -> libkqueue.so.0.x.y
#[test]
fn shared_library_is_found_by_its_three_names() {
    let link = |name: &str| fs::read_link(lib(name)).unwrap();
    let version = env!("CARGO_PKG_VERSION").rsplit_once('.').unwrap().0;
    assert_eq!(link("libkqueue.so"), Path::new("libkqueue.so.0"));
    assert_eq!(link("libkqueue.so.0"), Path::new(&format!("libkqueue.so.0.{version}")));
}

/// Shared library, archive, and fully static; C and C++. The child of a fork proves that the constructor ran.
#[test]
fn programs_link_with_both_libraries() {
    let shared = ["-L", &lib(""), "-lkqueue", &format!("-Wl,-rpath,{}", lib(""))].map(str::to_owned);
    let archive = [lib("libkqueue.a")];
    let fully_static = [lib("libkqueue.a"), "-static".to_owned()];
    for (compiler, suffix) in [("cc", "c"), ("c++", "cc")] {
        build(compiler, "shared", suffix, &shared);
        build(compiler, "archive", suffix, &archive);
        build(compiler, "static", suffix, &fully_static);
    }
}

/// Portable programs bring a closefrom() of their own along: the archive's gives way.
#[test]
fn archive_gives_way_to_a_programs_closefrom() {
    let own = "-DOWN_CLOSEFROM".to_owned();
    build("cc", "own-closefrom", "c", &[own.clone(), lib("libkqueue.a")]);
    build("cc", "own-closefrom-static", "c", &[own, lib("libkqueue.a"), "-static".to_owned()]);
}

/// pkg-config says what is needed, with --static too.
#[test]
fn programs_link_by_pkg_config() {
    for (name, options, more) in
        [("pkg-config", &["--libs"][..], None), ("pkg-config-static", &["--static", "--libs"], Some("-static"))]
    {
        let output = Command::new("pkg-config")
            .env("PKG_CONFIG_PATH", lib("pkgconfig"))
            .args(["--cflags"])
            .args(options)
            .arg("libkqueue")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mut flags: Vec<String> =
            String::from_utf8(output.stdout).unwrap().split_whitespace().map(str::to_owned).collect();
        flags.push(format!("-Wl,-rpath,{}", lib("")));
        flags.extend(more.map(str::to_owned));
        build("cc", name, "c", &flags);
    }
}

/// Beside another archive that carries Rust's standard library, in either order.
#[test]
fn archive_links_beside_another_rust_archive() {
    let other = Path::new(TMP).join("libother.a");
    let source = Path::new(TMP).join("other.rs");
    fs::write(&source, OTHER).unwrap();
    output(
        env::var("RUSTC").as_deref().unwrap_or("rustc"),
        &["--crate-type=staticlib", "-O", "-o", path(&other), path(&source)],
    );
    let archives = [lib("libkqueue.a"), path(&other).to_owned()];
    let reversed = [path(&other).to_owned(), lib("libkqueue.a")];
    build("cc", "beside", "c", &[&archives[..], &["-DOTHER".to_owned()]].concat());
    build("cc", "behind", "c", &[&reversed[..], &["-DOTHER".to_owned()]].concat());
}

/// `make uninstall` removes what `make install` placed and nothing else, and installing twice is installing once. All
/// of it goes where the variables say.
#[test]
fn uninstall_removes_what_install_placed() {
    let root = Path::new(TMP).join("root");
    let _ = fs::remove_dir_all(&root);
    let destination = format!("DESTDIR={}", root.display());
    let variables = [
        destination.as_str(),
        "PREFIX=/usr",
        "LIBDIR=/usr/lib/some-linux",
        "INCLUDEDIR=/usr/include/some-linux",
        "MANDIR=/opt/man",
    ];
    make(&[&["install"], &variables[..]].concat());
    make(&[&["install"], &variables[..]].concat());
    let placed = files(&root);
    let expected = [
        "usr/include/some-linux/kqueue/sys/event.h",
        "usr/lib/some-linux/libkqueue.a",
        "usr/lib/some-linux/libkqueue.so",
        "usr/lib/some-linux/libkqueue.so.0",
        &format!("usr/lib/some-linux/libkqueue.so.0.{}", env!("CARGO_PKG_VERSION").rsplit_once('.').unwrap().0),
        "usr/lib/some-linux/pkgconfig/libkqueue.pc",
        "usr/lib/some-linux/cmake/libkqueue/libkqueue-config.cmake",
        "usr/lib/some-linux/cmake/libkqueue/libkqueue-config-version.cmake",
        "opt/man/man2/kevent.2",
        "opt/man/man2/kqueue.2",
    ];
    assert_eq!(placed, expected.iter().map(PathBuf::from).collect());
    let pkg_config = fs::read_to_string(root.join("usr/lib/some-linux/pkgconfig/libkqueue.pc")).unwrap();
    let directories = "prefix=/usr\nlibdir=${prefix}/lib/some-linux\nincludedir=${prefix}/include/some-linux\n";
    assert!(pkg_config.starts_with(directories), "{pkg_config}");

    let not_ours = "usr/include/some-linux/kqueue/not-ours.h";
    fs::write(root.join(not_ours), "").unwrap();
    make(&[&["uninstall"], &variables[..]].concat());
    assert_eq!(files(&root), BTreeSet::from([PathBuf::from(not_ours)]));
}

/// It unwinds, so that two of the language's run-time systems are at work.
const OTHER: &str = r#"
#[no_mangle]
pub extern "C" fn other() -> i32 {
    std::panic::catch_unwind(|| std::panic::resume_unwind(Box::new(2i32))).map_or_else(|two| *two.downcast().unwrap(), |()| 0)
}
"#;

/// A kqueue is made, a timer fires, and a forked child finds the number closed (10.3).
const PROGRAM: &str = r#"
#include <sys/event.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <unistd.h>
#ifdef OTHER
int other(void);
#endif
#ifdef OWN_CLOSEFROM
void closefrom(int least)
{
    while (least < 64)
        close(least++);
}
#endif
int main(void)
{
    struct kevent k;
    int kq, status;
    pid_t pid;

    libkqueue_init();
    kq = kqueue();
    if (kq < 0)
        return 1;
    EV_SET(&k, 1, EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, 1, NULL);
    if (kevent(kq, &k, 1, &k, 1, NULL) != 1 || k.ident != 1 || k.filter != EVFILT_TIMER || k.data != 1)
        return 2;
    pid = fork();
    if (pid == 0)
        _exit(fcntl(kq, F_GETFD) != -1 || errno != EBADF);
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
        return 3;
    if (close(kq) != 0 || kevent(kq, NULL, 0, NULL, 0, NULL) != -1 || errno != EBADF)
        return 4;
#ifdef OTHER
    if (other() != 2)
        return 5;
#endif
    libkqueue_drain_pending_close();
    return 0;
}
"#;

/// Compiles PROGRAM, links it with `flags`, and runs it.
fn build(compiler: &str, name: &str, suffix: &str, flags: &[String]) {
    let source = Path::new(TMP).join(format!("link-{name}.{suffix}"));
    let executable = Path::new(TMP).join(format!("link-{name}-{suffix}"));
    fs::write(&source, PROGRAM).unwrap();
    let include = format!("-I{}/include/kqueue", STAGE.display());
    let mut arguments = vec!["-Wall", "-Wextra", "-Werror", &include, "-o", path(&executable), path(&source)];
    arguments.extend(flags.iter().map(String::as_str));
    output(compiler, &arguments);
    let status = Command::new(&executable).status().unwrap();
    assert!(status.success(), "{}: {status}", executable.display());
}

/// The names in exports.txt.
fn list() -> BTreeSet<String> {
    let text = fs::read_to_string(Path::new(ROOT).join("exports.txt")).unwrap();
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
}

fn first_words(text: &str) -> BTreeSet<String> {
    text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

fn files(directory: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut left = vec![directory.to_owned()];
    while let Some(next) = left.pop() {
        for entry in fs::read_dir(next).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                left.push(entry.path());
            } else {
                found.insert(entry.path().strip_prefix(directory).unwrap().to_owned());
            }
        }
    }
    found
}

fn lib(name: &str) -> String {
    path(&STAGE.join("lib").join(name)).to_owned()
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn make(arguments: &[&str]) {
    static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _one = ONE_AT_A_TIME.lock();
    output("make", &[&["-C", ROOT], arguments].concat());
}

/// What a command prints; it has to succeed.
fn output(command: impl AsRef<OsStr>, arguments: &[&str]) -> String {
    let command = command.as_ref();
    let output = Command::new(command).args(arguments).env_remove("MAKEFLAGS").output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} {arguments:?}: {}\n{said}", output.status);
    String::from_utf8(output.stdout).unwrap()
}
