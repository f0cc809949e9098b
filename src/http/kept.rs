//! What the store adds to what the snapshot has of a device.

use super::problem::Refusal;
use super::readers::Readers;
use crate::known::DeviceState;
use crate::store::{ChangeFilter, ChangeRow, ChangeSort, HistoryRange, StoredRaw, Turn};

/// The past of one device.
pub(super) struct Kept {
    /// The versions that it ran, oldest first.
    pub(super) history: Vec<HistoryRange>,
    /// Its changes, as many as were asked for.
    pub(super) changes: Vec<ChangeRow>,
    /// What it said at its last visit, where that failed.
    pub(super) failure: Option<StoredRaw>,
}

impl Kept {
    /// Reads it, with the first changes of that order.
    pub(super) async fn read(
        readers: &Readers,
        of: &DeviceState,
        turn: Turn<ChangeSort, i64>,
        limit: usize,
    ) -> Result<Self, Refusal> {
        let (device, failed) = (of.device.id.clone(), of.known.is_up() == Some(false));
        let read = readers.read(move |reader| {
            let filter = ChangeFilter { device: Some(device.clone()), ..ChangeFilter::default() };
            Ok(Self {
                history: reader.history(&device)?,
                changes: reader.changes_sorted(&filter, turn, limit)?,
                failure: if failed { reader.raw_of_failure(&device)? } else { None },
            })
        });
        read.await
    }
}
