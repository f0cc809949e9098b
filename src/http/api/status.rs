//! `/api/v1/status`: what the daemon is doing at this moment, and what is wrong, in one document.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::params::{Params, Query};
use super::sweeps::SweepEntry;
use crate::clock::Timestamp;
use crate::http::index::{Filter, Index};
use crate::http::problem::Refusal;
use crate::http::view::shown;
use crate::http::{Desk, Readiness};
use crate::known::{PolicyResult, Reach, Snapshot};
use crate::metrics::Live;
use crate::status::{GateStatus, LimitStatus, SinkStatus, SourceStatus};

/// Limits in one answer: there may be one for each site, and those that bind stand first.
const LIMITS_MAX: usize = 100;

/// All of it.
#[derive(Debug, Serialize)]
pub(super) struct Status {
    version: &'static str,
    revision: &'static str,
    /// What the daemon's clock shows.
    now: Timestamp,
    /// For how long it has served, whatever was done to its clock.
    up_seconds: u64,
    stopping: bool,
    /// `null` where there is nothing to reload.
    last_reload_successful: Option<bool>,
    devices: DeviceCounts,
    /// Devices whose last visit failed, by reason; those that there are.
    failing: BTreeMap<String, usize>,
    /// Devices by their standing; `null` without policies.
    policies: Option<PolicyCounts>,
    workers: WorkersEntry,
    waiting: WaitingEntry,
    credentials: Vec<CredentialEntry>,
    limits: Vec<LimitEntry>,
    sweeps: Vec<SweepEntry>,
    /// Visits that ended, since the store was made.
    visits: u64,
    /// Visits that failed, by reason, since the store was made; those that there are.
    visit_failures: BTreeMap<&'static str, u64>,
    sinks: Vec<SinkEntry>,
    sources: Vec<SourceEntry>,
    store_bytes: Option<u64>,
}

#[derive(Debug, Serialize)]
struct DeviceCounts {
    total: usize,
    #[serde(flatten)]
    by_state: BTreeMap<&'static str, usize>,
}

impl DeviceCounts {
    fn of(index: &Index) -> Self {
        let counts = index.states(&index.choose(&Filter::default()));
        let of = |reach: Reach| {
            let count = counts.iter().find(|(name, _)| **name == *reach.as_str());
            (reach.as_str(), count.map_or(0, |(_, count)| *count))
        };
        Self { total: index.len(), by_state: Reach::ALL.map(of).into() }
    }
}

/// A device counts once, however many policies say so.
#[derive(Debug, Serialize)]
struct PolicyCounts {
    drifted: usize,
    banned: usize,
}

impl PolicyCounts {
    fn of(index: &Index) -> Option<Self> {
        let count = |result: PolicyResult| {
            let result = vec![result.as_str().to_owned()];
            index.choose(&Filter { result, ..Filter::default() }).count()
        };
        (!index.snapshot.policies.is_empty())
            .then(|| Self { drifted: count(PolicyResult::Drifted), banned: count(PolicyResult::Banned) })
    }
}

#[derive(Debug, Serialize)]
struct WorkersEntry {
    busy: usize,
    limit: usize,
}

/// Devices that are not visited though a sweep wants them, by what they wait for.
#[derive(Debug, Serialize)]
struct WaitingEntry {
    worker: usize,
    /// By what the limit goes by.
    limit: BTreeMap<String, usize>,
    login_budget: usize,
    spread: usize,
    visited: usize,
    blackout: usize,
    hold_off: usize,
    breaker: usize,
}

impl WaitingEntry {
    fn of(live: &Live, snapshot: &Snapshot) -> Self {
        let waiting = &live.waiting;
        Self {
            worker: waiting.worker,
            limit: waiting.limit.iter().map(|(by, count)| (shown(by), *count)).collect(),
            login_budget: waiting.budget,
            spread: waiting.spread,
            visited: waiting.visited,
            blackout: waiting.blackout,
            hold_off: live.held_off,
            breaker: live.behind_breakers(snapshot),
        }
    }
}

#[derive(Debug, Serialize)]
struct CredentialEntry {
    credential: String,
    /// Whether it was refused on several devices and nobody logs in with it.
    breaker_open: bool,
    breaker_since: Option<Timestamp>,
    /// When one device is tried with it again.
    breaker_until: Option<Timestamp>,
    /// Its budget; `null` without one.
    logins_per_second: Option<f64>,
}

impl CredentialEntry {
    fn of(gate: &GateStatus, snapshot: &Snapshot) -> Self {
        let open = snapshot.breakers.iter().find(|breaker| breaker.credential == gate.credential);
        Self {
            credential: shown(gate.credential.as_str()),
            breaker_open: gate.open,
            breaker_since: open.filter(|_| gate.open).map(|breaker| breaker.since),
            breaker_until: open.filter(|_| gate.open).map(|breaker| breaker.until),
            logins_per_second: gate.logins_per_second,
        }
    }
}

#[derive(Debug, Serialize)]
struct LimitEntry {
    by: String,
    value: String,
    busy: usize,
    /// `null` where only logins are limited.
    max: Option<usize>,
}

/// The limits that visits go on within, those with the least room first.
fn limits(all: &[LimitStatus]) -> Vec<LimitEntry> {
    let mut busy: Vec<&LimitStatus> = all.iter().filter(|limit| limit.busy > 0).collect();
    let room = |limit: &LimitStatus| limit.max.map_or(usize::MAX, |max| max.saturating_sub(limit.busy));
    busy.sort_by_key(|limit| (room(limit), Reverse(limit.busy)));
    busy.truncate(LIMITS_MAX);
    let entry = |limit: &LimitStatus| LimitEntry {
        by: shown(&limit.by),
        value: shown(&limit.value),
        busy: limit.busy,
        max: limit.max,
    };
    busy.into_iter().map(entry).collect()
}

