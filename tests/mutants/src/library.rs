//! The library with all mutants in it, the programs that try it, and where they lie.

use crate::points::{self, Mutant};
use crate::weave;
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What is mutated unless FILES says otherwise: folders, and files.
const SCOPE: [&str; 8] = [
    "src/filter",
    "src/kqueue",
    "src/registry",
    "src/platform/linux",
    "src/platform/unix",
    "src/platform/events.rs",
    "src/platform/file_state.rs",
    "src/platform/program.rs",
];
/// Not compiled on the machines that this runs on.
const ELSEWHERE: [&str; 3] = ["_portable.rs", "/kernel/other.rs", "/kernel/solaris.rs"];
const MOST_ERRORS: usize = 12;

/// The folders, all below that of the repository.
pub struct Places {
    pub root: PathBuf,
    pub build: PathBuf,
}

impl Places {
    pub fn new() -> Places {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository");
        Places { build: root.join("build/mutants"), root }
    }

    fn copy(&self) -> PathBuf {
        self.build.join("crate")
    }

    pub fn conformance(&self) -> PathBuf {
        self.build.join("ctests/conformance")
    }

    pub fn unit(&self) -> PathBuf {
        self.build.join("unit")
    }

    pub fn model(&self) -> PathBuf {
        self.build.join("model")
    }
}

/// The files of Rust under a folder of the repository, by their names from its root.
pub fn sources(root: &Path, under: &str) -> Vec<String> {
    let mut found = Vec::new();
    let path = root.join(under);
    if path.is_file() {
        found.push(under.to_string());
    }
    for entry in fs::read_dir(&path).into_iter().flatten().flatten() {
        found.extend(sources(root, &format!("{under}/{}", entry.file_name().to_string_lossy())));
    }
    found.retain(|name| name.ends_with(".rs"));
    found.sort();
    found
}

/// One run at a time: another would build under its feet. The lock goes with the process.
pub fn lock(places: &Places) -> Result<fs::File, String> {
    let file = fs::File::create(places.build.join("lock")).map_err(io)?;
    file.try_lock().map_err(|_| "another run is under way".to_string())?;
    Ok(file)
}

fn is_elsewhere(file: &str) -> bool {
    ELSEWHERE.iter().any(|name| file.ends_with(name))
}

/// All mutants of the scope that can be built; the library with them, and what tries it.
pub fn build(places: &Places) -> Result<Vec<Mutant>, String> {
    let mut mutants = Vec::new();
    for file in SCOPE.iter().flat_map(|folder| sources(&places.root, folder)).filter(|file| !is_elsewhere(file)) {
        let text = read(&places.root.join(&file))?;
        mutants.extend(points::of_file(&file, &text)?);
    }
    copy_crate(places)?;
    // What the compiler refused before need not be offered again.
    let refused_file = places.build.join("refused");
    let mut refused: HashSet<String> =
        fs::read_to_string(&refused_file).unwrap_or_default().lines().map(str::to_string).collect();
    mutants.retain(|mutant| !refused.contains(&mutant.key));
    loop {
        let stretches = write_woven(places, &mutants)?;
        let errors = compile(places, &["check", "--lib"])?;
        if errors.is_empty() {
            break;
        }
        let mut bad = HashSet::new();
        for (file, line, column) in &errors {
            let found = stretches.get(file).and_then(|woven| woven.mutant_at(*line, *column));
            bad.extend(found.ok_or_else(|| format!("{file}:{line}:{column}: not a mutant's error; see cargo's"))?);
        }
        println!("{} mutants are no Rust", bad.len());
        refused.extend(bad.iter().map(|&number| mutants[number].key.clone()));
        let mut number = 0;
        mutants.retain(|_| {
            number += 1;
            !bad.contains(&(number - 1))
        });
        fs::write(&refused_file, refused.iter().map(|key| format!("{key}\n")).collect::<String>()).map_err(io)?;
    }
    for arguments in [&["build", "--lib"][..], &["test", "--no-run", "--lib", "--test", "model"]] {
        if let Some((file, line, _)) = compile(places, arguments)?.first() {
            return Err(format!("{file}:{line}: does not build"));
        }
    }
    install(places)?;
    Ok(mutants)
}

fn io(error: std::io::Error) -> String {
    error.to_string()
}

pub fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// Writes a file if that changes it, so that cargo builds no more than it must.
fn write(path: &Path, text: &str) -> Result<(), String> {
    if fs::read_to_string(path).is_ok_and(|before| before == text) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(io)?;
    }
    fs::write(path, text).map_err(io)
}

/// The parts of the repository that the library and the model are built from.
fn copy_crate(places: &Places) -> Result<(), String> {
    let mut names: Vec<String> = ["Cargo.toml", "Cargo.lock", "build.rs"].map(String::from).to_vec();
    names.extend(sources(&places.root, "src"));
    names.extend(sources(&places.root, "tests/model"));
    for folder in ["src/platform/linux", "src/platform/unix", "src/platform/posix"] {
        names.push(format!("{folder}/shim.c"));
    }
    names.push("src/platform/linux/streams.c".to_string());
    let mutated = |name: &String| SCOPE.iter().any(|folder| name.starts_with(folder) && name.ends_with(".rs"));
    for name in names.iter().filter(|name| !mutated(name) || is_elsewhere(name)) {
        let mut text = read(&places.root.join(name))?;
        match name.as_str() {
            "src/lib.rs" => text.push_str("mod mutation;\n"),
            // For a test that is not copied, and slow to build.
            "Cargo.toml" => {
                text = text.lines().filter(|l| !l.starts_with("cbindgen")).map(|l| format!("{l}\n")).collect()
            }
            _ => {}
        }
        write(&places.copy().join(name), &text)?;
    }
    Ok(())
}

