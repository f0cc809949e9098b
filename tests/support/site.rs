//! A site for the tests that drive the whole of versweep from outside: a simulated fleet in this process, the files of
//! a configuration, and the real binary as a child.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use versweep::sim::{Fault, Fleet, SimConfig, SimDevice};

use crate::daemon::{Daemon, free_address};

/// The password of the fleet and of the configuration. The test of secrets searches for it everywhere.
pub(crate) const PASSWORD: &str = "planted-Pa55word-zebra";

/// A fleet with everything that a daemon needs to sweep it.
pub(crate) struct Site {
    runtime: Runtime,
    fleet: Fleet,
    folder: TempDir,
    web: SocketAddr,
}

impl Site {
    /// That many healthy devices, of all platforms in turn.
    pub(crate) fn new(devices: usize) -> Self {
        Self::with(SimConfig { devices, ..SimConfig::default() })
    }

    /// That fleet, on addresses of its own and with the test's password.
    pub(crate) fn with(config: SimConfig) -> Self {
        static NEXT: AtomicU8 = AtomicU8::new(1);
        let first_address = Ipv4Addr::new(127, 77, NEXT.fetch_add(1, Ordering::Relaxed), 1);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let config = SimConfig { first_address, password: PASSWORD.into(), ..config };
        let fleet = runtime.block_on(Fleet::start(config)).unwrap();
        let site = Self { runtime, fleet, folder: TempDir::new().unwrap(), web: free_address() };
        site.write("password", PASSWORD);
        site.write("devices.toml", &site.fleet.inventory_toml());
        site.write("versweep.toml", &site.config("every = '1s'", 8));
        site
    }

    /// The usual configuration, with one sweep that is due by `when`. Devices here change all the time, so nothing is
    /// taken for flapping.
    pub(crate) fn config(&self, when: &str, workers: usize) -> String {
        let web = self.web;
        format!(
            "[web]\nlisten = ['{web}']\n[store]\npath = 'versweep.db'\n[workers]\nmax = {workers}\n\
             [credentials.lab]\nusername = 'versweep'\npassword = {{ file = 'password' }}\n\
             [defaults]\ncredential = 'lab'\ntimeout = '60s'\nlogin_timeout = '4s'\ncommand_timeout = '50s'\n\
             [changes]\ndown_after = 2\nconfirm_after = '0s'\nflapping = 0\n[holdoff]\nfirst = '0s'\n[daemon]\ngrace = '40s'\n\
             [[inventory]]\ntype = 'file'\npath = 'devices.toml'\n\
             [[sink]]\ntype = 'jsonl'\npath = 'events.jsonl'\n\
             [[sweep]]\nname = 'all'\n{when}\n"
        )
    }

    /// A path in the site's folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file into the site's folder.
    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Where the daemon serves.
    pub(crate) fn web(&self) -> SocketAddr {
        self.web
    }

    /// The simulated fleet.
    pub(crate) fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// The devices, in the order of their addresses.
    pub(crate) fn devices(&self) -> &[Arc<SimDevice>] {
        self.fleet.devices()
    }

    /// Boots a device into the version so many steps on its platform's way; gives the one before and the new one. One
    /// step from a device's first version is an upgrade, and five are fewer than any platform's way is long.
    pub(crate) fn upgrade(&self, device: &SimDevice, steps: usize) -> (String, String) {
        let (versions, before) = (device.platform().versions(), device.version());
        let place = versions.iter().position(|version| *version == before).unwrap();
        let after = versions[(place + steps) % versions.len()].to_owned();
        self.fleet.upgrade(device.name(), &after).unwrap();
        (before, after)
    }

    /// Makes a device ill or well.
    pub(crate) fn set_fault(&self, device: &SimDevice, fault: Option<Fault>) {
        self.runtime.block_on(self.fleet.set_fault(device.name(), fault)).unwrap();
    }

    /// A daemon that is ready.
    pub(crate) fn daemon(&self) -> Daemon {
        Daemon::start(&self.path("versweep.toml"), self.web)
    }

    /// The events that the sink of JSON lines has.
    pub(crate) fn events(&self) -> Vec<Value> {
        let mut events = events(&self.path("events.jsonl"));
        events.retain(|event| event["type"] != "first_seen");
        events
    }

    /// Runs the program with these arguments in the site's folder, to its end.
    pub(crate) fn versweep(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// The program with these arguments in the site's folder.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = versweep(arguments);
        command.current_dir(self.folder.path());
        command
    }

    /// What a client subcommand prints when it asks this site's daemon, one JSON object a line.
    pub(crate) fn ask(&self, subcommand: &str) -> Vec<Value> {
        let url = format!("http://{}", self.web);
        let output = self.versweep(&[subcommand, "--url", &url, "--output", "json"]);
        assert!(output.status.success(), "{subcommand}: {}", String::from_utf8_lossy(&output.stderr));
        json_lines(&output.stdout)
    }
}

/// The program with these arguments, free of what the tests' own surroundings would tell it.
pub(crate) fn versweep(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_versweep"));
    command
        .args(arguments)
        .env_remove("JOURNAL_STREAM")
        .env_remove("NOTIFY_SOCKET")
        .env_remove("VERSWEEP_LOG");
    command
}

/// The lines of a program's output, each one JSON object.
pub(crate) fn json_lines(output: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(output).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
        .collect()
}

/// The whole lines of a file of events, flat.
pub(crate) fn events(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_inclusive('\n')
        .filter(|line| line.ends_with('\n'))
        .map(|line| flat(serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"))))
        .collect()
}

/// A CloudEvent with its data beside its id, and the kind of the change as its type.
pub(crate) fn flat(mut event: Value) -> Value {
    let mut data = event["data"].take();
    data["type"] = data["kind"].clone();
    for attribute in ["id", "time"] {
        data[attribute] = event[attribute].clone();
    }
    data
}

/// How many seconds a slow device's command takes in the tests that stop a daemon in the middle of a sweep.
pub(crate) const SLOW: Duration = Duration::from_secs(2);
