//! All policies together, made ready to be asked for a whole fleet: 100,000 devices by 50 policies within a second.
//!
//! What a policy says depends on platform, model and version, which few devices don't share with many others; so that is
//! worked out once for each such kind. What is left for each device is its labels, its age and how it stood before.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use chrono::TimeDelta;

use super::Policy;
use crate::clock::Timestamp;
use crate::device::{Device, DeviceId, Labels, PlatformKey};
use crate::duration::HumanDuration;
use crate::known::{Held, Known, KnownFacts, PolicyInfo, PolicyResult, PolicyStanding, Verdict};
use crate::version::Scheme;

/// The most kinds that are remembered. A fleet has hundreds; devices that make versions up must not fill the memory.
const KINDS_MAX: usize = 10_000;

/// How a platform orders its versions.
pub type SchemeOf<'a> = &'a dyn Fn(&PlatformKey) -> Option<Scheme>;

/// What each valid policy says of one kind of device; nothing where the policy doesn't cover the kind.
type Kind = Arc<[Option<Arc<Verdict>>]>;

/// The policies, sorted by name, with what they have said so far.
#[derive(Debug, Default)]
pub struct Book {
    entries: Vec<Entry>,
    kinds: HashMap<String, Kind>,
    /// The key of a kind in the making: asking must not allocate for each device.
    key: String,
}

#[derive(Debug)]
struct Entry {
    policy: Policy,
    info: Arc<PolicyInfo>,
    /// The selection without the platform, which is a matter of the kind.
    select: Vec<(String, Vec<String>)>,
    max_age: Option<TimeDelta>,
    unread: Arc<Verdict>,
    stale: Arc<Verdict>,
}

/// What the inventory says of a device, as far as policies ask for it.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Its name.
    pub id: &'a DeviceId,
    /// The platform that it is configured as.
    pub platform: &'a str,
    /// Its labels.
    pub labels: &'a Labels,
}

impl<'a> From<&'a Device> for Subject<'a> {
    fn from(device: &'a Device) -> Self {
        Self { id: &device.id, platform: device.platform.as_str(), labels: &device.labels }
    }
}

/// What the policies say of one device.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// How it stands by each policy that covers it, by the policies' names.
    pub standings: Vec<PolicyStanding>,
    /// Which of them it complied with and no longer does, or does again.
    pub flips: Vec<Flip>,
    /// When one of these standings becomes stale while nothing happens to the device.
    pub stale_at: Option<Timestamp>,
}

/// A policy that a device complied with and no longer does, or does again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flip {
    /// The policy.
    pub policy: Arc<PolicyInfo>,
    /// How it stood.
    pub before: PolicyResult,
    /// How it stands.
    pub after: Arc<Verdict>,
    /// Whether it complies now.
    pub complies: bool,
}

impl Book {
    /// A book of these policies. One that asks for what it asked for before has done so since then; any other one does
    /// from now on.
    #[must_use]
    pub fn new(policies: &[Policy], before: &[Arc<PolicyInfo>], now: Timestamp) -> Self {
        let mut entries: Vec<Entry> =
            policies.iter().map(|policy| Entry::new(policy.clone(), before, now)).collect();
        entries.sort_by(|a, b| a.info.name.cmp(&b.info.name));
        Self { entries, ..Self::default() }
    }

    /// The policies, by name.
    #[must_use]
    pub fn infos(&self) -> Vec<Arc<PolicyInfo>> {
        self.entries.iter().map(|entry| Arc::clone(&entry.info)).collect()
    }

    /// The next time, after this one, at which a policy begins, ends, or its grace is over.
    #[must_use]
    pub fn next_edge(&self, now: Timestamp) -> Option<Timestamp> {
        let edges = self.entries.iter().flat_map(|entry| {
            [entry.policy.valid_from, entry.policy.valid_until, entry.info.grace_until].into_iter().flatten()
        });
        edges.filter(|edge| *edge > now).min()
    }

    /// How a device stands by each policy that covers it now, given how it stood.
    pub fn judge(
        &mut self,
        subject: Subject<'_>,
        known: &Known,
        now: Timestamp,
        scheme: SchemeOf<'_>,
    ) -> Judged {
        let mut judged = Judged::default();
        if self.entries.is_empty() {
            return judged;
        }
        let kind = known.facts.as_ref().map(|facts| self.kind(facts, scheme));
        let mut before = known.standings.iter().peekable();
        for (place, entry) in self.entries.iter().enumerate() {
            let verdict = match &kind {
                Some(kind) => kind[place].as_ref(),
                None => entry.policy.covers_kind(subject.platform, None).then_some(&entry.unread),
            };
            let Some(verdict) = verdict.filter(|_| entry.policy.is_valid(now) && entry.selects(subject))
            else {
                continue;
            };
            // Both are sorted by name.
            while before.next_if(|standing| standing.policy.name < entry.info.name).is_some() {}
            let held = before.next_if(|standing| standing.policy.name == entry.info.name);
            judged.add(entry, verdict, known, held.and_then(|standing| standing.held), now);
        }
        judged
    }

