//! A real `versweep run` as a child process, asked over HTTP, ended by pid.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use tokio::time::Instant;

/// How long anything in these tests may take before it counts as hung.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A running daemon.
pub(crate) struct Daemon {
    child: Child,
    address: SocketAddr,
    log: mpsc::Receiver<String>,
    seen: Vec<String>,
}

impl Daemon {
    /// Starts the daemon on a configuration that listens on `address`, and waits until it is ready.
    pub(crate) fn start(config: &Path, address: SocketAddr) -> Self {
        let mut daemon = Self::spawn(config, address);
        daemon.wait_ready();
        daemon
    }

    /// Starts the daemon without waiting.
    pub(crate) fn spawn(config: &Path, address: SocketAddr) -> Self {
        Self::spawn_with(config, address, &[])
    }

    /// Starts the daemon without waiting, with these variables in its environment.
    pub(crate) fn spawn_with(config: &Path, address: SocketAddr, environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_versweep"));
        command.args(["run", "--config.file"]).arg(config).envs(environment.iter().copied());
        Self::spawn_as(command, address)
    }

    /// Starts a daemon by this command without waiting.
    pub(crate) fn spawn_as(mut command: Command, address: SocketAddr) -> Self {
        let mut child = command
            .env_remove("JOURNAL_STREAM")
            .env_remove("NOTIFY_SOCKET")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("versweep starts");
        let stderr = child.stderr.take().expect("stderr is piped");
        let (sender, log) = mpsc::sync_channel(100_000);
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self { child, address, log, seen: Vec::new() }
    }

    /// Waits for `/-/ready`.
    pub(crate) fn wait_ready(&mut self) {
        eventually("the daemon is ready", || {
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("versweep ended with {status}: {}", self.log().join("\n"));
            }
            get(self.address, "/-/ready").is_ok_and(|answer| answer.status == 200)
        });
    }

    /// The process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The body of a page that must answer 200.
    pub(crate) fn page(&self, path: &str) -> String {
        let answer = get(self.address, path).expect("an answer");
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.body
    }

    /// All log lines so far.
    pub(crate) fn log(&mut self) -> &[String] {
        while let Ok(line) = self.log.try_recv() {
            self.seen.push(line);
        }
        &self.seen
    }

    /// Sends a signal by name, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.pid().to_string()).status();
        assert!(status.expect("kill runs").success());
    }

    /// Waits for the process to end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let mut ended = None;
        eventually("the daemon ends", || {
            ended = self.child.try_wait().expect("a child");
            ended.is_some()
        });
        ended.expect("an exit status")
    }

    /// A graceful stop.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An HTTP answer.
pub(crate) struct Answer {
    /// The status code.
    pub(crate) status: u16,
    /// The body.
    pub(crate) body: String,
}

/// One request on a connection of its own.
pub(crate) fn get(address: SocketAddr, path: &str) -> std::io::Result<Answer> {
    request(address, "GET", path)
}

/// One request on a connection of its own.
pub(crate) fn request(address: SocketAddr, method: &str, path: &str) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: versweep\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    )?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    Ok(Answer { status, body: body.to_owned() })
}

/// Asks until it holds, or fails after [`PATIENCE`]: no test depends on how fast the machine is.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A port on 127.0.0.1 that was free a moment ago. It lies below those that the kernel gives to whoever asks for any, so
/// that no listener or client of another test takes it before its own server does.
pub(crate) fn free_address() -> SocketAddr {
    loop {
        let address = SocketAddr::from(([127, 0, 0, 1], fastrand::u16(10_000..32_000)));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

/// The value of the one sample of `/metrics` that begins with `series`.
pub(crate) fn sample(page: &str, series: &str) -> Option<f64> {
    page.lines().find(|line| line.starts_with(series))?.rsplit(' ').next()?.parse().ok()
}
