//! Devices that left the inventory, are back or go by other names, as changes.

use chrono::SecondsFormat;

use super::fleet::Moves;
use crate::change::{Change, ChangeKind};
use crate::clock::Timestamp;
use crate::device::DeviceId;
use crate::store::Renaming;

/// The changes that a new inventory means: other names first, then what is gone.
pub(super) fn changes(moves: Moves, now: Timestamp) -> Vec<Change> {
    let renamed = moves.renamed.into_iter().map(|Renaming { from, to }| {
        let why = format!(
            "the inventory knows it by a stable identity and calls it {to} now; its past moved along"
        );
        let (before, after) = (from.to_string(), to.to_string());
        Change { before, after, ..change(to, now, ChangeKind::Renamed, ["", ""], why) }
    });
    let removed = moves.removed.into_iter().map(|device| {
        let why = "the inventory no longer has it; what is known of it is kept".to_owned();
        change(device, now, ChangeKind::Removed, ["in the inventory", "removed"], why)
    });
    let returned = moves.returned.into_iter().map(|(device, since)| {
        let since = since.to_rfc3339_opts(SecondsFormat::Secs, true);
        let why = format!("the inventory has it again, it was removed {since}");
        change(device, now, ChangeKind::Returned, ["removed", "in the inventory"], why)
    });
    renamed.chain(removed).chain(returned).collect()
}

fn change(device: DeviceId, at: Timestamp, kind: ChangeKind, sides: [&str; 2], why: String) -> Change {
    let [before, after] = sides.map(str::to_owned);
    Change {
        of: device.into(),
        sweep: None,
        at,
        kind,
        subject: String::new(),
        before,
        after,
        why,
        confirmed: true,
    }
}
