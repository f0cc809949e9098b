//! What the log is told of the inventory: what is worth a look in it, once and not at every look.

use std::collections::BTreeMap;

use tracing::{error, info, warn};

use super::world::World;
use crate::inventory::{Cause, Dropped, Verdict};
use crate::transport::ssh::SshTransport;

/// Conflicts, and dropped entries of one source, that are told one by one; `versweep inventory` tells all.
const TOLD_MAX: usize = 5;

/// Tells what a look at one source came to: what is new, and a trouble where it is another one than before.
pub(super) fn refresh(source: &str, old: &World<SshTransport>, new: &World<SshTransport>, verdict: Verdict) {
    let of = |world: &World<SshTransport>| {
        let stock = world.stocks.iter().find(|stock| stock.source.name == source);
        stock.map(|stock| (stock.status(), stock.trouble().cloned()))
    };
    let (Some((_, before)), Some((status, now))) = (of(old), of(new)) else { return };
    match (&before, &now) {
        (before, Some(now)) if before.as_ref() != Some(now) => {
            let (reason, devices) = (now.kind.as_str(), status.devices);
            error!(source, reason, devices, "inventory not refreshed, the last good list is used: {now}");
        }
        (Some(_), None) => info!(source, devices = status.devices, "inventory refreshed again"),
        _ => {}
    }
    if verdict != Verdict::New {
        // A list that differs only in what can't be used makes no other inventory.
        return dropped(Some(old), new);
    }
    info!(
        source,
        devices = status.devices,
        dropped = status.dropped,
        all = new.inventory.devices.len(),
        "another inventory"
    );
    inventory(Some(old), new);
}

/// Tells what is worth a look in an inventory and was not in the one before: warnings, conflicts, entries that can't be used.
pub(super) fn inventory(old: Option<&World<SshTransport>>, new: &World<SshTransport>) {
    let before = old.map(World::warnings).unwrap_or_default();
    for warning in new.warnings().iter().filter(|warning| !before.contains(warning)) {
        warn!("{warning}");
    }
    let known = |conflict: &&_| old.is_none_or(|old| !old.inventory.conflicts.contains(conflict));
    let conflicts: Vec<_> = new.inventory.conflicts.iter().filter(known).collect();
    for conflict in conflicts.iter().take(TOLD_MAX) {
        warn!("inventory conflict: {conflict}");
    }
    rest(conflicts.len(), "conflicts of the inventory");
    dropped(old, new);
}

/// What relabelling drops is dropped by somebody's wish, and no news.
fn dropped(old: Option<&World<SshTransport>>, new: &World<SshTransport>) {
    let before: Vec<_> = old.into_iter().flat_map(World::dropped).filter(is_wrong).collect();
    let mut by_source: BTreeMap<&str, usize> = BTreeMap::new();
    for (source, dropped) in new.dropped().filter(is_wrong).filter(|entry| !before.contains(entry)) {
        let count = by_source.entry(source).or_default();
        *count += 1;
        if *count <= TOLD_MAX {
            warn!(source, "{} ({}) is dropped: {}", dropped.title, dropped.place, dropped.why);
        }
    }
    for (source, count) in by_source {
        rest(count, &format!("dropped entries of {source}"));
    }
}

fn is_wrong(entry: &(&str, &Dropped)) -> bool {
    entry.1.cause == Cause::Wrong
}

fn rest(count: usize, what: &str) {
    if count > TOLD_MAX {
        warn!("and {} more {what}: `versweep inventory` tells all", count - TOLD_MAX);
    }
}
