//! A program that is run for each event: the event on its standard input, no shell in between, an end to its time.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStderr};
use tokio::time::timeout;

use super::{CloudEvent, Stop};
use crate::event::{Post, clean};

/// What is kept of a program's complaints.
const COMPLAINT_MAX: u64 = 4096;

/// The folders that programs of a bare name, and what they call, are looked for in.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Runs a program for each event.
#[derive(Debug)]
pub struct Command {
    argv: Vec<String>,
    limit: Duration,
    source: String,
}

impl Command {
    /// A program with its arguments, and how long one run may take.
    #[must_use]
    pub fn new(argv: Vec<String>, limit: Duration, source: &str) -> Self {
        Self { argv, limit, source: source.to_owned() }
    }

    pub(super) async fn deliver(&self, post: &Post) -> Result<(), Stop> {
        let (mut child, group) = self.start().map_err(Stop::down)?;
        // Ends what the program has left running as well, also when this wait is given up.
        let _end = EndOfGroup(group);
        let mut line = CloudEvent::new(&self.source, post).json();
        line.push(b'\n');
        let ended = timeout(self.limit, run(&mut child, &line)).await;
        match ended {
            Ok(Ok((status, _))) if status.success() => Ok(()),
            Ok(Ok((status, complaint))) => Err(Stop::Refused { error: format!("{status}{complaint}") }),
            Ok(Err(error)) => Err(Stop::down(error)),
            Err(_) => Err(Stop::Refused { error: format!("not done within {:?}, ended", self.limit) }),
        }
    }

    /// Starts it in a process group of its own, with none of our environment: secrets may be in there.
    fn start(&self) -> Result<(Child, Option<Pid>), String> {
        let (program, arguments) = self.argv.split_first().ok_or("no program is named")?;
        let mut command = tokio::process::Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .env("PATH", PATH)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let child = command.spawn().map_err(|error| format!("{program}: {error}"))?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Ok((child, group))
    }
}

/// Writes the event, reads the complaints and waits for the end. A program need not read what it is given.
async fn run(child: &mut Child, line: &[u8]) -> std::io::Result<(std::process::ExitStatus, String)> {
    let (stdin, stderr) = (child.stdin.take(), child.stderr.take());
    let write = async {
        if let Some(mut stdin) = stdin {
            let _not_read = stdin.write_all(line).await;
        }
    };
    let ((), complaint) = tokio::join!(write, complaint(stderr));
    Ok((child.wait().await?, complaint))
}

/// The first line of what it said, in a message's form; the rest is read and thrown away.
async fn complaint(stderr: Option<ChildStderr>) -> String {
    let Some(mut stderr) = stderr else { return String::new() };
    let mut said = Vec::new();
    let _cut = (&mut stderr).take(COMPLAINT_MAX).read_to_end(&mut said).await;
    let _rest = tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await;
    match String::from_utf8_lossy(&said).lines().next() {
        Some(line) if !line.trim().is_empty() => format!(": {}", clean(line.trim())),
        _ => String::new(),
    }
}

/// Kills a process group when it goes out of scope.
struct EndOfGroup(Option<Pid>);

impl Drop for EndOfGroup {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // Nobody may be left in it.
            let _gone = kill_process_group(group, Signal::KILL);
        }
    }
}