    fn kind(&mut self, facts: &KnownFacts, scheme: SchemeOf<'_>) -> Kind {
        let reading = &facts.reading;
        let (platform, model) = (reading.platform.as_str(), reading.facts.model.as_deref());
        self.key.clear();
        // Lengths come first, so that no text from a device fits another kind's key.
        let model_length = model.map_or(-1, |model| i64::try_from(model.len()).unwrap_or(i64::MAX));
        let _infallible = write!(self.key, "{} {model_length} {platform}", platform.len());
        self.key.push_str(model.unwrap_or(""));
        self.key.push_str(reading.facts.version.as_str());
        if let Some(kind) = self.kinds.get(&self.key) {
            return Arc::clone(kind);
        }
        let scheme = scheme(&reading.platform);
        let say = |entry: &Entry| {
            let covers = entry.policy.covers_kind(platform, model);
            covers.then(|| Arc::new(entry.policy.verdict(reading, scheme)))
        };
        let kind: Kind = self.entries.iter().map(say).collect();
        if self.kinds.len() >= KINDS_MAX {
            self.kinds.clear();
        }
        self.kinds.insert(self.key.clone(), Arc::clone(&kind));
        kind
    }
}

impl Entry {
    fn new(policy: Policy, before: &[Arc<PolicyInfo>], now: Timestamp) -> Self {
        let asks = policy.asks();
        let unchanged = before.iter().find(|info| info.name == policy.name && info.asks == asks);
        let since = unchanged.map_or(now, |info| info.since);
        let grace = TimeDelta::from_std(policy.grace).ok().filter(|grace| !grace.is_zero());
        let info = PolicyInfo {
            name: policy.name.clone(),
            since,
            asks,
            grace_until: grace.and_then(|grace| since.checked_add_signed(grace)),
        };
        let select = policy.select.0.iter().filter(|(name, _)| *name != "platform");
        let age = policy.max_age.map_or_else(String::new, |age| HumanDuration(age).to_string());
        Self {
            info: Arc::new(info),
            select: select.map(|(name, wanted)| (name.clone(), wanted.clone())).collect(),
            max_age: policy.max_age.and_then(|age| TimeDelta::from_std(age).ok()),
            unread: Arc::new(Verdict::new(PolicyResult::Unknown, "it was never read")),
            stale: Arc::new(Verdict::new(
                PolicyResult::Stale,
                format!("it last answered more than {age} ago"),
            )),
            policy,
        }
    }

    fn selects(&self, subject: Subject<'_>) -> bool {
        self.select.iter().all(|(name, wanted)| {
            let value = match name.as_str() {
                "device" => Some(subject.id.as_str()),
                label => subject.labels.get(label),
            };
            value.is_some_and(|value| wanted.iter().any(|wanted| wanted == value))
        })
    }

    fn stale_at(&self, known: &Known) -> Option<Timestamp> {
        known.facts.as_ref()?.seen_at.checked_add_signed(self.max_age?)
    }

    /// Whether a result is within the policy; nothing where nobody can say. Drift is, in the grace of a changed policy,
    /// for a device that was not in breach before: who was has no new grace. A ban has none at all.
    fn complies(&self, result: PolicyResult, held: Option<Held>, now: Timestamp) -> Option<bool> {
        match result {
            PolicyResult::Preferred | PolicyResult::Approved => Some(true),
            PolicyResult::Drifted => {
                let graced = self.info.grace_until.is_some_and(|until| now < until);
                Some(graced && held.is_none_or(|held| held.complied))
            }
            PolicyResult::Banned => Some(false),
            PolicyResult::Unknown | PolicyResult::Stale => None,
        }
    }
}

impl Judged {
    fn add(
        &mut self,
        entry: &Entry,
        verdict: &Arc<Verdict>,
        known: &Known,
        held: Option<Held>,
        now: Timestamp,
    ) {
        let stale_at = entry.stale_at(known);
        let stale = stale_at.is_some_and(|at| at <= now);
        if !stale {
            self.stale_at = [self.stale_at, stale_at].into_iter().flatten().min();
        }
        let verdict = Arc::clone(if stale { &entry.stale } else { verdict });
        let complies = entry.complies(verdict.result, held, now);
        // What changes to and fro is told when it is calm: see `diff`.
        let flapping = known.flaps().facts.since.is_some();
        let said = complies.filter(|_| !flapping).map(|complied| Held { result: verdict.result, complied });
        if let (Some(said), Some(held)) = (said, held)
            && said.complied != held.complied
        {
            let (policy, after) = (Arc::clone(&entry.info), Arc::clone(&verdict));
            self.flips.push(Flip { policy, before: held.result, after, complies: said.complied });
        }
        let policy = Arc::clone(&entry.info);
        self.standings.push(PolicyStanding { policy, verdict, complies, held: said.or(held) });
    }
}
