//! Hysteresis: a device that changes to and fro makes one `flapping` event, not fifty. Each axis counts its own changes
//! within a window. At the limit `flapping` is told in the place of the change; then nothing of that axis, until a visit
//! finds that it has been calm for a whole window. The end is told by what it came to.

use chrono::{SecondsFormat, TimeDelta};

use super::{Found, Rules};
use crate::change::ChangeKind;
use crate::clock::Timestamp;
use crate::known::Flap;

/// When changes on one axis are flapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlapRules {
    /// So many changes within the window are flapping; 0 never is.
    pub changes: u32,
    /// The window, and how long it must be calm.
    pub window: TimeDelta,
}

impl Default for FlapRules {
    /// Three outages, or three upgrades that were taken back, within six hours.
    fn default() -> Self {
        Self { changes: 6, window: TimeDelta::hours(6) }
    }
}

/// What a visit means for one axis.
pub(super) enum Turn {
    /// Tell what was found, if anything was.
    Tell,
    /// Tell `flapping` in its place.
    Begins,
    /// Tell nothing.
    Hold,
    /// Tell how it ended.
    Ends,
}

impl FlapRules {
    /// Nothing is ever flapping.
    pub const OFF: Self = Self { changes: 0, window: TimeDelta::zero() };

    /// Times of before a clock was set are within no window: what is ahead of now by more than one is as far as what is past.
    fn is_within(&self, time: Timestamp, at: Timestamp) -> bool {
        (at - time).abs() < self.window
    }

    /// The turn that an axis takes with this visit.
    pub(super) fn turn(&self, flap: &Flap, changed: bool, at: Timestamp) -> Turn {
        match (flap.since, changed) {
            (Some(_), true) => Turn::Hold,
            (Some(_), false) => {
                let calm = flap.recent.last().is_none_or(|last| !self.is_within(*last, at));
                if calm || self.changes == 0 { Turn::Ends } else { Turn::Hold }
            }
            (None, true) if self.limit_reached(flap, at) => Turn::Begins,
            (None, _) => Turn::Tell,
        }
    }

    fn limit_reached(&self, flap: &Flap, at: Timestamp) -> bool {
        let before = flap.recent.iter().filter(|time| self.is_within(**time, at)).count();
        self.changes > 0 && before + 1 >= usize::try_from(self.changes).unwrap_or(usize::MAX)
    }

    /// The axis after the visit. `told` is what people last heard of it, where this visit tells it.
    pub(super) fn after(&self, flap: &Flap, changed: bool, at: Timestamp, told: &str) -> Flap {
        let mut next = flap.clone();
        let turn = self.turn(flap, changed, at);
        if changed && self.changes > 0 {
            next.recent.retain(|time| self.is_within(*time, at));
            next.recent.push(at);
            let kept = next.recent.len().saturating_sub(usize::try_from(self.changes).unwrap_or(usize::MAX));
            next.recent.drain(..kept);
        }
        match turn {
            Turn::Begins => {
                next.since = Some(at);
                told.clone_into(&mut next.told);
            }
            Turn::Ends => next = Flap::default(),
            Turn::Tell | Turn::Hold => {}
        }
        next
    }
}

/// The `flapping` event of an axis, in the place of what was found.
pub(super) fn begins(axis: &'static str, flap: &Flap, found: &Found, rules: &Rules<'_>) -> Found {
    let changes = flap.recent.len() + 1;
    let minutes = rules.flapping.window.num_minutes();
    let why =
        format!("{changes} changes within {minutes} minutes, the last one: {} ({})", found.kind, found.why);
    let flapping = Found::new(ChangeKind::Flapping, &found.before, &found.after, why);
    Found { subject: axis, confirmed: true, ..flapping }
}

/// How long it went on, for the event that ends it.
pub(super) fn calm_since(flap: &Flap) -> String {
    let since = flap.since.map(|since| since.to_rfc3339_opts(SecondsFormat::Secs, true));
    format!("calm again, it was flapping since {}", since.unwrap_or_default())
}
