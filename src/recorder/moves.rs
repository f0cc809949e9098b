//! Devices that left the inventory or are back, as changes.

use chrono::SecondsFormat;

use super::fleet::Moves;
use crate::change::{Change, ChangeKind};
use crate::clock::Timestamp;
use crate::device::DeviceId;

/// The changes that a new inventory means: what is gone first.
pub(super) fn changes(moves: Moves, now: Timestamp) -> Vec<Change> {
    let removed = moves.removed.into_iter().map(|device| {
        let why = "the inventory no longer has it; what is known of it is kept".to_owned();
        change(device, now, ChangeKind::Removed, ["in the inventory", "removed"], why)
    });
    let returned = moves.returned.into_iter().map(|(device, since)| {
        let since = since.to_rfc3339_opts(SecondsFormat::Secs, true);
        let why = format!("the inventory has it again, it was removed {since}");
        change(device, now, ChangeKind::Returned, ["removed", "in the inventory"], why)
    });
    removed.chain(returned).collect()
}

fn change(device: DeviceId, at: Timestamp, kind: ChangeKind, sides: [&str; 2], why: String) -> Change {
    let [before, after] = sides.map(str::to_owned);
    Change { device, sweep: None, at, kind, subject: String::new(), before, after, why, confirmed: true }
}
