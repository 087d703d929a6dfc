//! What tries a mutant: the cases of the conformance suite, each in a process of its own, and the model.
//!
//! Which mutants a case comes by is recorded once, by a run of the case in which all sleep; a mutant is tried by those
//! cases alone. A case whose source has changed is recorded again, and is news to mutants that survived the others.

use crate::library::{read, sources_of_cases, Places};
use crate::points::Mutant;
use std::collections::HashMap;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How a case is run.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum Way {
    /// As a program has the library that is linked with it.
    Front,
    /// The same, but nobody tells of closes (KQUEUE_VERIFY).
    Behind,
    /// As on a system without process descriptors.
    ByNumber,
    /// Random sequences against the model.
    Model,
    /// The tests that stand in the library's source.
    Unit,
}

pub struct Case {
    pub name: String,
    pub way: Way,
    /// Its source, in short.
    pub source: u64,
    /// What it took when all slept.
    pub usual: Duration,
    /// The mutants that it comes by.
    pub reached: Vec<usize>,
    /// It is the how manieth that was ever seen. A mutant that survived N is tried by those from N on.
    pub age: usize,
}

#[derive(PartialEq, Debug)]
pub enum Outcome {
    Passed,
    Failed,
    /// Neither, in the time that it had.
    Hung,
}

impl Case {
    /// How it is called in the files of results.
    pub fn title(&self) -> String {
        match self.way {
            Way::Front => self.name.clone(),
            Way::Behind => format!("{}@behind", self.name),
            Way::ByNumber => format!("{}@nopidfd", self.name),
            Way::Model | Way::Unit => self.name.clone(),
        }
    }

