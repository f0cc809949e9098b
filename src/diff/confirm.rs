//! What must be read twice before it is told (rule 12), and whether two readings agree.

use super::delta::Delta;
use super::{answers, parts};
use crate::facts::{Facts, Reading};

/// Whether an answer differs from the last one in a way that is read a second time before it becomes a change: another
/// version, another box, other members, patches or image. What another profile reads differently is no change of the
/// device, but for a version: nobody can tell then which of the two is right.
#[must_use]
pub fn wants_second_reading(last: &Reading, reading: &Reading) -> bool {
    let (before, after) = (&last.facts, &reading.facts);
    before.version != after.version
        || (answers::read_alike(last, reading) && disagreement(before, after).is_some())
}

/// What two answers of one device differ in though nothing should have happened between them; nothing where they agree.
/// Uptime and host name may differ.
#[must_use]
pub fn disagreement(first: &Facts, second: &Facts) -> Option<String> {
    let delta = Delta::between(first, second);
    if let Some(swap) = &delta.version {
        return Some(format!("version {} and then {}", swap.before, swap.after));
    }
    let fields = [("model", &delta.model), ("serial number", &delta.serial), ("image", &delta.image)];
    for (name, swap) in fields {
        if let Some((before, after)) = swap.as_ref().and_then(super::Swap::both) {
            return Some(format!("{name} {before} and then {after}"));
        }
    }
    let changed = parts::members_changed(first, second).or_else(|| parts::patched(first, second))?;
    Some(format!("{} and then {}", changed.before, changed.after))
}
