//! Figures and how they are shown: medians, the memory of a process, a Markdown table.

use std::fmt;
use std::io::Write;
use std::time::Duration;

/// The middle one.
///
/// # Panics
/// Without any.
pub(crate) fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// A time with three digits that count.
pub(crate) fn shown(time: Duration) -> String {
    let milliseconds = time.as_secs_f64() * 1000.0;
    match milliseconds {
        0.0..10.0 => format!("{milliseconds:.2} ms"),
        10.0..100.0 => format!("{milliseconds:.1} ms"),
        100.0..10_000.0 => format!("{milliseconds:.0} ms"),
        _ => format!("{:.1} s", milliseconds / 1000.0),
    }
}

/// One row for each measure.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<[String; 5]>,
}

impl Table {
    /// Our time against another tool's; the aim is that ratio at most.
    pub(crate) fn against(&mut self, what: &str, ours: Duration, other: (&str, Duration), aim: f64) {
        let (name, theirs) = other;
        let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
        let row = [
            what,
            &shown(ours),
            &format!("{name}: {}", shown(theirs)),
            &format!("{ratio:.2}"),
            &format!("≤ {aim}"),
        ];
        self.add(row);
    }

    /// A figure with its own aim.
    pub(crate) fn alone(&mut self, what: &str, figure: &str, aim: &str) {
        self.add([what, figure, "", "", aim]);
    }

    fn add(&mut self, row: [&str; 5]) {
        println!("{}", row.join(" · "));
        self.rows.push(row.map(str::to_owned));
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| measure | Tandem | compared with | ratio | aim |")?;
        writeln!(f, "| --- | ---: | ---: | ---: | ---: |")?;
        self.rows.iter().try_for_each(|row| writeln!(f, "| {} |", row.join(" | ")))
    }
}

/// A process's resident memory in KiB.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    now: u64,
    peak: u64,
    anonymous: u64,
}

impl Memory {
    /// That of this process.
    ///
    /// # Panics
    /// When there is no such process.
    pub(crate) fn of(pid: u32) -> Self {
        let path = format!("/proc/{pid}/status");
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            let figure =
                line.and_then(|line| line.split_whitespace().next()).and_then(|word| word.parse().ok());
            figure.unwrap_or_else(|| panic!("{path} has no {name}"))
        };
        Self { now: field("VmRSS:"), peak: field("VmHWM:"), anonymous: field("RssAnon:") }
    }
}

/// Begins this process's peak of resident memory anew, and tells the resident memory then, in KiB.
///
/// # Panics
/// When the system doesn't let it.
pub(crate) fn begin_peak() -> u64 {
    let file = std::fs::File::options().write(true).open("/proc/self/clear_refs");
    file.and_then(|mut file| file.write_all(b"5")).expect("a process may begin its own peak anew");
    Memory::of(std::process::id()).now
}

/// What this process's peak of resident memory has grown by since [`begin_peak`] told this.
pub(crate) fn peak_above(before: u64) -> String {
    let grown = Memory::of(std::process::id()).peak.saturating_sub(before);
    format!("{:.1} MB", Duration::from_millis(grown).as_secs_f64() * 1.024)
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mega = |kibi: u64| Duration::from_millis(kibi).as_secs_f64() * 1.024;
        write!(
            f,
            "{:.1} MB (peak {:.1}, anonymous {:.1})",
            mega(self.now),
            mega(self.peak),
            mega(self.anonymous)
        )
    }
}