    fn command(&self, places: &Places) -> Command {
        let mut command;
        match self.way {
            Way::Model => {
                command = Command::new(places.model());
                command.env("MODEL_INNER", "1").env("MODEL_SEQUENCES", "400");
            }
            Way::Unit => command = Command::new(places.unit()),
            Way::Front => {
                command = Command::new(places.conformance());
                command.args(["-j1", &self.name]);
            }
            Way::Behind => {
                command = Command::new(places.conformance());
                command.args(["-j1", "-b", "linux-behind", &self.name]).env("KQUEUE_VERIFY", "1");
            }
            Way::ByNumber => {
                command = Command::new(places.conformance());
                command.args(["-j1", "-b", "linux-nopidfd", "-w", "pidfd", &self.name]);
            }
        }
        command.stdin(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Runs it with a mutant alive, for so long at most.
    pub fn run(&self, places: &Places, mutant: usize, limit: Duration) -> Result<Outcome, String> {
        let mut command = self.command(places);
        command.env("KQUEUE_MUTANT", (mutant + 1).to_string()).stdout(Stdio::null());
        run(&mut command, limit)
    }

    /// Runs it while all sleep. `None`: it does not pass, and so shows nothing.
    fn record(&mut self, places: &Places, seen: &Path, count: usize) -> Result<Option<()>, String> {
        fs::write(seen, vec![0; count + 1]).map_err(|error| error.to_string())?;
        let mut command = self.command(places);
        command.env("KQUEUE_MUTANTS_SEEN", seen).stdout(Stdio::null());
        let begin = Instant::now();
        let outcome = run(&mut command, Duration::from_secs(60))?;
        self.usual = begin.elapsed();
        let bytes = fs::read(seen).map_err(|error| error.to_string())?;
        self.reached = (0..count).filter(|number| bytes[number + 1] != 0).collect();
        // (One that ends as skipped, for want of something, has looked at what came before.)
        Ok((outcome == Outcome::Passed).then_some(()))
    }
}

/// Runs a command to its end, or to that of its time. The suite's runner takes its cases along when it is asked to end.
fn run(command: &mut Command, limit: Duration) -> Result<Outcome, String> {
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    let pid = child.id() as i32;
    // SAFETY: a system call about a child that nobody has waited for; poll() has one entry, a local.
    let in_time = unsafe {
        let pidfd = libc::syscall(libc::SYS_pidfd_open, pid, 0) as i32;
        let mut entry = libc::pollfd { fd: pidfd, events: libc::POLLIN, revents: 0 };
        let in_time = libc::poll(&mut entry, 1, limit.as_millis() as i32) == 1;
        if !in_time {
            libc::kill(pid, libc::SIGTERM);
            if libc::poll(&mut entry, 1, 10_000) != 1 {
                libc::kill(pid, libc::SIGKILL);
            }
        }
        libc::close(pidfd);
        in_time
    };
    let status = child.wait().map_err(|error| error.to_string())?;
    Ok(match (in_time, status.success()) {
        (false, _) => Outcome::Hung,
        (true, true) => Outcome::Passed,
        (true, false) => Outcome::Failed,
    })
}

pub fn hash<T: Hash + ?Sized>(what: &T) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

/// All cases, with what they come by; recorded where that is not known yet.
pub fn all(places: &Places, mutants: &[Mutant], jobs: usize) -> Result<Vec<Case>, String> {
    let listed = Command::new(places.conformance()).arg("--list").output().map_err(|error| error.to_string())?;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let texts = sources_of_cases(places)?;
    let tables = ["declared.h", "behind.h", "old.h"].map(|name| read(&places.root.join("ctests").join(name)));
    let declared = tables.into_iter().collect::<Result<String, String>>()?;
    let mut cases = Vec::new();
    for name in listed.lines().filter_map(|line| line.split(' ').next()) {
        let (suite, short) = name.split_once('.').unwrap_or((name, name));
        let holds = |text: &&String| {
            text.contains(&format!("#define SUITE \"{suite}\"")) && text.contains(&format!("({short},"))
        };
        // (0: the case is made by a table.)
        let source = texts.iter().find(holds).map_or(0, hash);
        for (way, backend) in [(Way::Front, "linux"), (Way::Behind, "linux-behind"), (Way::ByNumber, "linux-nopidfd")] {
            let name = name.to_string();
            // What is declared fails anyway.
            let is_declared = declared.contains(&format!("(\"{backend}\", \"{name}\","));
            if is_declared || (way == Way::ByNumber && suite != "proc") {
                continue;
            }
            cases.push(Case { name, way, source, usual: Duration::ZERO, reached: Vec::new(), age: 0 });
        }
    }
    for (name, way) in [("model", Way::Model), ("unit", Way::Unit)] {
        let name = name.to_string();
        cases.push(Case { name, way, source: 0, usual: Duration::ZERO, reached: Vec::new(), age: 0 });
    }
    let sources = hash(&mutants.iter().map(|mutant| (&mutant.key, mutant.source)).collect::<Vec<_>>());
    remember(places, sources, &mut cases);
    number(places, &mut cases)?;
    record_missing(places, sources, mutants.len(), cases, jobs)
}

/// Numbers the cases in the order in which they were first seen, whatever the library was then.
fn number(places: &Places, cases: &mut [Case]) -> Result<(), String> {
    let path = places.build.join("seen-cases");
    let text = fs::read_to_string(&path).unwrap_or_default();
    let known: HashMap<&str, usize> = text.lines().enumerate().map(|(number, line)| (line, number)).collect();
    let mut next = text.lines().count();
    let mut file = fs::File::options().create(true).append(true).open(&path).map_err(|error| error.to_string())?;
    for case in cases {
        let line = format!("{} {}", case.title(), case.source);
        case.age = match known.get(&*line) {
            Some(&age) => age,
            None => {
                writeln!(file, "{line}").map_err(|error| error.to_string())?;
                next += 1;
                next - 1
            }
        };
    }
    Ok(())
}

fn file_of(places: &Places) -> PathBuf {
    places.build.join("reached")
}

/// Takes in what a run before has recorded of the same mutants: one line a case, title, source, milliseconds, numbers.
fn remember(places: &Places, sources: u64, cases: &mut [Case]) {
    let text = fs::read_to_string(file_of(places)).unwrap_or_default();
    let mut lines = text.lines();
    if lines.next() != Some(&*sources.to_string()) {
        let _ = fs::remove_file(file_of(places));
        return;
    }
    let mut known: HashMap<String, &str> = HashMap::new();
    for line in lines {
        if let [title, source, rest] = line.splitn(3, ' ').collect::<Vec<_>>()[..] {
            known.insert(format!("{title} {source}"), rest);
        }
    }
    for case in cases {
        let Some(rest) = known.get(&format!("{} {}", case.title(), case.source)) else { continue };
        let mut numbers = rest.split(' ').filter_map(|word| word.parse::<u64>().ok());
        case.usual = Duration::from_millis(numbers.next().unwrap_or(0));
        case.reached = numbers.map(|number| number as usize).collect();
    }
}

fn record_missing(
    places: &Places,
    sources: u64,
    mutants: usize,
    cases: Vec<Case>,
    jobs: usize,
) -> Result<Vec<Case>, String> {
    let is_new = !file_of(places).exists();
    let mut file =
        fs::File::options().create(true).append(true).open(file_of(places)).map_err(|error| error.to_string())?;
    if is_new {
        writeln!(file, "{sources}").map_err(|error| error.to_string())?;
    }
    let missing = cases.iter().filter(|case| case.usual.is_zero()).count();
    if missing > 0 {
        println!("{missing} cases are run once, to see which mutants they come by");
    }
    let cases: Vec<Mutex<Case>> = cases.into_iter().map(Mutex::new).collect();
    let (next, file) = (AtomicUsize::new(0), Mutex::new(file));
    let work = |worker: usize| -> Result<(), String> {
        let seen = places.build.join(format!("seen-{worker}"));
        loop {
            let Some(case) = cases.get(next.fetch_add(1, SeqCst)) else { return Ok(()) };
            let mut case = case.lock().unwrap();
            if !case.usual.is_zero() {
                continue;
            }
            // Once more where it failed: the machine may be busy.
            let passed = (0..2).find_map(|_| case.record(places, &seen, mutants).transpose()).transpose()?;
            if passed.is_none() {
                case.reached.clear();
            }
            case.usual = case.usual.max(Duration::from_millis(1));
            let numbers: String = case.reached.iter().map(|number| format!(" {number}")).collect();
            let line = format!("{} {} {}{numbers}\n", case.title(), case.source, case.usual.as_millis());
            file.lock().unwrap().write_all(line.as_bytes()).map_err(|error| error.to_string())?;
        }
    };
    std::thread::scope(|scope| {
        let work = &work;
        let workers: Vec<_> = (0..jobs).map(|worker| scope.spawn(move || work(worker))).collect();
        workers.into_iter().try_for_each(|worker| worker.join().unwrap())
    })?;
    Ok(cases.into_iter().map(|case| case.into_inner().unwrap()).collect())
}
