//! Which versions may run where: policies, and what they say of a device. Pure; the recorder asks, at each change for one
//! device and at each reload for all.
//!
//! A policy covers devices by labels, platform and model. Of those it says, in this order: `unknown` (never read),
//! `stale` (read too long ago), `banned`, `drifted` (below the minimum), `preferred`, `approved`, else `drifted`. A version
//! that can't be ordered against a bound is never taken to keep it.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::device::{PlatformKey, Selector};
use crate::facts::Reading;
use crate::version::{Scheme, Version};

mod book;
mod model;
mod odd;
mod range;

pub use self::book::{Book, Flip, Judged, SchemeOf, Subject};
pub use self::model::ModelPattern;
pub use self::odd::{Majority, is_majority, majorities};
pub use self::range::{Answer, BadPattern, Bound, Pattern, Side};
use crate::known::{PolicyResult, Verdict};

/// The most policies.
pub const POLICIES_MAX: usize = 1000;

/// One `[[policy]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Its name: unique, a metric label, the subject of its events.
    pub name: String,
    /// Which devices; `platform` is the one that they answered as.
    pub select: Selector,
    /// Which models; any where there is none. A device whose model isn't known is not covered by a policy with models.
    pub models: Vec<ModelPattern>,
    /// What may run, besides the preferred ones. Empty leaves it to `minimum`, or else to `banned`.
    pub approved: Vec<Pattern>,
    /// What should run.
    pub preferred: Vec<Pattern>,
    /// Nothing below it is approved, even where `approved` has it.
    pub minimum: Option<Version>,
    /// What must not run.
    pub banned: Vec<Ban>,
    /// Before this it says nothing.
    pub valid_from: Option<Timestamp>,
    /// From this on it says nothing.
    pub valid_until: Option<Timestamp>,
    /// So long after it changed, drift from it is no breach.
    pub grace: Duration,
    /// Facts older than this say nothing.
    pub max_age: Option<Duration>,
}

/// A version that must not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ban {
    /// Which versions.
    pub versions: Pattern,
    /// Why: a CVE, an advisory. May be empty.
    pub reason: String,
}

impl Policy {
    /// Whether it says anything at that time.
    #[must_use]
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.valid_from.is_none_or(|from| from <= now) && self.valid_until.is_none_or(|until| now < until)
    }

    /// Whom it covers and what it asks for, as one text: when that differs the policy has changed, and its grace begins.
    #[must_use]
    pub fn asks(&self) -> String {
        let mut parts = Vec::new();
        for (name, values) in &self.select.0 {
            parts.push(format!("{name} = {}", values.join(" | ")));
        }
        let mut list = |name: &str, texts: Vec<String>| {
            if !texts.is_empty() {
                parts.push(format!("{name} {}", texts.join(" | ")));
            }
        };
        list("model", self.models.iter().map(ToString::to_string).collect());
        list("approved", self.approved.iter().map(ToString::to_string).collect());
        list("preferred", self.preferred.iter().map(ToString::to_string).collect());
        list("minimum", self.minimum.iter().map(ToString::to_string).collect());
        list("banned", self.banned.iter().map(|ban| ban.versions.to_string()).collect());
        parts.join("; ")
    }

    /// Whether platform and model are covered: all of the selection that doesn't depend on the device's name and labels.
    fn covers_kind(&self, platform: &str, model: Option<&str>) -> bool {
        let wanted = self.select.0.get("platform");
        wanted.is_none_or(|wanted| wanted.iter().any(|wanted| wanted == platform))
            && (self.models.is_empty()
                || model.is_some_and(|model| self.models.iter().any(|pattern| pattern.matches(model))))
    }

    /// What it says of a version that was read.
    #[must_use]
    pub fn verdict(&self, reading: &Reading, scheme: Option<Scheme>) -> Verdict {
        let (version, by) = (&reading.facts.version, &reading.platform);
        let drifted = |why: String| Verdict::new(PolicyResult::Drifted, why);
        let bans = || self.banned.iter().map(|ban| (ban, ban.versions.answer(version, scheme)));
        if let Some((ban, _)) = bans().find(|(_, answer)| *answer == Answer::Yes) {
            return Verdict::new(PolicyResult::Banned, ban.reason_for(version));
        }
        if let Some(problem) = self.below_minimum(version, by, scheme) {
            return drifted(problem);
        }
        let answers = |patterns: &[Pattern]| best(patterns.iter().map(|p| p.answer(version, scheme)));
        let (preferred, approved) = (answers(&self.preferred), answers(&self.approved));
        if preferred == Answer::Yes {
            return Verdict::new(PolicyResult::Preferred, format!("{version} is preferred"));
        }
        if approved == Answer::Yes {
            return Verdict::new(PolicyResult::Approved, format!("{version} is approved"));
        }
        if self.approves_by_list() {
            let unordered = [preferred, approved].contains(&Answer::Unordered);
            let beside = match unordered {
                true => format!(" and has no order against some of their bounds on {by}"),
                false => String::new(),
            };
            return drifted(format!("{version} is not among the approved versions{beside}"));
        }
        // Only a floor, or only bans: what they don't forbid is approved, unless nobody can tell.
        if let Some((ban, _)) = bans().find(|(_, answer)| *answer == Answer::Unordered) {
            let why = format!("{version} has no order against the banned {} on {by}", ban.versions);
            return Verdict::new(PolicyResult::Unknown, why);
        }
        let why = match &self.minimum {
            Some(minimum) => format!("{version} is at least {minimum}"),
            None => format!("{version} is not banned"),
        };
        Verdict::new(PolicyResult::Approved, why)
    }

    /// Whether only what is listed is approved. Preferred versions beside a minimum are no list: the minimum approves.
    fn approves_by_list(&self) -> bool {
        !self.approved.is_empty() || (self.minimum.is_none() && !self.preferred.is_empty())
    }

    fn below_minimum(&self, version: &Version, by: &PlatformKey, scheme: Option<Scheme>) -> Option<String> {
        let minimum = self.minimum.as_ref()?;
        match Pattern::at_least(minimum.clone()).answer(version, scheme) {
            Answer::Yes => None,
            Answer::No => Some(format!("{version} is below the minimum {minimum}")),
            Answer::Unordered => {
                Some(format!("{version} has no order against the minimum {minimum} on {by}"))
            }
        }
    }
}

impl Ban {
    fn reason_for(&self, version: &Version) -> String {
        let reason = match self.reason.as_str() {
            "" => String::new(),
            reason => format!(": {reason}"),
        };
        match &self.versions {
            Pattern::Exact(_) => format!("{version} is banned{reason}"),
            pattern => format!("{version} is banned by {pattern}{reason}"),
        }
    }
}

/// A yes of any is one; nobody's yes is a no only where all are sure.
fn best(answers: impl Iterator<Item = Answer>) -> Answer {
    answers.fold(Answer::No, |best, answer| match (best, answer) {
        (Answer::Yes, _) | (_, Answer::Yes) => Answer::Yes,
        (Answer::Unordered, _) | (_, Answer::Unordered) => Answer::Unordered,
        _ => Answer::No,
    })
}
