//! The policies on the recorder's desk: when the fleet is judged by them, and what of it is told.

use std::sync::Arc;

use chrono::{SecondsFormat, TimeDelta};

use super::fleet::Fleet;
use crate::activity::Judgement;
use crate::change::{Change, ChangeKind};
use crate::clock::Timestamp;
use crate::device::{Device, DeviceId, PlatformKey};
use crate::known::{Known, PolicyInfo, PolicyStanding};
use crate::observation::{Observation, SweepId};
use crate::platform::Platforms;
use crate::policy::{Book, Flip, Judged};

/// The shortest time between two looks at the whole fleet for facts that grow old: each device has a moment of its own.
const STALE_EVERY: TimeDelta = TimeDelta::minutes(1);

/// The policies with what they need to judge by.
pub(super) struct Policies {
    book: Book,
    platforms: Arc<Platforms>,
    /// When the whole fleet is to be judged again though nothing happens; absent when never.
    pub(super) due: Option<Timestamp>,
}

/// What judging the whole fleet comes to.
#[derive(Default)]
pub(super) struct Moved {
    /// Devices with results that are to be remembered.
    pub(super) standings: Vec<(DeviceId, Vec<PolicyStanding>)>,
    /// What is to be told.
    pub(super) changes: Vec<Change>,
}

/// Why the whole fleet is judged.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Occasion {
    /// Policies or inventory may be others.
    Reload,
    /// Time has passed.
    Time,
}

impl Policies {
    /// The judgement's policies; those that were in force before, as remembered, go on.
    pub(super) fn new(judgement: &Judgement, before: &[Arc<PolicyInfo>], now: Timestamp) -> Self {
        let book = Book::new(&judgement.policies, before, now);
        Self { book, platforms: Arc::clone(&judgement.platforms), due: None }
    }

    /// The policies, by name.
    pub(super) fn infos(&self) -> Vec<Arc<PolicyInfo>> {
        self.book.infos()
    }

    /// Judges a device after a visit, and gives what is to be told.
    pub(super) fn visited(
        &mut self,
        device: &Device,
        known: &mut Known,
        observation: &Observation,
        now: Timestamp,
    ) -> Vec<Change> {
        let judged = self.ask(device, known, now);
        known.standings = judged.standings;
        self.due = sooner(self.due, judged.stale_at.map(|at| at.max(now + STALE_EVERY)));
        let found =
            Found { sweep: Some(observation.sweep), at: observation.at, confirmed: observation.confirmed };
        judged.flips.into_iter().map(|flip| found.change(&device.id, &flip, "")).collect()
    }

    /// Judges all devices of the inventory.
    pub(super) fn judge(&mut self, fleet: &mut Fleet, now: Timestamp, occasion: Occasion) -> Moved {
        let mut stale_at = None;
        let moved = fleet.judge(|device, known| {
            let judged = self.ask(device, known, now);
            stale_at = sooner(stale_at, judged.stale_at);
            judged
        });
        let stale_at = stale_at.map(|at| at.max(now + STALE_EVERY));
        self.due = sooner(self.book.next_edge(now), stale_at);
        let found = Found { sweep: None, at: now, confirmed: true };
        let mut all = Moved::default();
        for (device, judged) in moved {
            let change = |flip: &Flip| found.change(&device, flip, &cause(flip, occasion, now));
            all.changes.extend(judged.flips.iter().map(change));
            all.standings.push((device, judged.standings));
        }
        all
    }

    fn ask(&mut self, device: &Device, known: &Known, now: Timestamp) -> Judged {
        let platforms = Arc::clone(&self.platforms);
        let scheme = |key: &PlatformKey| platforms.get(key).map(|profile| profile.scheme);
        self.book.judge(device.into(), known, now, &scheme)
    }
}

fn sooner(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    [a, b].into_iter().flatten().min()
}

/// Why a device that nobody visited stands otherwise.
fn cause(flip: &Flip, occasion: Occasion, now: Timestamp) -> String {
    match (occasion, flip.policy.grace_until) {
        (Occasion::Time, Some(until)) if until <= now => {
            format!("; the policy's grace ended {}", until.to_rfc3339_opts(SecondsFormat::Secs, true))
        }
        (Occasion::Time, _) => String::new(),
        (Occasion::Reload, _) if flip.policy.since == now => "; the policy has changed".to_owned(),
        (Occasion::Reload, _) => "; the inventory or the profile has changed".to_owned(),
    }
}

/// How a change was found.
struct Found {
    sweep: Option<SweepId>,
    at: Timestamp,
    confirmed: bool,
}

impl Found {
    fn change(&self, device: &DeviceId, flip: &Flip, cause: &str) -> Change {
        let kind = if flip.complies { ChangeKind::PolicyRegained } else { ChangeKind::PolicyLost };
        Change {
            of: device.clone().into(),
            sweep: self.sweep,
            at: self.at,
            kind,
            subject: flip.policy.name.clone(),
            before: flip.before.as_str().to_owned(),
            after: flip.after.result.as_str().to_owned(),
            why: format!("{}{cause}", flip.after.why),
            confirmed: self.confirmed,
        }
    }
}
