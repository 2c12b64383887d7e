//! Synchronises with a player of every profile, the project's own and those of a directory, and prints a line for each and
//! a table by class. With `--faults` it then has each fault strike at each transaction of a small synchronisation, and at some
//! of a large one's; with `--mutants` players that nobody has seen are synchronised too. `--strike` has one fault strike once,
//! as a failure was told, and does nothing else.
//!
//! It must not stop at a file that is no profile: that is told, and the others go on.

#![allow(clippy::unwrap_used, reason = "a suite: what can't be unwrapped has failed")]

use players::facts::{Facts, Playlists};
use players::mutant::{self, stranger};
use players::reference::{Outcome, reference};
use players::runtime;
use players::shelf::Pool;
use players::sweep::with_fault;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use tandem_mtp::responder::{Fault, Profile, profile};

const USAGE: &str = "usage: players [--tracks N] [--faults] [--fault-tracks N] [--fault-step N] [--only NAME] \
                     [--strike FAULT@TRANSACTION] [--mutants N] [--seed N] [--show] [DIRECTORY]";

/// Of different classes: classic with all operations, without lists, a phone, files for playlists, and one that can neither
/// rename nor list whole folders.
const FAULTY: [&str; 6] =
    ["classic", "classic-no-lists", "phone", "playlist-files", "art-and-albums", "minimal"];

/// Each fault strikes at each transaction of a small synchronisation; of the large one it strikes at one in so many, for
/// what a large one has besides is more of the same.
const LARGE_STEP: usize = 53;

const STRIKE: &str = "--strike takes a fault and a transaction, like Garbage@486";

/// Lines of one failure that are shown.
const MOST_LINES: usize = 4;

/// A profile to try.
struct Candidate {
    /// What it is called in the output.
    name: String,
    /// By which the simulation knows it: a name or a path.
    profile: String,
    text: String,
}

struct Arguments {
    tracks: usize,
    faults: bool,
    fault_tracks: usize,
    /// Transactions from one at which a fault strikes to the next.
    fault_step: usize,
    only: Option<String>,
    /// One fault, after so many transactions of a synchronisation of `tracks`.
    strike: Option<(Fault, u32)>,
    /// Players that nobody has seen.
    mutants: usize,
    /// The first one's seed; the others have the numbers that follow.
    seed: u64,
    /// Print the profiles of those that fail.
    show: bool,
    directory: Option<PathBuf>,
}

fn arguments() -> Result<Arguments, String> {
    let mut parsed = Arguments {
        tracks: 100,
        faults: false,
        fault_tracks: 8,
        fault_step: 1,
        only: None,
        strike: None,
        mutants: 0,
        seed: 0,
        show: false,
        directory: None,
    };
    let mut given = std::env::args().skip(1);
    let number = |text: Option<String>| text.and_then(|text| text.parse().ok()).filter(|n| *n >= 4);
    while let Some(argument) = given.next() {
        match argument.as_str() {
            "--show" => parsed.show = true,
            "--faults" => parsed.faults = true,
            "--tracks" => parsed.tracks = number(given.next()).ok_or("--tracks takes a number from 4")?,
            "--fault-tracks" => {
                parsed.fault_tracks = number(given.next()).ok_or("--fault-tracks takes a number from 4")?;
            }
            "--fault-step" => {
                let step = given.next().and_then(|text| text.parse().ok()).filter(|step| *step > 0);
                parsed.fault_step = step.ok_or("--fault-step takes a number from 1")?;
            }
            "--mutants" | "--seed" => {
                let number = given.next().and_then(|text| text.parse().ok());
                let number: u64 = number.ok_or_else(|| format!("{argument} takes a number"))?;
                match argument.as_str() {
                    "--seed" => parsed.seed = number,
                    _ => parsed.mutants = usize::try_from(number).unwrap_or(usize::MAX),
                }
            }
            "--strike" => parsed.strike = Some(given.next().as_deref().and_then(strike).ok_or(STRIKE)?),
            "--only" => parsed.only = Some(given.next().ok_or("--only takes a name")?),
            other if other.starts_with('-') => return Err(format!("`{other}` is not known")),
            directory => parsed.directory = Some(PathBuf::from(directory)),
        }
    }
    Ok(parsed)
}

/// `Garbage@486`.
fn strike(text: &str) -> Option<(Fault, u32)> {
    let (name, at) = text.split_once('@')?;
    let fault = Fault::ALL.into_iter().find(|fault| format!("{fault:?}") == name)?;
    Some((fault, at.parse().ok()?))
}

