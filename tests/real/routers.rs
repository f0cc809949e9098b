//! The main job on real routers' software: OpenSSH in front of FRR's vtysh and of a Linux shell, the real daemon on a
//! schedule of seconds, and everything that a user looks at.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::daemon::{Daemon, eventually, free_address, sample};
use crate::sshd_server::{Sshd, authorize, current_user, keygen};

/// Where journald listens. Where none runs, the test stands in for it.
const JOURNAL: &str = "/run/systemd/journal/socket";

/// FRR's bgpd, which serves vtysh by itself: no zebra, no port, nothing outside its own folder.
struct Frr {
    child: Child,
    folder: tempfile::TempDir,
}

impl Frr {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("bgpd.conf"), "").unwrap();
        let child = Command::new("/usr/lib/frr/bgpd")
            .args(["--skip_runas", "--no_zebra", "--bgp_port", "0", "--vty_port", "0"])
            .arg("--vty_socket")
            .arg(folder.path())
            .arg("--pid_file")
            .arg(path("bgpd.pid"))
            .arg("--config_file")
            .arg(path("bgpd.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("bgpd should be installed: apt-get install frr");
        let frr = Self { child, folder };
        eventually("bgpd serves vtysh", || frr.folder.path().join("bgpd.vty").exists());
        frr
    }

    /// A login script that hands the session's command to vtysh, its answer through `filter`.
    fn login_script(&self, filter: &str) -> PathBuf {
        let script = self.folder.path().join("router");
        let sockets = self.folder.path().display();
        let text =
            format!("#!/bin/sh\nvtysh --vty_socket {sockets} -c \"$SSH_ORIGINAL_COMMAND\" | {filter}\n");
        // Exchanged whole: a login in between runs the old one or the new one.
        let new = script.with_extension("new");
        fs::write(&new, text).unwrap();
        fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(&new, &script).unwrap();
        script
    }
}

impl Drop for Frr {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The version that Debian packaged, without its revision: 8.4.4 of 8.4.4-1.1~deb12u2.
fn packaged_frr() -> String {
    let output = Command::new("dpkg-query").args(["-W", "-f=${Version}", "frr"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().split('-').next().unwrap().to_owned()
}

fn sshd_options(keys: &Path, more: &[String]) -> Vec<String> {
    let mut options =
        vec![format!("AuthorizedKeysFile {}", keys.display()), "PermitRootLogin yes".to_owned()];
    options.extend_from_slice(more);
    options
}

struct Site {
    folder: tempfile::TempDir,
    web: SocketAddr,
}

impl Site {
    fn new(frr: SocketAddr, linux: SocketAddr, key: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let web = free_address();
        let (key, user) = (key.display(), current_user());
        let config = format!(
            "[web]\nlisten = ['{web}']\n[store]\npath = 'versweep.db'\n[workers]\nmax = 4\n\
             [credentials.lab]\nusername = '{user}'\nprivate_key = {{ file = '{key}' }}\n\
             [defaults]\ncredential = 'lab'\ntimeout = '10s'\n\
             [changes]\nconfirm_after = '0s'\n[holdoff]\nfirst = '0s'\n[[inventory]]\ntype = 'file'\npath = 'devices.toml'\n\
             [[sweep]]\nname = 'all'\nevery = '1s'\n\
             [[sink]]\ntype = 'jsonl'\npath = 'events.jsonl'\n[[sink]]\ntype = 'journal'\n"
        );
        let devices = format!(
            "[[device]]\nname = 'frr1'\naddress = '{}'\nport = {}\nplatform = 'frr'\nlabels = {{ site = 'lab', role = 'core' }}\n\
             [[device]]\nname = 'server1'\naddress = '{}'\nport = {}\nplatform = 'linux'\nlabels = {{ site = 'lab', role = 'server' }}\n",
            frr.ip(),
            frr.port(),
            linux.ip(),
            linux.port()
        );
        fs::write(folder.path().join("versweep.toml"), config).unwrap();
        fs::write(folder.path().join("devices.toml"), devices).unwrap();
        Self { folder, web }
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("versweep.toml")
    }

    /// The change events of that kind in the file of JSON lines.
    fn events(&self, kind: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.folder.path().join("events.jsonl")).unwrap_or_default();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|event| event.to_string().contains(&format!("\"{kind}\""))).collect()
    }
}

/// Reads what is sent to the journal where no journald runs; `None` where one does.
fn stand_in_for_journald() -> Option<UnixDatagram> {
    if Path::new(JOURNAL).exists() {
        return None;
    }
    fs::create_dir_all(Path::new(JOURNAL).parent().unwrap()).ok()?;
    let socket = UnixDatagram::bind(JOURNAL).ok()?;
    socket.set_nonblocking(true).unwrap();
    Some(socket)
}

fn received(journal: &UnixDatagram) -> Vec<String> {
    let mut entries = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length) = journal.recv(&mut buffer) {
        entries.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
    }
    entries
}

