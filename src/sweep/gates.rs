//! One gate for each credential, shared by all sweeps: its login budget and its breaker.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

use crate::breaker::{self, Breaker, Permission, Turn, Verdict};
use crate::budget::Budget;
use crate::device::{CredentialId, DeviceId};
use crate::failure::{FailureKind, Stage};
use crate::observation::Outcome;
use crate::status::GateStatus;

/// What the gates are to keep to. It comes from the configuration and may change at a reload.
/// The default has neither budgets nor breakers.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct GateRules {
    /// When breakers open.
    pub breaker: breaker::Rules,
    /// Logins a second by credential; one that isn't named has no budget of its own.
    pub logins_per_second: BTreeMap<CredentialId, f64>,
}

/// All gates.
#[derive(Debug)]
pub struct Gates {
    origin: Instant,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    rules: GateRules,
    gates: BTreeMap<CredentialId, Gate>,
}

#[derive(Debug)]
struct Gate {
    budget: Option<Budget>,
    breaker: Breaker,
}

impl Gate {
    fn new(credential: &CredentialId, rules: &GateRules) -> Self {
        let budget = rules.logins_per_second.get(credential).and_then(|rate| Budget::per_second(*rate));
        Self { budget, breaker: Breaker::new(rules.breaker) }
    }
}

/// What a gate says to a login.
#[derive(Debug)]
pub(super) enum Answer {
    /// Go, now.
    Go(Pass),
    /// Not before that instant: the budget is used up.
    NotBefore(Instant),
    /// Not at all in this sweep: the breaker is open.
    Held,
}

impl Gates {
    /// Gates that keep to these rules.
    #[must_use]
    pub fn new(rules: GateRules) -> Self {
        Self { origin: Instant::now(), inner: Mutex::new(Inner { rules, gates: BTreeMap::new() }) }
    }

    /// Other rules, from a reload. Open breakers stay open.
    pub fn set_rules(&self, rules: GateRules) {
        self.with(|inner| {
            for (credential, gate) in &mut inner.gates {
                let fresh = Gate::new(credential, &rules);
                gate.breaker.set_rules(rules.breaker);
                if gate.budget.as_ref().map(Budget::rate) != fresh.budget.as_ref().map(Budget::rate) {
                    gate.budget = fresh.budget;
                }
            }
            inner.rules = rules;
        });
    }

    /// Every credential that was used or has a budget.
    #[must_use]
    pub fn status(&self) -> Vec<GateStatus> {
        self.with(|inner| {
            let budgets = inner.rules.logins_per_second.keys();
            let named: std::collections::BTreeSet<_> = inner.gates.keys().chain(budgets).cloned().collect();
            let status = |credential: CredentialId| GateStatus {
                open: inner.gates.get(&credential).is_some_and(|gate| gate.breaker.is_open()),
                logins_per_second: inner.rules.logins_per_second.get(&credential).copied(),
                credential,
            };
            named.into_iter().map(status).collect()
        })
    }

    /// Asks for one login to a device.
    pub(super) fn ask(
        self: &Arc<Self>,
        credential: &CredentialId,
        device: &DeviceId,
        known_good: bool,
    ) -> Answer {
        let now = self.origin.elapsed();
        let answer = self.with(|inner| {
            let rules = &inner.rules;
            let gate = inner.gates.entry(credential.clone()).or_insert_with(|| Gate::new(credential, rules));
            if gate.breaker.is_open() && gate.breaker.ask(device, known_good, now) == Permission::Held {
                return Err(None);
            }
            match gate.budget.as_mut().map(|budget| budget.take(now)) {
                Some(Err(until)) => {
                    // A canary that has to wait is none: whoever comes next may be it.
                    gate.breaker.tell(device, Verdict::Silent, now);
                    Err(Some(until))
                }
                _ => Ok(()),
            }
        });
        match answer {
            Ok(()) => Answer::Go(Pass {
                gates: Arc::clone(self),
                credential: credential.clone(),
                device: device.clone(),
                told: false,
            }),
            Err(Some(until)) => Answer::NotBefore(self.origin + until),
            Err(None) => Answer::Held,
        }
    }

    fn tell(&self, credential: &CredentialId, device: &DeviceId, verdict: Verdict) {
        let now = self.origin.elapsed();
        let turn = self.with(|inner| inner.gates.get_mut(credential)?.breaker.tell(device, verdict, now));
        match turn {
            Some(Turn::Opened) => warn!(%credential,
                "breaker open: this credential was refused on several devices; no further login with it until a device that is known to be good has taken it again"),
            Some(Turn::Closed) => info!(%credential, %device, "breaker closed: the credential is good again"),
            None => {}
        }
    }

    fn with<R>(&self, act: impl FnOnce(&mut Inner) -> R) -> R {
        act(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The permission for one login. Its outcome is told to the breaker, also when the visit panics or is broken off.
#[derive(Debug)]
pub(super) struct Pass {
    gates: Arc<Gates>,
    credential: CredentialId,
    device: DeviceId,
    told: bool,
}

impl Pass {
    /// Tells how the visit ended.
    pub(super) fn ended(mut self, outcome: &Outcome) {
        self.told = true;
        self.gates.tell(&self.credential, &self.device, verdict(outcome));
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if !self.told {
            self.gates.tell(&self.credential, &self.device, Verdict::Silent);
        }
    }
}

fn verdict(outcome: &Outcome) -> Verdict {
    match outcome {
        Outcome::Answered { .. } => Verdict::Accepted,
        Outcome::Failed { failure, .. } if failure.kind == FailureKind::Auth => Verdict::Refused,
        // Whoever came past the login was let in.
        Outcome::Failed { failure, .. } if matches!(failure.stage, Stage::Command | Stage::Parse) => {
            Verdict::Accepted
        }
        Outcome::Failed { .. } => Verdict::Silent,
    }
}

/// A pause that no budget ever asks for, for waits that have no other end.
pub(super) const NEVER: Duration = Duration::from_secs(365 * 86_400);
