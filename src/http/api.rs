//! The JSON API, version 1. These structs are the wire; floor 0 may change without them.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::{Deserialize, Serialize};

use crate::change::{Change, ChangeKind};
use crate::clock::Timestamp;
use crate::http::App;
use crate::http::problem::Problem;
use crate::http::view::{self, Filter, shown};
use crate::known::{DeviceState, Snapshot, SweepRecord};

/// Items in one answer when `limit` is not given, and at most.
const LIMIT: usize = 1000;
const LIMIT_MAX: usize = 5000;

type Asked<T> = Result<Query<T>, QueryRejection>;

fn asked<T>(query: Asked<T>) -> Result<T, Problem> {
    query.map(|Query(query)| query).map_err(|rejection| Problem::bad_query(rejection.body_text()))
}

fn bounded(limit: Option<usize>) -> Result<usize, Problem> {
    match limit.unwrap_or(LIMIT) {
        limit @ 1..=LIMIT_MAX => Ok(limit),
        _ => Err(Problem::bad_query(format!("limit is a number from 1 to {LIMIT_MAX}"))),
    }
}

/// The query of `/api/v1/devices`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DevicesQuery {
    q: Option<String>,
    state: Option<String>,
    after: Option<String>,
    limit: Option<usize>,
}

/// An answer with devices in the order of their names.
#[derive(Debug, Serialize)]
pub(super) struct DevicesAnswer {
    devices: Vec<DeviceEntry>,
    /// Give it as `after` for the next ones; absent when there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// One device with what is known of it. What is not known is `null`.
#[derive(Debug, Serialize)]
struct DeviceEntry {
    device: String,
    address: String,
    port: u16,
    platform: String,
    state: &'static str,
    version: Option<String>,
    model: Option<String>,
    serial: Option<String>,
    hostname: Option<String>,
    image: Option<String>,
    version_since: Option<Timestamp>,
    last_visit: Option<Timestamp>,
    last_success: Option<Timestamp>,
    last_version_change: Option<Timestamp>,
    version_changes: u64,
    booted: Option<Timestamp>,
    consecutive_failures: u32,
    failure: Option<FailureEntry>,
    labels: BTreeMap<String, String>,
}

#[derive(Debug, Serialize)]
struct FailureEntry {
    reason: &'static str,
    stage: &'static str,
    detail: String,
}

impl DeviceEntry {
    fn of(state: &DeviceState) -> Self {
        let (device, known) = (&state.device, &state.known);
        let facts = known.facts.as_ref().map(|known| &known.reading.facts);
        let text = |of: Option<&String>| of.map(|text| shown(text));
        let failure = known.visit.as_ref().and_then(|visit| visit.failure.as_ref());
        Self {
            device: device.id.to_string(),
            address: shown(&device.endpoint.host),
            port: device.endpoint.port,
            platform: shown(view::platform(state)),
            state: known.reach().as_str(),
            version: facts.map(|facts| shown(facts.version.as_str())),
            model: text(facts.and_then(|facts| facts.model.as_ref())),
            serial: text(facts.and_then(|facts| facts.serial.as_ref())),
            hostname: text(facts.and_then(|facts| facts.hostname.as_ref())),
            image: text(facts.and_then(|facts| facts.image.as_ref())),
            version_since: known.facts.as_ref().map(|facts| facts.version_since),
            last_visit: known.visit.as_ref().map(|visit| visit.at),
            last_success: known.facts.as_ref().map(|facts| facts.seen_at),
            last_version_change: known.last_version_change,
            version_changes: known.version_changes,
            booted: known.facts.as_ref().and_then(|facts| facts.boot_time),
            consecutive_failures: known.consecutive_failures,
            failure: failure.map(|failure| FailureEntry {
                reason: failure.kind.as_str(),
                stage: failure.stage.as_str(),
                detail: shown(&failure.detail),
            }),
            labels: device.labels.iter().map(|(name, value)| (shown(name), shown(value))).collect(),
        }
    }
}

/// Devices by name, filtered by `q` and `state`, from the one behind `after` on.
pub(super) async fn devices(
    State(app): State<App>,
    query: Asked<DevicesQuery>,
) -> Result<Json<DevicesAnswer>, Problem> {
    let query = asked(query)?;
    let limit = bounded(query.limit)?;
    let filter = Filter::new(query.q.as_deref(), query.state.as_deref()).map_err(Problem::bad_query)?;
    let snapshot = app.snapshot.load_full();
    let after = query.after.as_deref().unwrap_or("");
    let from = snapshot.devices.partition_point(|state| state.device.id.as_str() <= after);
    let mut matching = snapshot.devices[from..].iter().filter(|state| filter.holds(state));
    let devices: Vec<DeviceEntry> =
        matching.by_ref().take(limit).map(|state| DeviceEntry::of(state)).collect();
    let more = matching.next().is_some();
    let next = devices.last().filter(|_| more).map(|last| last.device.clone());
    Ok(Json(DevicesAnswer { devices, next }))
}

/// The query of `/api/v1/changes`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangesQuery {
    device: Option<String>,
    kind: Option<String>,
    limit: Option<usize>,
}

