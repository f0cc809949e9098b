//! FakeNOS, an emulator of network devices by others: its shells on paramiko's SSH server, one of each platform that has
//! a version command.

use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde::Deserialize;
use versweep::dialogue::{Errand, Rules};
use versweep::parse;
use versweep::platform::Platforms;
use versweep::transport::{Trace, Transport};

use crate::devices::{PASSWORD, device_at, transport};

/// One emulated device: what it answers to which command, where that is a fixed text.
#[derive(Debug, Deserialize)]
struct Host {
    platform: String,
    port: u16,
    command: String,
    answer: String,
}

struct FakeNos {
    child: Child,
    hosts: Vec<Host>,
}

impl FakeNos {
    fn start() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut child = Command::new(root.join("target/venv/bin/python"))
            .arg(root.join("tests/support/fakenos_fleet.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("FakeNOS should be installed: make target/venv/bin/fakenos");
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        // Lines of the emulator's own may stand between.
        let lines = lines.filter(|line| line.starts_with('{')).take_while(|line| line != "{}");
        let hosts = lines.map(|line| serde_json::from_str(&line).unwrap()).collect();
        Self { child, hosts }
    }
}

impl Drop for FakeNos {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
#[ignore = "needs FakeNOS: run by make test"]
async fn every_platform_of_fakenos_is_read_in_its_shell() {
    let fleet = FakeNos::start();
    assert!(fleet.hosts.len() >= 20, "{} hosts", fleet.hosts.len());
    let folder = tempfile::tempdir().unwrap();
    let transport = transport(PASSWORD, folder.path());
    let platforms = Platforms::builtin();
    let mut wrong = Vec::new();
    let mut versions = 0;
    for host in &fleet.hosts {
        let device = device_at((Ipv4Addr::LOCALHOST, host.port).into());
        let errand = Errand::by_shell([host.command.clone()], Rules::default());
        let mut trace = Trace::recording();
        let outputs = transport.visit(&device, &errand, &mut trace).await;
        let said = trace.session.map(|session| session.exchanges());
        let output = match outputs {
            Ok(outputs) => outputs.concat(),
            Err(error) => {
                wrong.push(format!("{}: {error}: {said:?}", host.platform));
                continue;
            }
        };
        let missing = host.answer.lines().map(str::trim).find(|line| {
            let words = !line.is_empty() && !line.contains(['\r', '\u{8}', '\t', '{']);
            words && !output.contains(line)
        });
        if let Some(line) = missing {
            wrong.push(format!("{}: {line:?} is missing: {output:?}", host.platform));
        }
        // Where a profile reads that platform, the version must be read as from the text alone.
        let Some(profile) = platforms.find(&host.platform) else { continue };
        let text = if host.answer.is_empty() { &output } else { &host.answer };
        match (parse::parse(profile, &output), parse::parse(profile, text)) {
            (Ok(shell), Ok(text)) if shell == text => versions += 1,
            (Err(_), Err(_)) => {}
            (shell, text) => wrong.push(format!("{}: {shell:?}, alone {text:?}", host.platform)),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(versions > 0);
}
