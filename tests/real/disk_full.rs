//! A disk that refuses. A full one: sweeps wait, nothing is lost, and all goes on by itself when there is room again.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use tempfile::TempDir;
use tokio::sync::oneshot;
use versweep::activity::Note;
use versweep::clock::SystemClock;
use versweep::recorder::Recorder;
use versweep::store::{Reader, Store, StoreError};

use crate::daemon::{eventually, request};
use crate::site::Site;
use crate::visits::{answered, judgement};

/// A small file system of its own, gone with the value.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn mount() -> Self {
        let folder = TempDir::new().unwrap();
        let mount = ["-t", "tmpfs", "-o", "size=4m", "versweep-test"];
        let status = Command::new("mount").args(mount).arg(folder.path()).status().unwrap();
        assert!(status.success(), "mounting a tmpfs needs root");
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Leaves not a byte.
    fn fill(&self) {
        let filler = self.path().join("filler");
        let error = std::fs::write(filler, vec![0; 8 << 20]).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    }

    fn make_read_only(&self) {
        let status = Command::new("mount").args(["-o", "remount,ro"]).arg(self.path()).status().unwrap();
        assert!(status.success(), "remounting needs root");
    }

    fn free(&self) {
        std::fs::remove_file(self.path().join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ended = Command::new("umount").arg(self.0.path()).status();
    }
}

#[test]
#[ignore = "needs root to mount a tmpfs: run by make test"]
fn a_store_on_a_full_disk_is_told() {
    let disk = SmallDisk::mount();
    disk.fill();
    let told = Store::open(&disk.path().join("versweep.db")).unwrap_err();
    assert!(matches!(told, StoreError::Full { .. }), "{told}");
    assert!(told.to_string().ends_with("free space on its file system"), "{told}");
}

#[test]
#[ignore = "needs root to mount a tmpfs: run by make test"]
fn a_store_on_a_read_only_disk_is_told() {
    let disk = SmallDisk::mount();
    let path = disk.path().join("versweep.db");
    drop(Store::open(&path).unwrap());
    disk.make_read_only();
    let told = Store::open(&path).unwrap_err();
    assert!(matches!(told, StoreError::ReadOnly { .. }), "{told}");
    assert!(told.to_string().ends_with("on a file system that is mounted read-write"), "{told}");
}

#[tokio::test(start_paused = true)]
#[ignore = "needs root to mount a tmpfs: run by make test"]
async fn a_full_disk_makes_sweeps_wait_and_loses_nothing() {
    let disk = SmallDisk::mount();
    let path = disk.path().join("versweep.db");
    let (store, loaded) = Store::open(&path).unwrap();
    let recorder = Recorder::start(store, loaded, judgement(), Arc::new(SystemClock));
    disk.fill();
    for device in 0..300 {
        for (second, version) in [(1, "17.9.4"), (2, "17.12.3")] {
            let observation = answered(&format!("device-{device}"), second, version);
            recorder.notes.send(Note::Visited(Box::new(observation))).await.unwrap();
        }
    }
    let (sender, mut answer) = oneshot::channel();
    recorder.notes.send(Note::Flush(sender)).await.unwrap();
    let before = recorder.pulse.beats();
    while recorder.pulse.beats() < before + 5 {
        // Paused time: this runs ahead to the next try.
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    assert!(answer.try_recv().is_err(), "nothing is said to be committed that is not");
    assert_eq!(recorder.snapshot.load().totals.visits, 0, "nothing is shown that is not committed");
    disk.free();
    answer.await.unwrap();
    // Seen for the first time, and upgraded.
    assert_eq!(Reader::open(&path).unwrap().changes(None, 10_000).unwrap().len(), 600);
    assert_eq!(recorder.snapshot.load().totals.visits, 600);
    drop(recorder.notes);
    recorder.done.await.unwrap().unwrap();
}

/// The daemon as a whole, with its courier: each change is told once, and only when there is room to remember it.
#[test]
#[ignore = "needs root to mount a tmpfs: run by make test"]
fn a_daemon_on_a_full_disk_waits_and_tells_each_change_once() {
    let (disk, site) = (SmallDisk::mount(), Site::new(3));
    let store = disk.path().join("versweep.db").display().to_string();
    let config = site.config("schedule = 'never'", 4).replace("versweep.db", &store);
    site.write("versweep.toml", &config);
    let mut daemon = site.daemon();
    let sweep = || {
        eventually("a sweep begins", || {
            request(site.web(), "POST", "/-/sweep").is_ok_and(|answer| answer.status == 202)
        });
    };
    let first_seen = || crate::site::events(&site.path("events.jsonl")).len();
    sweep();
    eventually("all are seen", || first_seen() == 3);

    disk.fill();
    let mut upgraded: Vec<String> = site.devices().iter().map(|device| site.upgrade(device, 1).1).collect();
    sweep();
    eventually("the full disk is told", || {
        daemon.log().iter().any(|line| line.contains("no room to write the store"))
    });
    assert!(site.events().is_empty(), "nothing is told that is not committed");
    disk.free();
    eventually("the changes are told", || site.events().len() >= 3);
    assert!(daemon.stop().success());
    let after = |event: &serde_json::Value| event["after"].as_str().unwrap().to_owned();
    let mut told: Vec<String> = site.events().iter().map(after).collect();
    told.sort_unstable();
    upgraded.sort_unstable();
    assert_eq!(told, upgraded, "each once");
}
