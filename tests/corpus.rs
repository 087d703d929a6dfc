//! Bad input: the corpus of the fuzzer (tests/fuzz), and inputs made from numbers, each time the same.
//!
//! What the fuzzer finds goes to tests/fuzz/corpus.hex as a line, and above it what it was.
#![cfg(target_os = "linux")]

#[path = "fuzz/world/mod.rs"]
mod world;

use std::fs;
use std::io::{Read, Write};
use std::os::fd::{FromRawFd, OwnedFd};

const CORPUS: &str = include_str!("fuzz/corpus.hex");
/// Inputs of one process: what one leaves behind the others find.
const BATCH: usize = 500;
/// A batch takes less than a second.
const PATIENCE: libc::c_uint = 60;

/// Runs the inputs in a process of their own, which says when it begins one, and what went wrong.
fn run(inputs: &[(String, Vec<u8>)]) {
    let mut fds = [0; 2];
    // SAFETY: an array of two; both are new and ours.
    let (reader, writer) = unsafe {
        assert_eq!(libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC), 0);
        (OwnedFd::from_raw_fd(fds[0]), OwnedFd::from_raw_fd(fds[1]))
    };
    // SAFETY: the child runs on in this function, and ends in it.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let mut begun = fs::File::from(writer);
        // SAFETY: `alarm` ends a child that hangs.
        unsafe { libc::alarm(PATIENCE) };
        for (index, (_, input)) in inputs.iter().enumerate() {
            begun.write_all(&(index as u32).to_ne_bytes()).expect("the pipe");
            if let Err(why) = std::panic::catch_unwind(|| world::run(input)) {
                let why = match why.downcast_ref::<&str>() {
                    Some(why) => why,
                    None => why.downcast_ref().map_or("", String::as_str),
                };
                // Not by a macro, whose words would stay in this process.
                let _ = writeln!(std::io::stderr(), "{why}");
                unsafe { libc::_exit(101) };
            }
        }
        unsafe { libc::_exit(0) };
    }
    drop(writer);
    let (mut begun, mut status) = (Vec::new(), 0);
    fs::File::from(reader).read_to_end(&mut begun).expect("the pipe");
    // SAFETY: `status` is an integer of ours.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    if status != 0 {
        let last = begun.len() / 4 - 1;
        let (name, input) = &inputs[last];
        let hex: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
        panic!("{name}, {last} inputs into its process: wait status {status:#x}\n{hex}");
    }
}

/// xorshift64*, by Marsaglia and Vigna.
fn next(state: &mut u64) -> u64 {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    state.wrapping_mul(0x2545_f491_4f6c_dd1d)
}

fn bytes_of(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2).map(|two| std::str::from_utf8(two).expect("ASCII"));
    digits.map(|two| u8::from_str_radix(two, 16).expect(hex)).collect()
}

#[test]
fn no_input_does_harm() {
    let lines = CORPUS.lines().enumerate().filter(|(_, line)| !line.starts_with('#'));
    let corpus: Vec<_> = lines.map(|(at, line)| (format!("corpus.hex, line {}", at + 1), bytes_of(line))).collect();
    corpus.chunks(BATCH).for_each(run);

    let count = std::env::var("FUZZ_INPUTS").map_or(10_000, |count| count.parse().expect("FUZZ_INPUTS"));
    let numbers: Vec<usize> = (1..=count).collect();
    for batch in numbers.chunks(BATCH) {
        let make = |&number: &usize| {
            let mut state = number as u64;
            let length = 20 + next(&mut state) as usize % 800;
            (format!("input {number}"), (0..length).map(|_| (next(&mut state) >> 32) as u8).collect())
        };
        run(&batch.iter().map(make).collect::<Vec<_>>());
    }
    println!("{} inputs of the corpus, {count} made from numbers", corpus.len());
}