#[derive(Debug, Serialize)]
struct SinkEntry {
    sink: String,
    /// Events not delivered yet.
    pending: u64,
    oldest_pending: Option<Timestamp>,
    held_devices: u64,
    /// Events given up that can be asked for again.
    dead_letters: u64,
    delivered: u64,
    /// Failed tries since the daemon's start.
    failed_tries: u64,
}

impl SinkEntry {
    fn of((name, sink): &(String, SinkStatus)) -> Self {
        Self {
            sink: shown(name),
            pending: sink.pending,
            oldest_pending: sink.oldest_pending,
            held_devices: sink.held_devices,
            dead_letters: sink.kept,
            delivered: sink.deliveries,
            failed_tries: sink.failures,
        }
    }
}

#[derive(Debug, Serialize)]
struct SourceEntry {
    source: String,
    devices: usize,
    /// Why the last look brought nothing that could be used.
    failure: Option<&'static str>,
    /// Whether a shorter list waits for a confirmation.
    unconfirmed: bool,
    last_success: Option<Timestamp>,
}

impl SourceEntry {
    fn of(source: &SourceStatus) -> Self {
        Self {
            source: shown(&source.source),
            devices: source.devices,
            failure: source.failure.map(|failure| failure.as_str()),
            unconfirmed: source.pending.is_some(),
            last_success: source.good,
        }
    }
}

/// What the daemon is doing.
pub(super) async fn status(State(desk): State<Arc<Desk>>, query: Query) -> Result<Json<Status>, Refusal> {
    Params::known(query, &[])?;
    let index = desk.indexes.now().await?;
    let (live, snapshot) = ((desk.app.live)(), &*index.snapshot);
    let failing = index.failures(&index.choose(&Filter::default()));
    let (handles, failures) = (desk.app.sweeps.load(), &snapshot.totals.failures);
    Ok(Json(Status {
        version: live.build.version,
        revision: live.build.revision,
        now: desk.app.clock.now(),
        up_seconds: desk.opened.elapsed().as_secs(),
        stopping: *desk.app.readiness.borrow() == Readiness::Stopping,
        last_reload_successful: live.reload.as_ref().map(|reload| reload.successful),
        devices: DeviceCounts::of(&index),
        failing: failing.into_iter().map(|(reason, count)| (reason.to_string(), count)).collect(),
        policies: PolicyCounts::of(&index),
        workers: WorkersEntry { busy: live.workers.busy, limit: live.workers.limit },
        waiting: WaitingEntry::of(&live, snapshot),
        credentials: live.gates.iter().map(|gate| CredentialEntry::of(gate, snapshot)).collect(),
        limits: limits(&live.limits),
        sweeps: handles.iter().map(|handle| SweepEntry::of(handle, snapshot, &live.forecasts)).collect(),
        visits: snapshot.totals.visits,
        visit_failures: failures.iter().map(|(kind, count)| (kind.as_str(), *count)).collect(),
        sinks: live.sinks.iter().map(SinkEntry::of).collect(),
        sources: live.sources.iter().map(SourceEntry::of).collect(),
        store_bytes: live.store_bytes,
    }))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::device::CredentialId;
    use crate::known::OpenBreaker;

    #[test]
    fn a_breaker_is_told_with_its_times_while_it_is_open() {
        let gate = |name: &str, open| GateStatus {
            credential: CredentialId::new(name).unwrap(),
            open,
            logins_per_second: None,
        };
        let since = Timestamp::from_timestamp(1_000_000, 0).unwrap();
        let until = since + Duration::from_secs(600);
        let credential = CredentialId::new("netops").unwrap();
        let snapshot =
            Snapshot { breakers: vec![OpenBreaker { credential, since, until }], ..Snapshot::default() };
        let told = |gate: GateStatus| {
            let entry = CredentialEntry::of(&gate, &snapshot);
            (entry.breaker_open, entry.breaker_since, entry.breaker_until)
        };
        assert_eq!(told(gate("netops", true)), (true, Some(since), Some(until)));
        // It closed, and the snapshot doesn't know yet; or it opened a moment ago.
        assert_eq!(told(gate("netops", false)), (false, None, None));
        assert_eq!(told(gate("lab", true)), (true, None, None));
    }

    #[test]
    fn the_limits_that_bind_stand_first_and_idle_ones_nowhere() {
        let limit = |value: &str, busy: usize, max: Option<usize>| LimitStatus {
            by: "site".to_owned(),
            value: value.to_owned(),
            busy,
            max,
        };
        let mut all = vec![
            limit("idle", 0, Some(1)),
            limit("open", 9, None),
            limit("roomy", 8, Some(20)),
            limit("full", 4, Some(4)),
            limit("over", 5, Some(4)),
        ];
        let order =
            |all: &[LimitStatus]| limits(all).into_iter().map(|limit| limit.value).collect::<Vec<_>>();
        assert_eq!(order(&all), ["over", "full", "roomy", "open"]);
        all.extend((0..200).map(|number| limit(&number.to_string(), 1, Some(2))));
        let kept = order(&all);
        assert_eq!((kept.len(), kept[0].as_str()), (LIMITS_MAX, "over"));
    }
}
