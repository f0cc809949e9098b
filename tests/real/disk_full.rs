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