struct Stretches {
    woven: weave::Woven,
}

impl Stretches {
    /// The mutants that brought this place: the innermost stretches that hold it.
    fn mutant_at(&self, line: usize, column: usize) -> Option<Vec<usize>> {
        let start: usize = self.woven.text.split_inclusive('\n').take(line - 1).map(str::len).sum();
        let offset = start + column - 1;
        let holding = self.woven.stretches.iter().filter(|(range, _)| range.contains(&offset));
        let shortest = holding.clone().map(|(range, _)| range.len()).min()?;
        Some(holding.filter(|(range, _)| range.len() == shortest).map(|(_, number)| *number).collect())
    }
}

fn write_woven(places: &Places, mutants: &[Mutant]) -> Result<BTreeMap<String, Stretches>, String> {
    let mut files: BTreeMap<String, Vec<(usize, &Mutant)>> = BTreeMap::new();
    for folder in SCOPE {
        for file in sources(&places.root, folder).into_iter().filter(|file| !is_elsewhere(file)) {
            files.insert(file, Vec::new());
        }
    }
    for (number, mutant) in mutants.iter().enumerate() {
        files.entry(mutant.file.clone()).or_default().push((number, mutant));
    }
    let mut all = BTreeMap::new();
    for (file, of_file) in files {
        let woven = weave::weave(&read(&places.root.join(&file))?, &of_file);
        write(&places.copy().join(&file), &woven.text)?;
        all.insert(file, Stretches { woven });
    }
    let chooser = include_str!("mutation.rs.in").replace("@COUNT@", &mutants.len().to_string());
    write(&places.copy().join("src/mutation.rs"), &chooser)?;
    Ok(all)
}

/// Runs cargo on the copy; where it fails, the places of its errors: file, line, column.
fn compile(places: &Places, arguments: &[&str]) -> Result<Vec<(String, usize, usize)>, String> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_string());
    let mut command = Command::new(cargo);
    command.args(arguments).arg("--message-format=short").current_dir(places.copy());
    // As the release is compiled, but fast to build.
    for option in ["opt-level=1", "debug=false", "debug-assertions=false", "overflow-checks=false"] {
        command.arg("--config").arg(format!("profile.dev.{option}"));
    }
    command.env("RUSTFLAGS", "-Awarnings").env("CARGO_TARGET_DIR", places.build.join("target"));
    let output = command.output().map_err(io)?;
    if output.status.success() {
        return Ok(Vec::new());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let errors: Vec<_> = said.lines().filter(|line| line.contains(": error")).filter_map(place_of).collect();
    if errors.is_empty() {
        let last: Vec<&str> = said.lines().rev().take(MOST_ERRORS).collect();
        return Err(last.into_iter().rev().collect::<Vec<_>>().join("\n"));
    }
    fs::write(places.build.join("errors"), said.as_bytes()).map_err(io)?;
    Ok(errors)
}

/// `src/lib.rs:1:2: error[E0308]: ...`
fn place_of(line: &str) -> Option<(String, usize, usize)> {
    let mut parts = line.splitn(4, ':');
    let (file, line, column) = (parts.next()?, parts.next()?, parts.next()?);
    Some((file.to_string(), line.parse().ok()?, column.parse().ok()?))
}

/// The library under its names, and the programs.
fn install(places: &Places) -> Result<(), String> {
    let lib = places.build.join("lib");
    fs::create_dir_all(&lib).map_err(io)?;
    let debug = places.build.join("target/debug");
    for name in ["libkqueue.so", "libkqueue.so.0"] {
        let _ = fs::remove_file(lib.join(name));
        fs::copy(debug.join("libkqueue.so"), lib.join(name)).map_err(io)?;
    }
    for (begin, program) in [("model-", places.model()), ("kqueue-", places.unit())] {
        let built = newest(&debug.join("deps"), begin).ok_or_else(|| format!("no {begin} was built"))?;
        let _ = fs::remove_file(&program);
        fs::copy(built, program).map_err(io)?;
    }
    let make = std::env::var("MAKE").unwrap_or_else(|_| "make".to_string());
    let output = Command::new(make)
        .args(["-s", "-j2", "-C", "ctests"])
        .arg(format!("BUILD={}", places.build.join("ctests").display()))
        .arg(format!("KQUEUE_CFLAGS=-I{}", places.root.join("include/kqueue").display()))
        .arg(format!("KQUEUE_LIBS=-L{0} -lkqueue -Wl,-rpath,{0}", lib.display()))
        .env_remove("MAKEFLAGS")
        .current_dir(&places.root)
        .output()
        .map_err(io)?;
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}

/// The program in a folder that was written last and whose name begins so.
fn newest(folder: &Path, begin: &str) -> Option<PathBuf> {
    let named = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(begin) && !name.contains('.')
    };
    let files = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path()).filter(named);
    files.max_by_key(|path| path.metadata().and_then(|data| data.modified()).ok())
}

/// The texts of the conformance suite's files.
pub fn sources_of_cases(places: &Places) -> Result<Vec<String>, String> {
    let mut texts = Vec::new();
    for entry in fs::read_dir(places.root.join("ctests")).map_err(io)?.flatten() {
        if entry.path().extension().is_some_and(|extension| extension == "c") {
            texts.push(read(&entry.path())?);
        }
    }
    Ok(texts)
}