/// An answer with changes, newest first.
#[derive(Debug, Serialize)]
pub(super) struct ChangesAnswer {
    changes: Vec<ChangeEntry>,
}

#[derive(Debug, Serialize)]
struct ChangeEntry {
    id: String,
    at: Timestamp,
    device: String,
    kind: &'static str,
    before: String,
    after: String,
    subject: String,
    why: String,
    confirmed: bool,
    sweep: Option<String>,
}

impl ChangeEntry {
    fn of(change: &Change) -> Self {
        Self {
            id: change.id(),
            at: change.at,
            device: change.device.to_string(),
            kind: change.kind.as_str(),
            before: shown(&change.before),
            after: shown(&change.after),
            subject: shown(&change.subject),
            why: shown(&change.why),
            confirmed: change.confirmed,
            sweep: change.sweep.map(|sweep| sweep.to_string()),
        }
    }
}

/// The latest changes, of one device or kind where asked.
pub(super) async fn changes(
    State(app): State<App>,
    query: Asked<ChangesQuery>,
) -> Result<Json<ChangesAnswer>, Problem> {
    let query = asked(query)?;
    let limit = bounded(query.limit)?;
    let kind = query.kind.as_deref().map(known_kind).transpose()?;
    let snapshot = app.snapshot.load_full();
    let wanted = |change: &&std::sync::Arc<Change>| {
        kind.is_none_or(|kind| change.kind == kind)
            && query.device.as_deref().is_none_or(|device| change.device.as_str() == device)
    };
    let changes = snapshot.recent_changes.iter().filter(wanted).take(limit);
    Ok(Json(ChangesAnswer { changes: changes.map(|change| ChangeEntry::of(change)).collect() }))
}

fn known_kind(name: &str) -> Result<ChangeKind, Problem> {
    ChangeKind::from_name(name).ok_or_else(|| {
        let names: Vec<&str> = ChangeKind::ALL.iter().map(|kind| kind.as_str()).collect();
        Problem::bad_query(format!("unknown kind; there are: {}", names.join(", ")))
    })
}

/// An answer with the configured sweeps, in the order of the configuration.
#[derive(Debug, Serialize)]
pub(super) struct SweepsAnswer {
    sweeps: Vec<SweepEntry>,
}

#[derive(Debug, Serialize)]
struct SweepEntry {
    sweep: String,
    running: Option<String>,
    progress: f64,
    devices: usize,
    busy: usize,
    answered: usize,
    failed: usize,
    next: Option<Timestamp>,
    last_success: Option<Timestamp>,
    last: Option<RunEntry>,
}

#[derive(Debug, Serialize)]
struct RunEntry {
    id: String,
    reason: String,
    started: Timestamp,
    ended: Option<Timestamp>,
    devices: u64,
    answered: u64,
    failed: u64,
    complete: bool,
}

impl RunEntry {
    fn of(record: &SweepRecord) -> Self {
        Self {
            id: record.id.to_string(),
            reason: record.reason.clone(),
            started: record.started,
            ended: record.ended,
            devices: record.devices,
            answered: record.answered,
            failed: record.failed,
            complete: record.complete,
        }
    }
}

/// What each sweep is doing, and its newest run.
pub(super) async fn sweeps(State(app): State<App>) -> Json<SweepsAnswer> {
    let (snapshot, handles) = (app.snapshot.load_full(), app.sweeps.load_full());
    let entry = |handle: &crate::activity::SweepHandle| {
        let status = handle.status.borrow().clone();
        SweepEntry {
            sweep: handle.name.to_string(),
            running: status.running.map(|id| id.to_string()),
            progress: status.progress(),
            devices: status.total,
            busy: status.busy,
            answered: status.answered,
            failed: status.failed,
            next: status.next,
            last_success: snapshot.last_complete.get(&*handle.name).copied(),
            last: newest_run(&snapshot, &handle.name).map(RunEntry::of),
        }
    };
    Json(SweepsAnswer { sweeps: handles.iter().map(entry).collect() })
}

/// The newest run of that sweep, ended or not.
pub(super) fn newest_run<'a>(snapshot: &'a Snapshot, name: &str) -> Option<&'a SweepRecord> {
    snapshot.last_sweeps.iter().filter(|record| record.name == name).max_by_key(|record| record.started)
}
