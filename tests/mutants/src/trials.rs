//! Trying the mutants: the cases that come by one are run with it alive until one fails.
//!
//! What came out is added to a file, so a run that is stopped goes on where it was. A mutant's result holds as long as the
//! text of its file does; after that it says where to begin. A survivor is tried again by cases that it has not met.

use crate::cases::{hash, Case, Outcome, Way};
use crate::library::Places;
use crate::points::Mutant;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// The first look takes so many cases, quick ones: most mutants do not live longer.
const FIRST_CASES: usize = 50;
const FIRST_TIME: Duration = Duration::from_millis(4000);
/// A place that more cases come by than this is common to all, and the slow ones of them are no better for it.
const COMMON: usize = 300;
const SLOW: Duration = Duration::from_millis(1000);
const QUICK: Duration = Duration::from_millis(150);
/// What a case may take, beside some times what is usual.
const PATIENCE: Duration = Duration::from_secs(3);
const LONG_PATIENCE: Duration = Duration::from_secs(12);

#[derive(Clone, PartialEq)]
pub enum Verdict {
    NotTried,
    /// Survived the first look.
    Open,
    Killed(String),
    /// Survived the cases that were seen before that number.
    Survived(usize),
}

pub struct Trials<'a> {
    places: &'a Places,
    mutants: &'a [Mutant],
    cases: &'a [Case],
    /// By mutant, the cases that come by it.
    reaching: Vec<Vec<usize>>,
    verdicts: Mutex<Vec<Verdict>>,
    /// By mutant, the case that killed it when its file had another text.
    once_killed: HashMap<usize, usize>,
    /// How many mutants of a file a case has killed.
    kills: Mutex<HashMap<(&'a str, usize), u32>>,
    file: Mutex<fs::File>,
}

impl<'a> Trials<'a> {
    pub fn new(places: &'a Places, mutants: &'a [Mutant], cases: &'a [Case]) -> Result<Trials<'a>, String> {
        let mut reaching = vec![Vec::new(); mutants.len()];
        for (number, case) in cases.iter().enumerate() {
            case.reached.iter().for_each(|&mutant| reaching[mutant].push(number));
        }
        for (mutant, reaching) in mutants.iter().zip(&mut reaching) {
            let is_front = |&case: &usize| cases[case].way == Way::Front;
            // What so many cases come by is no part of what differs where closes are not seen.
            if reaching.iter().filter(|case| is_front(case)).count() >= COMMON && !mutant.key.contains("front::") {
                reaching.retain(|&case| cases[case].way != Way::Behind && cases[case].usual < SLOW);
            }
        }
        let path = places.build.join("results");
        let text = fs::read_to_string(&path).unwrap_or_default();
        let mut verdicts = vec![Verdict::NotTried; mutants.len()];
        let mut kills: HashMap<(&str, usize), u32> = HashMap::new();
        let mut once_killed = HashMap::new();
        let by_key: HashMap<&str, usize> = mutants.iter().enumerate().map(|(n, m)| (m.key.as_str(), n)).collect();
        let titles: HashMap<String, usize> =
            cases.iter().enumerate().map(|(number, case)| (case.title(), number)).collect();
        for line in text.lines() {
            let [verdict, detail, source, key] = line.splitn(4, '\t').collect::<Vec<_>>()[..] else { continue };
            let Some(&number) = by_key.get(key) else { continue };
            let killer = titles.get(detail).filter(|_| verdict == "killed");
            if source != mutants[number].source.to_string() {
                if let Some(&case) = killer {
                    once_killed.insert(number, case);
                }
                verdicts[number] = Verdict::Open;
                continue;
            }
            verdicts[number] = match verdict {
                "killed" => Verdict::Killed(detail.to_string()),
                "survived" => Verdict::Survived(detail.parse().unwrap_or(0)),
                _ => Verdict::Open,
            };
            if let Some(&case) = killer {
                *kills.entry((&mutants[number].file, case)).or_default() += 1;
            }
        }
        let file = fs::File::options().create(true).append(true).open(path).map_err(|error| error.to_string())?;
        let (verdicts, kills, file) = (Mutex::new(verdicts), Mutex::new(kills), Mutex::new(file));
        Ok(Trials { places, mutants, cases, reaching, verdicts, once_killed, kills, file })
    }

    pub fn verdicts(&self) -> Vec<Verdict> {
        self.verdicts.lock().unwrap().clone()
    }

    /// Is the mutant come by at all?
    pub fn is_reached(&self, mutant: usize) -> bool {
        !self.reaching[mutant].is_empty()
    }

    /// Tries the chosen mutants until all are dead or have met every case, or the time is up.
    pub fn run(&self, chosen: &[usize], jobs: usize, end: Option<Instant>) -> Result<(), String> {
        for first in [true, false] {
            let mut open: Vec<usize> = chosen.iter().copied().filter(|&mutant| self.is_due(mutant, first)).collect();
            if !first {
                // Those that are soon through.
                open.sort_by_key(|&mutant| self.time_of_all(mutant));
            }
            println!("{} mutants {}", open.len(), if first { "to look at" } else { "that survived the first look" });
            let (next, open) = (AtomicUsize::new(0), &open);
            let work = || -> Result<(), String> {
                while end.is_none_or(|end| Instant::now() < end) {
                    let number = next.fetch_add(1, SeqCst);
                    let Some(&mutant) = open.get(number) else { break };
                    if let Some(verdict) = self.try_mutant(mutant, first, end)? {
                        self.write_down(mutant, verdict)?;
                    }
                    if number % 100 == 99 {
                        println!("{} of {}", number + 1, open.len());
                    }
                }
                Ok(())
            };
            std::thread::scope(|scope| {
                let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(work)).collect();
                workers.into_iter().try_for_each(|worker| worker.join().unwrap())
            })?;
        }
        Ok(())
    }