fn changes_of(site: &Site, kind: &str) -> Vec<Value> {
    let output = Command::new(env!("CARGO_BIN_EXE_versweep"))
        .args(["changes", "--output", "json", "--kind", kind, "--url", &format!("http://{}", site.web)])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn sweeps_done(daemon: &Daemon) -> f64 {
    sample(&daemon.page("/metrics"), "versweep_sweeps_total{sweep=\"all\"}").unwrap_or(0.0)
}

/// Waits for that many sweeps from now on: whatever would be told twice has been told twice by then.
fn let_sweeps_pass(daemon: &Daemon, count: f64) {
    let begun = sweeps_done(daemon);
    eventually("sweeps pass", || sweeps_done(daemon) >= begun + count);
}

#[test]
#[ignore = "needs sshd and FRR: run by make test"]
fn a_real_router_is_swept_its_change_is_told_once_and_its_silence_keeps_the_version() {
    let frr = Frr::start();
    let keys = tempfile::tempdir().unwrap();
    let key = keys.path().join("key");
    keygen(&key, "ed25519", "");
    let authorized = authorize(&key.with_extension("pub"), keys.path());
    let script = frr.login_script("cat");
    let router = Sshd::start(&sshd_options(&authorized, &[format!("ForceCommand {}", script.display())]));
    let server = Sshd::start(&sshd_options(&authorized, &[]));
    let journal = stand_in_for_journald();
    let site = Site::new(router.address, server.address, &key);
    let mut daemon = Daemon::start(&site.config(), site.web);

    let version = packaged_frr();
    let runs = |version: &str| {
        format!(
            "versweep_device_version_info{{device=\"frr1\",platform=\"frr\",model=\"\",version=\"{version}\"}} 1"
        )
    };
    eventually("the real versions are shown", || {
        let page = daemon.page("/metrics");
        page.contains(&runs(&version)) && page.contains("device=\"server1\",platform=\"linux\"")
    });
    let_sweeps_pass(&daemon, 2.0);
    assert!(changes_of(&site, "upgrade").is_empty(), "first seen is not a change");

    frr.login_script(&format!("sed 's/FRRouting {version}/FRRouting 99.1/'"));
    eventually("the change is shown", || daemon.page("/metrics").contains(&runs("99.1")));
    let_sweeps_pass(&daemon, 3.0);
    let page = daemon.page("/metrics");
    assert!(!page.contains(&runs(&version)), "the old version is replaced, not joined");
    assert_eq!(sample(&page, "versweep_device_version_changes_total{device=\"frr1\"}"), Some(1.0));
    let told = changes_of(&site, "upgrade");
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(
        (told[0]["device"].as_str(), told[0]["before"].as_str()),
        (Some("frr1"), Some(version.as_str()))
    );
    assert_eq!(told[0]["after"].as_str(), Some("99.1"));
    eventually("the event is in the file", || site.events("upgrade").len() == 1);
    if let Some(journal) = &journal {
        let entries = received(journal);
        let upgrades: Vec<_> =
            entries.iter().filter(|entry| entry.contains("VERSWEEP_KIND=upgrade\n")).collect();
        assert_eq!(upgrades.len(), 1, "{entries:?}");
        for field in [
            "VERSWEEP_DEVICE=frr1\n",
            "VERSWEEP_AFTER=99.1\n",
            "MESSAGE_ID=2f51915ecc0341dea3c9114bd2f1c40a\n",
        ] {
            assert!(upgrades[0].contains(field), "{field:?} in {:?}", upgrades[0]);
        }
    }

    drop(router);
    eventually("the router is down", || {
        sample(&daemon.page("/metrics"), "versweep_device_up{device=\"frr1\"}") == Some(0.0)
    });
    let page = daemon.page("/metrics");
    assert!(page.contains(&runs("99.1")), "no answer is never a change");
    assert_eq!(sample(&page, "versweep_device_up{device=\"server1\"}"), Some(1.0));
    assert!(page.contains("versweep_device_failure_info{device=\"frr1\",reason=\"refused\"} 1"));
    eventually("three failures make it unreachable", || changes_of(&site, "unreachable").len() == 1);
    assert_eq!(changes_of(&site, "upgrade").len(), 1);

    assert!(daemon.stop().success(), "{:?}", daemon.log());
    assert!(daemon.log().iter().any(|line| line.contains("stopped") && line.contains("graceful=true")));
    if journal.is_some() {
        let _ = fs::remove_file(JOURNAL);
    }
}
