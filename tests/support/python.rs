//! Servers in Python, by others' libraries, each a script beside this file; installed by `make real`.

use std::io::{BufRead, BufReader, Lines};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

/// A running script; it ends when this is dropped, or with this process, since its standard input ends then.
pub(crate) struct Script {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Script {
    pub(crate) fn start(name: &str, arguments: &[&str]) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut child = Command::new(root.join("target/venv/bin/python"))
            .arg(root.join("tests/support").join(name))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Python servers should be installed: make real");
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The same where the script's first line is the port that it listens at.
    pub(crate) fn listening(name: &str, arguments: &[&str]) -> (Self, SocketAddr) {
        let mut script = Self::start(name, arguments);
        let port: u16 = script.line().parse().unwrap();
        (script, (Ipv4Addr::LOCALHOST, port).into())
    }

    /// The next line that it prints; waits for it.
    pub(crate) fn line(&mut self) -> String {
        self.lines.next().expect("the script says more").unwrap()
    }

    /// What it prints from now on, up to its end.
    pub(crate) fn rest(mut self) -> Vec<String> {
        drop(self.child.stdin.take());
        self.lines.by_ref().map(Result::unwrap).collect()
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
