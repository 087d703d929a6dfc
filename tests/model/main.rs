//! Model-based tests: random sequences of changes, I/O, closes, dups, forks and waits over several descriptors,
//! kqueues and filters, against a plain model of kqueue. A sequence where the two differ shrinks to a short one.
//!
//!     cargo test --release --test model
//!     MODEL_SEQUENCES=1000000 MODEL_SEED=7 cargo test --release --test model
//!
//! - `operation`: the grammar, and how a sequence shrinks;
//! - `model`, `collection`, `effects`, `files`, `things`, `constants`: the model, which has nothing of the library
//!   but `struct kevent`;
//! - `world`: the real descriptors, and the library as a C program sees it;
//! - `pair`, `numbers`, `calls`: both, side by side; `coverage`: what was met.
//!
//! The process has one thread, as signals and forks want it: there is no test harness. With the feature
//! `seeded-bugs` it is the other way round: each of the errors seeded in the library has to be found, soon.

mod calls;
mod collection;
mod constants;
mod coverage;
mod effects;
mod files;
mod model;
mod numbers;
mod operation;
mod pair;
mod things;
mod world;

use coverage::Coverage;
use operation::Operation;
use pair::Pair;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use std::cell::{Cell, RefCell};
use std::env;
use std::path::{Path, PathBuf};
use std::process::{exit, Command};
use std::time::Instant;

const SEQUENCES: u32 = 12_000;
#[cfg(not(feature = "seeded-bugs"))]
const SEQUENCES_VERIFIED: u32 = 3_000;
const SEED: u64 = 1;

fn number<T: std::str::FromStr>(name: &str, otherwise: T) -> T {
    env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(otherwise)
}

/// A folder of our own for files and FIFOs.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("model-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn play(sequence: &[Operation], folder: &Path, told: bool, coverage: &RefCell<Coverage>) -> Result<(), String> {
    let verify = env::var_os("KQUEUE_VERIFY").is_some();
    let mut pair = Pair::new(folder, verify);
    pair.told = told;
    let result = sequence.iter().try_for_each(|operation| pair.run(operation));
    coverage.borrow_mut().add(&pair.model.fates);
    result
}

/// Plays random sequences. `false`: one went wrong; it has been shrunk and printed.
fn run(sequences: u32, seed: u64) -> bool {
    let folder = Folder::new();
    let (coverage, played, begin) = (RefCell::new(Coverage::default()), Cell::new(0u32), Instant::now());
    // One sequence for all that is opened once.
    let _ = play(&[], &folder.0, false, &coverage);
    let descriptors = world::open_descriptors();

    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config { cases: sequences, failure_persistence: None, max_shrink_iters: 20_000, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let found = Cell::new(0);
    let outcome = runner.run(&operation::sequence(), |sequence| {
        played.set(played.get() + 1);
        let result = play(&sequence, &folder.0, false, &coverage);
        if result.is_err() && found.get() == 0 {
            found.set(played.get());
        }
        result.map_err(TestCaseError::fail)
    });

    let seconds = begin.elapsed().as_secs_f64();
    match outcome {
        Ok(()) => {
            // 10.2: nothing is left open. (Looked at once: a leak adds up.)
            let left = world::open_descriptors();
            println!("{sequences} sequences (seed {seed}) in {seconds:.1} s");
            coverage.borrow().print();
            let missing = coverage.borrow().missing();
            if sequences >= SEQUENCES && !missing.is_empty() {
                println!("never met: {}", missing.join(", "));
            }
            if left > descriptors {
                println!("{} descriptors were left open", left - descriptors);
            }
            (missing.is_empty() || sequences < SEQUENCES) && left <= descriptors
        }
        Err(TestError::Fail(why, sequence)) => {
            println!("sequence {} (seed {seed}) went wrong; shrunk to {} operations:", found.get(), sequence.len());
            let again = play(&sequence, &folder.0, true, &coverage);
            println!("  {}", again.err().unwrap_or_else(|| format!("{why} (not when it is played again)")));
            false
        }
        Err(TestError::Abort(why)) => {
            println!("{why}");
            false
        }
    }
}

/// This program again, in an environment of its own.
fn again(variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.envs(variables.iter().copied()).env("MODEL_INNER", "1");
    command
}

#[cfg(not(feature = "seeded-bugs"))]
fn all() -> Vec<(String, bool)> {
    let in_front = world::is_in_front();
    let sequences = number("MODEL_SEQUENCES", SEQUENCES);
    let verified = (sequences / (SEQUENCES / SEQUENCES_VERIFIED)).max(1).to_string();
    let verify = [("KQUEUE_VERIFY", "1"), ("MODEL_SEQUENCES", verified.as_str())];
    vec![
        ("close_is_the_library_s".into(), in_front),
        ("random_sequences".into(), run(sequences, number("MODEL_SEED", SEED))),
        ("random_sequences_where_closes_are_not_seen".into(), again(&verify).status().is_ok_and(|s| s.success())),
    ]
}

/// Each seeded error must be found, and shrink to a few operations.
#[cfg(feature = "seeded-bugs")]
fn all() -> Vec<(String, bool)> {
    const BUGS: [&str; 6] =
        ["edge-made-level", "end-forgotten", "kept-after-close", "wrong-errno", "one-byte-more", "udata-lost"];
    let find = |bug: &str| {
        let output = again(&[("KQUEUE_SEEDED_BUG", bug), ("MODEL_SEQUENCES", "2000")]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        println!("---- {bug}\n{said}");
        let length = said.split("shrunk to ").nth(1).and_then(|rest| rest.split(' ').next()?.parse::<usize>().ok());
        length.is_some_and(|length| length <= 8)
    };
    BUGS.iter().map(|bug| (format!("finds_{}", bug.replace('-', "_")), find(bug))).collect()
}

fn main() {
    if env::args().any(|argument| argument == "--list") {
        return println!("random_sequences: test");
    }
    if env::var_os("MODEL_INNER").is_some() {
        exit(i32::from(!run(number("MODEL_SEQUENCES", SEQUENCES), number("MODEL_SEED", SEED))));
    }
    let begin = Instant::now();
    let results = all();
    for (name, passed) in &results {
        println!("test {name} ... {}", if *passed { "ok" } else { "FAILED" });
    }
    let passed = results.iter().filter(|(_, passed)| *passed).count();
    let failed = results.len() - passed;
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    let seconds = begin.elapsed().as_secs_f64();
    // As cargo's own harness says it: tests/check.sh adds them up.
    print!("\ntest result: {verdict}. {passed} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out; ");
    println!("finished in {seconds:.2}s\n");
    exit(i32::from(failed > 0));
}
