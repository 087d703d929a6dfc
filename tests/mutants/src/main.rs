//! `make mutants`: breaks the library in some thousand small ways, one at a time, and sees whether the tests notice.
//!
//! - `points` finds where the source can be broken, and how;
//! - `weave` writes all mutants into one text, asleep; `library` builds that once;
//! - `cases` knows what the cases of the conformance suite and the model come by;
//! - `trials` runs them with one mutant alive; `reasons` says which mutants may survive, and why.
//!
//! Passed are the mutants that died, failed those that survive without a reason, skipped those that have one.

mod cases;
mod library;
mod points;
mod reasons;
mod trials;
mod weave;

use library::Places;
use points::Mutant;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use trials::{Trials, Verdict};

/// What has to be killed, of a hundred.
const GOAL: f64 = 85.0;

const USAGE: &str = "usage: mutants [--list] [-j N] [-n N] [-t MINUTES] [FILE...]
  FILE         mutants whose name begins so: src/filter, src/filter/timer.rs, 'src/filter/timer.rs start'
  -j N         try N at once (the number of processors)
  -n N         try no more than N, of all sorts
  -t MINUTES   try no longer than that; the next run goes on
  --list       print the mutants and what became of them, and try none";

struct Options {
    list: bool,
    jobs: usize,
    most: usize,
    end: Option<Instant>,
    files: Vec<String>,
}

fn options() -> Option<Options> {
    let jobs = std::thread::available_parallelism().map_or(2, |count| count.get());
    let mut options = Options { list: false, jobs, most: usize::MAX, end: None, files: Vec::new() };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--list" => options.list = true,
            "-j" => options.jobs = arguments.next()?.parse().ok()?,
            "-n" => options.most = arguments.next()?.parse().ok()?,
            "-t" => {
                let minutes: u64 = arguments.next()?.parse().ok()?;
                options.end = Some(Instant::now() + Duration::from_secs(60 * minutes));
            }
            file if !file.starts_with('-') => options.files.push(file.to_string()),
            _ => return None,
        }
    }
    Some(options)
}

fn main() -> ExitCode {
    let Some(options) = options() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match run(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("mutants: {error}");
            ExitCode::from(2)
        }
    }
}

/// A mutant may ask for memory without end, and nobody looks at its core (but a case that asks for one).
fn limit() {
    for (resource, most) in [(libc::RLIMIT_AS, 8 << 30), (libc::RLIMIT_CORE, 0)] {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: the local is written and read.
        unsafe {
            if libc::getrlimit(resource, &mut limit) == 0 {
                limit.rlim_cur = limit.rlim_max.min(most);
                libc::setrlimit(resource, &limit);
            }
        }
    }
}

fn run(options: &Options) -> Result<bool, String> {
    let places = Places::new();
    std::fs::create_dir_all(&places.build).map_err(|error| error.to_string())?;
    let _lock = library::lock(&places)?;
    let reasons = reasons::all(&places)?;
    let mutants = library::build(&places)?;
    println!("{} mutants in one library", mutants.len());
    limit();
    // A runner that a mutant kills leaves its scratch folder behind.
    let scratch = std::env::temp_dir().join(format!("mutants.{}", std::process::id()));
    std::fs::create_dir_all(&scratch).map_err(|error| error.to_string())?;
    std::env::set_var("TMPDIR", &scratch);
    let result = try_all(options, &places, &mutants, &reasons);
    let _ = std::fs::remove_dir_all(&scratch);
    result
}

fn try_all(
    options: &Options,
    places: &Places,
    mutants: &[Mutant],
    reasons: &[reasons::Reason],
) -> Result<bool, String> {
    let cases = cases::all(places, mutants, options.jobs)?;
    let trials = Trials::new(places, mutants, &cases)?;
    let chosen = chosen(options, mutants);
    if options.list {
        list(&trials, mutants, &chosen);
        return Ok(true);
    }
    trials.run(&chosen, options.jobs, options.end)?;
    Ok(report(&trials, mutants, &chosen, reasons))
}

/// The mutants of the files asked for, mixed, so that the first are of all sorts; `-n` takes the first.
fn chosen(options: &Options, mutants: &[Mutant]) -> Vec<usize> {
    let is_chosen = |mutant: &Mutant| {
        options.files.is_empty() || options.files.iter().any(|file| mutant.key.starts_with(file.as_str()))
    };
    let mut chosen: Vec<usize> = (0..mutants.len()).filter(|&number| is_chosen(&mutants[number])).collect();
    chosen.sort_by_key(|&number| cases::hash(&mutants[number].key));
    chosen.truncate(options.most);
    chosen
}

fn list(trials: &Trials, mutants: &[Mutant], chosen: &[usize]) {
    let mut chosen = chosen.to_vec();
    chosen.sort_unstable();
    let verdicts = trials.verdicts();
    for number in chosen {
        let fate = match &verdicts[number] {
            Verdict::NotTried => "not tried",
            Verdict::Open => "not tried by all",
            Verdict::Killed(case) => case,
            Verdict::Survived(_) if trials.is_reached(number) => "SURVIVED",
            Verdict::Survived(_) => "SURVIVED, no case comes by",
        };
        println!("{:5} {}  [{fate}]", mutants[number].line, mutants[number].key);
    }
}

/// Says what came out; true where that is enough.
fn report(trials: &Trials, mutants: &[Mutant], chosen: &[usize], reasons: &[reasons::Reason]) -> bool {
    let verdicts = trials.verdicts();
    let (mut killed, mut bare, mut explained, mut open) = (0, 0, 0, 0);
    let mut order = chosen.to_vec();
    order.sort_unstable();
    for number in order {
        let Mutant { key, line, .. } = &mutants[number];
        match &verdicts[number] {
            Verdict::Killed(_) => killed += 1,
            Verdict::NotTried | Verdict::Open => open += 1,
            Verdict::Survived(_) if reasons.iter().any(|reason| reason.is_for(key)) => explained += 1,
            Verdict::Survived(_) => {
                bare += 1;
                let why = if trials.is_reached(number) { "" } else { ": no case comes by" };
                println!("SURVIVES (line {line}) {key}{why}");
            }
        }
    }
    // A reason is wrong where all that it speaks of are dead, or there are none.
    let lives = |number: usize| !matches!(verdicts[number], Verdict::Killed(_));
    let needed = |reason: &&reasons::Reason| !(0..mutants.len()).any(|n| lives(n) && reason.is_for(&mutants[n].key));
    let wrong: Vec<_> = reasons.iter().filter(needed).collect();
    for reason in &wrong {
        println!("NO SURVIVOR (line {} of tests/mutants/survivors) {}", reason.line, reason.key);
    }
    let tried = killed + bare + explained;
    let share = 100.0 * f64::from(killed) / f64::from(tried.max(1));
    println!("{share:.1} % of {tried} mutants were noticed; {GOAL} % must be");
    if open > 0 {
        println!("{open} were not tried to the end: run it again to go on");
    }
    println!("{killed} passed, {bare} failed, {explained} skipped");
    share >= GOAL && bare == 0 && wrong.is_empty() && open == 0
}
