//! `tandemctl` as a child process: to its end, or line by line while it runs.

use kit::LIMIT;
use serde_json::Value;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

/// How a run of the program ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code.
    pub code: i32,
    /// What it printed.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
}

impl Ended {
    /// Its one JSON document.
    ///
    /// # Panics
    /// When it isn't one.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Its JSON lines.
    ///
    /// # Panics
    /// When one isn't JSON.
    #[must_use]
    pub fn json_lines(&self) -> Vec<Value> {
        self.stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
            .collect()
    }
}

/// A running program.
pub struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    complaints: Lines<BufReader<ChildStderr>>,
}

impl Running {
    /// Starts it, with a bus in the place of both buses.
    ///
    /// # Panics
    /// When it hasn't been built.
    #[must_use]
    pub fn start(bus: &str, arguments: &[&str]) -> Self {
        let mut child = Command::new(kit::program("tandemctl"))
            .args(arguments)
            .env("DBUS_SESSION_BUS_ADDRESS", bus)
            .env("DBUS_SYSTEM_BUS_ADDRESS", bus)
            .env_remove("TANDEM_BUS")
            .env_remove("NO_COLOR")
            .env("TZ", "UTC")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("a built program can be started");
        let stdout = child.stdout.take().expect("standard output is a pipe");
        let stderr = child.stderr.take().expect("standard error is a pipe");
        Self { child, lines: BufReader::new(stdout).lines(), complaints: BufReader::new(stderr).lines() }
    }

    /// Its next line.
    ///
    /// # Panics
    /// When none comes within the limit.
    pub async fn line(&mut self) -> String {
        match tokio::time::timeout(LIMIT, self.lines.next_line()).await {
            Ok(Ok(Some(line))) => line,
            other => panic!("no further line: {other:?}"),
        }
    }

    /// Its next line on standard error.
    ///
    /// # Panics
    /// When none comes within the limit.
    pub async fn complaint(&mut self) -> String {
        match tokio::time::timeout(LIMIT, self.complaints.next_line()).await {
            Ok(Ok(Some(line))) => line,
            other => panic!("no further complaint: {other:?}"),
        }
    }

    /// Sends it SIGINT, as Ctrl-C does.
    ///
    /// # Panics
    /// When it has ended already.
    pub fn interrupt(&self) {
        let pid =
            self.child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(rustix::process::Pid::from_raw);
        let pid = pid.expect("the program runs");
        rustix::process::kill_process(pid, rustix::process::Signal::INT)
            .expect("a child can be sent a signal");
    }

    /// Closes the pipe that it prints into, and waits for its end.
    ///
    /// # Panics
    /// When it doesn't end within the limit, or by a signal.
    pub async fn end_unread(self) -> Ended {
        let Self { child, lines, complaints } = self;
        drop(lines);
        end(child, None, complaints).await
    }

    /// Waits for its end; what was read before is left out.
    ///
    /// # Panics
    /// When it doesn't end within the limit, or by a signal.
    pub async fn end(self) -> Ended {
        end(self.child, Some(self.lines), self.complaints).await
    }
}

async fn end(
    mut child: Child,
    stdout: Option<Lines<BufReader<ChildStdout>>>,
    stderr: Lines<BufReader<ChildStderr>>,
) -> Ended {
    let wait = async {
        let stdout = async {
            match stdout {
                Some(lines) => rest(lines).await,
                None => String::new(),
            }
        };
        let (stdout, stderr) = tokio::join!(stdout, rest(stderr));
        (stdout, stderr, child.wait().await.expect("a child can be waited for"))
    };
    let (stdout, stderr, status) = tokio::time::timeout(LIMIT, wait).await.expect("the program ends");
    let code = status.code().unwrap_or_else(|| panic!("ended by a signal: {status}"));
    Ended { code, stdout, stderr }
}

/// All lines until the other side closes.
async fn rest<R: tokio::io::AsyncBufRead + Unpin>(mut lines: Lines<R>) -> String {
    let mut text = String::new();
    while let Some(line) = lines.next_line().await.expect("the program prints UTF-8") {
        text.push_str(&line);
        text.push('\n');
    }
    text
}