fn main() -> ExitCode {
    let arguments = match arguments() {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("{error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let mut candidates = own();
    if let Some(directory) = &arguments.directory {
        match in_directory(directory) {
            Ok(found) => candidates.extend(found),
            Err(error) => {
                eprintln!("{}: {error}", directory.display());
                return ExitCode::from(2);
            }
        }
    }
    let profiles: Vec<String> = candidates
        .iter()
        .filter(|candidate| Profile::from_json(&candidate.text).is_ok())
        .map(|candidate| candidate.text.clone())
        .collect();
    if let Some(only) = &arguments.only {
        candidates.retain(|candidate| candidate.name == *only);
    }
    if let Some(strike) = arguments.strike {
        let failed = sweep(&candidates, arguments.tracks, &Places::One(strike));
        return if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let mut failed = synchronise(&candidates, arguments.tracks);
    if arguments.mutants > 0 {
        failed += strangers(&profiles, &arguments);
    }
    if arguments.faults {
        let step = arguments.fault_step;
        failed += sweep(&candidates, arguments.fault_tracks, &Places::Every(step));
        failed += sweep(&candidates, arguments.tracks, &Places::Every(step.saturating_mul(LARGE_STEP)));
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn own() -> Vec<Candidate> {
    let own = |(name, text): &(&str, &str)| Candidate {
        name: (*name).to_owned(),
        profile: (*name).to_owned(),
        text: (*text).to_owned(),
    };
    profile::OWN.iter().map(own).collect()
}

/// Every file of a directory, in the order of their names. What can't be read is told and left out.
fn in_directory(directory: &Path) -> std::io::Result<Vec<Candidate>> {
    let mut paths =
        std::fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    paths.sort();
    let mut found = Vec::new();
    for path in paths.into_iter().filter(|path| path.is_file()) {
        let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        match (std::fs::read_to_string(&path), path.to_str()) {
            (Ok(text), Some(profile)) => found.push(Candidate { name, profile: profile.to_owned(), text }),
            (Err(error), _) => println!("not a profile  {}: {error}", path.display()),
            (_, None) => println!("not a profile  {}: its name isn't Unicode", path.display()),
        }
    }
    Ok(found)
}

/// What became of all of a class.
#[derive(Default)]
struct Row {
    passed: usize,
    refused: BTreeMap<&'static str, usize>,
    failed: usize,
}

fn synchronise(candidates: &[Candidate], tracks: usize) -> usize {
    let begun = Instant::now();
    let pool = Pool::new(tracks + (tracks / 20).max(1));
    let table: Mutex<BTreeMap<String, Row>> = Mutex::default();
    let strangers = AtomicUsize::new(0);
    in_parallel(candidates, |candidate| {
        if let Err(error) = Profile::from_json(&candidate.text) {
            println!("not a profile  {}: {error}", candidate.name);
            strangers.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let tried = || runtime().block_on(reference(&candidate.profile, &candidate.text, &pool, tracks));
        let outcome =
            catch_unwind(AssertUnwindSafe(tried)).unwrap_or(Outcome::Failed("it panicked".to_owned()));
        let class = Facts::read(&candidate.text).map_or_else(|_| "-".to_owned(), |facts| facts.class);
        let mut table = table.lock().unwrap();
        let row = table.entry(class.clone()).or_default();
        let name = &candidate.name;
        match outcome {
            Outcome::Passed { tally, playlists, transactions } => {
                row.passed += 1;
                let form = match playlists {
                    Playlists::References => "playlists as references",
                    Playlists::Files => "playlists as files",
                    Playlists::Spl => "playlists as files of Samsung's own",
                    Playlists::None => "no playlists",
                };
                println!(
                    "passed   {name} ({class}): {} tracks, {} in formats that it doesn't take, {} without space, {form}, \
                     {transactions} transactions",
                    tally.tracks, tally.unsupported, tally.no_fit
                );
            }
            Outcome::Refused(refusal) => {
                *row.refused.entry(refusal.reason()).or_default() += 1;
                println!("refused  {name} ({class}): {}", refusal.reason());
            }
            Outcome::Failed(error) => {
                row.failed += 1;
                println!("FAILED   {name} ({class}): {}", first_lines(&error));
            }
        }
    });
    let table = table.into_inner().unwrap();
    println!("\n{:16} {:>8} {:>8} {:>8}", "class", "passed", "refused", "failed");
    let (mut passed, mut failed) = (0, 0);
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for (class, row) in &table {
        let refused: usize = row.refused.values().sum();
        println!("{class:16} {:8} {refused:8} {:8}", row.passed, row.failed);
        passed += row.passed;
        failed += row.failed;
        for (reason, count) in &row.refused {
            *reasons.entry(reason).or_default() += count;
        }
    }
    println!("{:16} {passed:8} {:8} {failed:8}", "all", reasons.values().sum::<usize>());
    for (reason, count) in reasons {
        println!("refused, {count}: {reason}");
    }
    let strangers = strangers.into_inner();
    println!("{strangers} files are no profile; {:.0} s", begun.elapsed().as_secs_f64());
    failed
}

/// Synchronises with players that nobody has seen, each made from one of the profiles.
fn strangers(profiles: &[String], arguments: &Arguments) -> usize {
    let begun = Instant::now();
    let pool = Pool::new(mutant::TRACKS + 1);
    let (passed, refused, failed) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let profiles: Vec<&str> = profiles.iter().map(String::as_str).collect();
    let seeds: Vec<u64> = (arguments.seed..).take(arguments.mutants).collect();
    in_parallel(&seeds, |seed| {
        let tried = || runtime().block_on(stranger(&profiles, *seed, &pool));
        let outcome =
            catch_unwind(AssertUnwindSafe(tried)).unwrap_or(Outcome::Failed("it panicked".to_owned()));
        match outcome {
            Outcome::Passed { .. } => passed.fetch_add(1, Ordering::Relaxed),
            Outcome::Refused(_) => refused.fetch_add(1, Ordering::Relaxed),
            Outcome::Failed(error) => {
                println!("FAILED   --mutants 1 --seed {seed}: {}", first_lines(&error));
                if arguments.show {
                    let (like, text) = mutant::mutant(&profiles, *seed);
                    println!("like {}\nnow {text}", like.replace('\n', " "));
                }
                failed.fetch_add(1, Ordering::Relaxed)
            }
        };
    });
    let failed = failed.into_inner();
    println!(
        "{} players that nobody has seen: {} passed, {} refused, {failed} failed; {:.0} s",
        seeds.len(),
        passed.into_inner(),
        refused.into_inner(),
        begun.elapsed().as_secs_f64()
    );
    failed
}

/// Where faults strike.
enum Places {
    One((Fault, u32)),
    /// Each fault at one transaction in so many; the first place moves from fault to fault.
    Every(usize),
}

impl Places {
    /// Of a synchronisation of so many transactions.
    fn of(&self, transactions: u64) -> Vec<(Fault, u32)> {
        let step = match self {
            Self::One(strike) => return vec![*strike],
            Self::Every(step) => *step,
        };
        let last = u32::try_from(transactions).unwrap_or(u32::MAX);
        let places = |first: usize| (0..last).skip(first % step).step_by(step);
        let faults = Fault::ALL.into_iter().enumerate();
        faults.flat_map(|(first, fault)| places(first).map(move |at| (fault, at))).collect()
    }
}

fn sweep(candidates: &[Candidate], tracks: usize, places: &Places) -> usize {
    let begun = Instant::now();
    let pool = Pool::new(tracks + (tracks / 20).max(1));
    let (runs, struck, failed) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    for candidate in candidates.iter().filter(|candidate| FAULTY.contains(&candidate.profile.as_str())) {
        let (profile, text) = (&*candidate.profile, &*candidate.text);
        let clean = runtime().block_on(with_fault(profile, text, &pool, tracks, None));
        let transactions = match clean {
            Ok(clean) => clean.transactions,
            Err(error) => {
                println!("FAILED   {profile} without a fault: {error}");
                failed.fetch_add(1, Ordering::Relaxed);
                continue;
            }
        };
        let all = places.of(transactions);
        let before = failed.load(Ordering::Relaxed);
        in_parallel(&all, |(fault, at)| {
            let tried = || runtime().block_on(with_fault(profile, text, &pool, tracks, Some((*fault, *at))));
            let tried = catch_unwind(AssertUnwindSafe(tried)).unwrap_or(Err("it panicked".to_owned()));
            runs.fetch_add(1, Ordering::Relaxed);
            match tried {
                Ok(run) => struck.fetch_add(usize::from(run.struck), Ordering::Relaxed),
                Err(error) => {
                    println!("FAILED   {profile}, {fault:?} at transaction {at}: {}", first_lines(&error));
                    failed.fetch_add(1, Ordering::Relaxed)
                }
            };
        });
        let bad = failed.load(Ordering::Relaxed) - before;
        println!(
            "swept    {profile}: {tracks} tracks, {} faults in {transactions} transactions, {bad} failed",
            all.len()
        );
    }
    let (runs, struck, failed) = (runs.into_inner(), struck.into_inner(), failed.into_inner());
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "{runs} synchronisations with a fault, which struck in {struck}; {failed} failed; {seconds:.0} s"
    );
    failed
}

/// Of many things that are wrong, the first tell enough.
fn first_lines(error: &str) -> String {
    let lines: Vec<&str> = error.lines().collect();
    let more = lines.len().saturating_sub(MOST_LINES);
    let shown = lines[..lines.len() - more].join("\n         ");
    if more == 0 { shown } else { format!("{shown}\n         and {more} more") }
}

/// Does something with each, on as many threads as the machine has processors.
fn in_parallel<T: Sync>(all: &[T], each: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(one) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    each(one);
                }
            });
        }
    });
}