    fn is_due(&self, mutant: usize, first: bool) -> bool {
        match self.verdicts.lock().unwrap()[mutant] {
            Verdict::NotTried => true,
            Verdict::Open => !first,
            Verdict::Survived(met) => !first && self.reaching[mutant].iter().any(|&case| self.cases[case].age >= met),
            Verdict::Killed(_) => false,
        }
    }

    /// What the cases take that the mutant has not met.
    fn time_of_all(&self, mutant: usize) -> Duration {
        let met = self.met(mutant);
        let cases = self.reaching[mutant].iter().map(|&case| &self.cases[case]);
        cases.filter(|case| case.age >= met).map(|case| case.usual).sum()
    }

    fn met(&self, mutant: usize) -> usize {
        match self.verdicts.lock().unwrap()[mutant] {
            Verdict::Survived(met) => met,
            _ => 0,
        }
    }

    /// The cases to try a mutant with, the most promising first.
    fn order(&self, mutant: usize, first: bool) -> Vec<usize> {
        let met = self.met(mutant);
        let file = self.mutants[mutant].file.as_str();
        let kills = self.kills.lock().unwrap();
        let cost = |number: usize| {
            let case: &Case = &self.cases[number];
            let kills = f64::from(*kills.get(&(file, number)).unwrap_or(&0));
            // Quick ones are all alike: which of them come first is chance, so that they are of all sorts.
            let usual = case.usual.max(QUICK).as_secs_f64();
            let chance = hash(&(mutant, number)) as f64 / u64::MAX as f64 * 0.01;
            usual / (1.0 + 10.0 * kills) + chance + if case.way == Way::Front { 0.0 } else { 1.0 }
        };
        let mut order: Vec<(f64, usize)> = self.reaching[mutant]
            .iter()
            .filter(|&&number| self.cases[number].age >= met)
            .map(|&number| (cost(number), number))
            .collect();
        order.sort_by(|a, b| a.0.partial_cmp(&b.0).unwrap_or(Ordering::Equal));
        let (most, long) = if first { (FIRST_CASES, FIRST_TIME) } else { (usize::MAX, Duration::MAX) };
        let mut time = Duration::ZERO;
        let within = |number: &usize| {
            time += self.cases[*number].usual;
            time <= long
        };
        let once = self.once_killed.get(&mutant).copied();
        let order = order.into_iter().map(|(_, number)| number).filter(|&number| Some(number) != once);
        once.into_iter().chain(order.take(most).take_while(within)).collect()
    }

    /// `None`: the time was up before that was known.
    fn try_mutant(&self, mutant: usize, first: bool, end: Option<Instant>) -> Result<Option<Verdict>, String> {
        let mut hung = None;
        for number in self.order(mutant, first) {
            if end.is_some_and(|end| Instant::now() >= end) {
                return Ok(None);
            }
            let case = &self.cases[number];
            let limit = PATIENCE + case.usual * 4;
            let dead = match case.run(self.places, mutant, limit)? {
                Outcome::Passed => false,
                // The machine is busy, maybe. Two that hang are enough; one that fails has to fail again.
                Outcome::Hung => hung.replace(number).is_some(),
                Outcome::Failed => case.run(self.places, mutant, limit)? != Outcome::Passed,
            };
            if dead {
                return Ok(Some(self.killed(mutant, number)));
            }
        }
        if let Some(number) = hung {
            let case = &self.cases[number];
            if case.run(self.places, mutant, LONG_PATIENCE + case.usual * 4)? != Outcome::Passed {
                return Ok(Some(self.killed(mutant, number)));
            }
        }
        let seen = self.cases.iter().map(|case| case.age + 1).max().unwrap_or(0);
        let open = first && self.is_reached(mutant);
        Ok(Some(if open { Verdict::Open } else { Verdict::Survived(seen) }))
    }

    fn killed(&self, mutant: usize, case: usize) -> Verdict {
        *self.kills.lock().unwrap().entry((&self.mutants[mutant].file, case)).or_default() += 1;
        Verdict::Killed(self.cases[case].title())
    }

    fn write_down(&self, mutant: usize, verdict: Verdict) -> Result<(), String> {
        let (word, detail) = match &verdict {
            Verdict::NotTried => return Ok(()),
            Verdict::Open => ("open", String::new()),
            Verdict::Killed(case) => ("killed", case.clone()),
            Verdict::Survived(met) => ("survived", met.to_string()),
        };
        let Mutant { source, key, .. } = &self.mutants[mutant];
        let line = format!("{word}\t{detail}\t{source}\t{key}\n");
        self.verdicts.lock().unwrap()[mutant] = verdict;
        self.file.lock().unwrap().write_all(line.as_bytes()).map_err(|error| error.to_string())
    }
}
