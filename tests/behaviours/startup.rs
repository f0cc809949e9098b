//! What keeps the daemon from starting is told in one message that names the place and the way out, with an exit code,
//! and nothing is lost by the attempt.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use versweep::clock::{Clock as _, SystemClock};
use versweep::sim::Fault;
use versweep::store::{Reader, Store};

use crate::daemon::{Daemon, eventually, request};
use crate::site::{Site, versweep};

/// A folder with a configuration without devices, whose store is at `store`.
struct Place {
    folder: tempfile::TempDir,
    web: std::net::SocketAddr,
    /// Keeps the port, so that a daemon that starts against all expectation says so.
    _listener: Option<TcpListener>,
}

impl Place {
    fn new(store: &str, port_in_use: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let web = listener.local_addr().unwrap();
        fs::write(
            folder.path().join("versweep.toml"),
            format!("[web]\nlisten = ['{web}']\n[store]\npath = '{store}'\n"),
        )
        .unwrap();
        Self { folder, web, _listener: port_in_use.then_some(listener) }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// Tries to start: the exit code and standard error.
    fn refused(&self) -> (Option<i32>, String) {
        let config = self.path("versweep.toml");
        let output = versweep(&["run", "--config.file"]).arg(config).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    }
}

fn assert_says(said: &(Option<i32>, String), code: i32, words: &[&str]) {
    assert_eq!(said.0, Some(code), "{}", said.1);
    for word in words {
        assert!(said.1.contains(word), "{word:?} is missing: {}", said.1);
    }
    assert!(!said.1.contains("panicked"), "{}", said.1);
}

/// A store that versweep made, at rest.
fn make_store(path: &Path) {
    let (mut store, _) = Store::open(path).unwrap();
    store.set_sinks(&["jsonl"]).unwrap();
}

/// Changes a big-endian number in the header of a database: see "The Database Header" of SQLite's file format.
fn set_header(path: &Path, offset: usize, value: u32) {
    let mut bytes = fs::read(path).unwrap();
    bytes[offset..offset + 4].copy_from_slice(&value.to_be_bytes());
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_port_in_use() {
    let place = Place::new("versweep.db", true);
    let said = place.refused();
    assert_says(
        &said,
        1,
        &[&format!("can't listen on {} (web.listen)", place.web), "is another versweep running"],
    );
    assert!(!place.path("versweep.db").exists(), "nothing was begun");
}

#[test]
fn a_store_that_another_daemon_holds() {
    let place = Place::new("versweep.db", false);
    let daemon = Daemon::start(&place.path("versweep.toml"), place.web);
    let other = place.path("other.toml");
    fs::write(&other, "[web]\nlisten = ['127.0.0.1:0']\n[store]\npath = 'versweep.db'\n").unwrap();
    let output = versweep(&["run", "--config.file"]).arg(&other).output().unwrap();
    let said = (output.status.code(), String::from_utf8(output.stderr).unwrap());
    let holder = format!("in use by another versweep (process {}): stop that one", daemon.pid());
    assert_says(&said, 1, &["versweep.db is", &holder, "or set another [store] path"]);
    assert!(daemon.page("/metrics").contains("versweep_build_info"), "the first one is not disturbed");
    // The command that sweeps once is refused as well.
    let output = versweep(&["sweep", "--config.file"]).arg(&other).output().unwrap();
    assert_says(&(output.status.code(), String::from_utf8(output.stderr).unwrap()), 1, &[&holder]);
}

/// Nobody may write into /sys, not even root.
#[test]
fn a_folder_that_can_not_be_written() {
    let said = Place::new("/sys/versweep.db", false).refused();
    assert_says(
        &said,
        1,
        &["the store /sys/versweep.db can't be written", "must be writable for versweep's user"],
    );
}

#[test]
fn a_folder_that_is_not_there() {
    let said = Place::new("no/versweep.db", false).refused();
    assert_says(
        &said,
        1,
        &["/no/versweep.db can't be opened: its folder", "make it, writable for versweep's user"],
    );
}

#[test]
fn a_damaged_database_stays_as_it_is() {
    let place = Place::new("versweep.db", false);
    make_store(&place.path("versweep.db"));
    let mut bytes = fs::read(place.path("versweep.db")).unwrap();
    let half = bytes.len() / 2;
    bytes[half..].fill(0x5a);
    for content in [&bytes[..], b"this was never a database, but it is somebody's file\n"] {
        fs::write(place.path("versweep.db"), content).unwrap();
        let said = place.refused();
        assert_says(&said, 1, &["versweep.db is damaged or no database", "move it away", "restore a backup"]);
        assert_eq!(fs::read(place.path("versweep.db")).unwrap(), content, "nothing was changed");
    }
}

#[test]
fn a_database_of_a_newer_versweep_stays_as_it_is() {
    let place = Place::new("versweep.db", false);
    make_store(&place.path("versweep.db"));
    set_header(&place.path("versweep.db"), 60, 99);
    let before = fs::read(place.path("versweep.db")).unwrap();
    let said = place.refused();
    assert_says(&said, 1, &["was written by a newer versweep: it has schema 99", "run the newer versweep"]);
    assert_eq!(fs::read(place.path("versweep.db")).unwrap(), before, "nothing was changed");
}

#[test]
fn another_programs_database_stays_as_it_is() {
    let place = Place::new("versweep.db", false);
    make_store(&place.path("versweep.db"));
    set_header(&place.path("versweep.db"), 68, 0);
    let before = fs::read(place.path("versweep.db")).unwrap();
    let said = place.refused();
    assert_says(&said, 1, &["versweep.db is another program's database", "set another [store] path"]);
    assert_eq!(fs::read(place.path("versweep.db")).unwrap(), before, "nothing was changed");
}

#[test]
fn a_bad_configuration_touches_nothing() {
    let place = Place::new("versweep.db", false);
    fs::write(place.path("versweep.toml"), "[store]\npath = 'versweep.db'\n[workers]\nmax = 0\n").unwrap();
    assert_says(&place.refused(), 64, &["versweep.toml:4: workers.max", "a number from 1 to"]);
    assert!(!place.path("versweep.db").exists());
    fs::remove_file(place.path("versweep.toml")).unwrap();
    assert_says(&place.refused(), 64, &["versweep.toml: can't be read"]);
}

#[test]
fn more_workers_than_files() {
    let place = Place::new("versweep.db", false);
    let config = fs::read_to_string(place.path("versweep.toml")).unwrap();
    fs::write(place.path("versweep.toml"), format!("{config}[workers]\nmax = 100000\n")).unwrap();
    let program = format!(
        "ulimit -Sn 256; ulimit -Hn 256; exec {} run --config.file {}",
        env!("CARGO_BIN_EXE_versweep"),
        place.path("versweep.toml").display()
    );
    let output = std::process::Command::new("sh").arg("-c").arg(program).output().unwrap();
    let said = (output.status.code(), String::from_utf8(output.stderr).unwrap());
    assert_says(&said, 1, &["workers.max = 100000", "256"]);
}

/// A sweep that a kill cut off is closed at the next start, as one that did not come to its end.
#[test]
fn a_killed_daemon_starts_again_at_once() {
    let site = Site::new(2);
    for device in site.devices() {
        site.set_fault(device, Some(Fault::Hang));
    }
    site.write("versweep.toml", &site.config("schedule = 'never'", 8));
    let mut daemon = site.daemon();
    assert_eq!(request(site.web(), "POST", "/-/sweep").unwrap().status, 202);
    let sweeps = || Reader::open(&site.path("versweep.db")).unwrap().runs(None, None, 9).unwrap();
    eventually("a sweep is on", || sweeps().len() == 1);
    let cut_off = sweeps().remove(0);
    assert_eq!(cut_off.ended, None, "the devices never answer");
    daemon.signal("KILL");
    daemon.wait();
    let mut daemon = site.daemon();
    assert!(daemon.stop().success());
    let closed = sweeps();
    assert_eq!((closed.len(), closed[0].id, closed[0].complete), (1, cut_off.id, false));
    assert!(closed[0].ended.is_some_and(|ended| ended >= cut_off.started && ended <= SystemClock.now()));
}

/// A configuration manager writes the file, starts the daemon and sends it a SIGHUP before it is ready.
/// The last good list is judged by today's configuration: a device whose credential left it can't be visited, and has not left
/// the network.
#[test]
fn a_device_that_can_no_longer_be_visited_is_not_told_as_removed() {
    let site = Site::new(3);
    let (named, other) = (
        site.devices()[0].name(),
        "[credentials.other]\nusername = 'versweep'\npassword = { file = 'password' }\n",
    );
    let devices = fs::read_to_string(site.path("devices.toml")).unwrap();
    let line = format!("name = \"{named}\"\n");
    assert!(devices.contains(&line), "{devices}");
    site.write("devices.toml", &devices.replace(&line, &format!("{line}credential = \"other\"\n")));
    site.write("versweep.toml", &(site.config("every = '1s'", 8) + other));
    let mut daemon = site.daemon();
    crate::daemon_run::until_all_are_known(&daemon, &site);
    assert!(daemon.stop().success());

    site.write("versweep.toml", &site.config("every = '1s'", 8));
    let mut daemon = site.daemon();
    let inventory =
        |page: &str| page.lines().filter(|line| line.starts_with("versweep_device_info{")).count();
    eventually("the others are there", || inventory(&daemon.page("/metrics")) == 2);
    assert!(daemon.stop().success());
    let removed: Vec<_> = site.events().into_iter().filter(|event| event["type"] == "removed").collect();
    assert!(removed.is_empty(), "{removed:?}");
    assert!(
        daemon.log().iter().any(|line| line.contains("other") && line.contains(named)),
        "the log says why"
    );
}

#[test]
fn a_hangup_during_the_start_is_a_reload_and_no_end() {
    let place = Place::new("versweep.db", false);
    let config = place.path("versweep.toml");
    let mut daemon = Daemon::spawn(&config, place.web);
    // Once the store is open the start has begun and is not over.
    eventually("it starts", || place.path("versweep.db.lock").exists());
    daemon.signal("HUP");
    daemon.wait_ready();
    eventually("it reloads", || daemon.log().iter().any(|line| line.contains("configuration reloaded")));
    assert!(daemon.stop().success());
}
