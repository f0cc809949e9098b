//! A store beside a made-up snapshot, for the tests of what reads both.

use std::path::PathBuf;
use std::sync::Arc;

use tempfile::TempDir;
use versweep::change::Change;
use versweep::device::DeviceId;
use versweep::known::{DeviceState, Known, Snapshot};
use versweep::store::{Batch, Reader, Store, Visit};

/// A store that holds what the snapshot shows: every visit, the changes, the sweeps.
pub(crate) fn store(snapshot: &Snapshot) -> TempDir {
    let folder = TempDir::new().unwrap();
    let (mut store, _) = Store::open(&path_in(&folder)).unwrap();
    let changes_of = |id: &DeviceId| {
        let of_it = snapshot.recent_changes.iter().filter(move |change| change.device() == Some(id));
        of_it.map(|change| Change::clone(change)).collect()
    };
    let visit = |state: &Arc<DeviceState>| Visit {
        device: state.device.id.clone(),
        before: Known::default(),
        after: state.known.clone(),
        changes: changes_of(&state.device.id),
        labels: None,
        raw: Some("a line\nand \u{1b}[31manother\n".into()),
    };
    let visits = snapshot.devices.iter().filter(|state| state.known.visit.is_some()).map(visit).collect();
    let mut sweeps = snapshot.last_sweeps.clone();
    sweeps.sort_by_key(|sweep| sweep.started);
    store.commit(&Batch { visits, sweeps, totals: snapshot.totals.clone(), ..Batch::default() }).unwrap();
    folder
}

/// Where [`store`] keeps it.
pub(crate) fn path_in(folder: &TempDir) -> PathBuf {
    folder.path().join("versweep.db")
}

/// The newest sequence of its outbox.
pub(crate) fn last_sequence(folder: &TempDir) -> i64 {
    Reader::open(&path_in(folder)).unwrap().last_sequence().unwrap()
}
