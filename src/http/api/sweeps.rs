//! `/api/v1/sweeps` and `/api/v1/runs`: what each sweep is doing, and what it did.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::params::{Name, Params, Query, cursor, page_end};
use crate::activity::SweepHandle;
use crate::clock::Timestamp;
use crate::http::Desk;
use crate::http::problem::Refusal;
use crate::http::view::shown;
use crate::known::{Snapshot, SweepRecord};
use crate::observation::SweepId;
use crate::status::SweepForecast;

/// The configured sweeps, in the order of the configuration.
#[derive(Debug, Serialize)]
pub(super) struct Sweeps {
    sweeps: Vec<SweepEntry>,
}

/// What one sweep is doing.
#[derive(Debug, Serialize)]
pub(super) struct SweepEntry {
    sweep: String,
    /// The id of the run that is on; `null` between runs.
    running: Option<String>,
    /// The part of the run that is done; 1 between runs.
    progress: f64,
    devices: usize,
    busy: usize,
    answered: usize,
    failed: usize,
    next: Option<Timestamp>,
    last_success: Option<Timestamp>,
    /// How long a run that visits all its devices is expected to take; `null` where that can't be told.
    expected_seconds: Option<f64>,
    /// Its newest run, ended or not.
    last: Option<RunEntry>,
}

impl SweepEntry {
    pub(super) fn of(handle: &SweepHandle, snapshot: &Snapshot, forecasts: &[SweepForecast]) -> Self {
        let status = handle.status.borrow().clone();
        let forecast = forecasts.iter().find(|forecast| forecast.sweep == handle.name);
        Self {
            sweep: shown(&handle.name),
            running: status.running.map(|id| id.to_string()),
            progress: status.progress(),
            devices: status.total,
            busy: status.busy,
            answered: status.answered,
            failed: status.failed,
            next: status.next,
            last_success: snapshot.last_complete.get(&*handle.name).copied(),
            expected_seconds: forecast.map(|forecast| forecast.expected.as_secs_f64()),
            last: snapshot.newest_run(&handle.name).map(RunEntry::of),
        }
    }
}

/// One run of a sweep.
#[derive(Debug, Serialize)]
pub(super) struct RunEntry {
    id: String,
    sweep: String,
    reason: String,
    started: Timestamp,
    /// `null` while it runs.
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
            sweep: shown(&record.name),
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
pub(super) async fn list(State(desk): State<Arc<Desk>>, query: Query) -> Result<Json<Sweeps>, Refusal> {
    Params::known(query, &[])?;
    let (snapshot, handles) = (desk.app.snapshot.load_full(), desk.app.sweeps.load_full());
    let forecasts = desk.app.forecasts.borrow();
    let entry = |handle| SweepEntry::of(handle, &snapshot, &forecasts);
    Ok(Json(Sweeps { sweeps: handles.iter().map(entry).collect() }))
}

/// What one sweep is doing.
pub(super) async fn one(
    State(desk): State<Arc<Desk>>,
    Name(name): Name,
    query: Query,
) -> Result<Json<SweepEntry>, Refusal> {
    Params::known(query, &[])?;
    let handles = desk.app.sweeps.load_full();
    let handle = handles.iter().find(|handle| *handle.name == *name);
    let handle = handle.ok_or_else(|| unknown_sweep(&handles))?;
    Ok(Json(SweepEntry::of(handle, &desk.app.snapshot.load_full(), &desk.app.forecasts.borrow())))
}

/// The refusal of a sweep's name that the configuration doesn't have.
pub(in crate::http) fn unknown_sweep(handles: &[SweepHandle]) -> Refusal {
    let names: Vec<&str> = handles.iter().map(|handle| &*handle.name).collect();
    Refusal::UnknownSweep { there_are: names.join(", ") }
}

/// A page of runs.
#[derive(Debug, Serialize)]
pub(super) struct Runs {
    runs: Vec<RunEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// The runs of one sweep or of all, newest first, as far back as the store keeps them.
pub(super) async fn runs(State(desk): State<Arc<Desk>>, query: Query) -> Result<Json<Runs>, Refusal> {
    let params = Params::known(query, &["sweep", "limit", "cursor"])?;
    let (sweep, limit) = (params.one("sweep")?.map(str::to_owned), params.limit()?);
    let before: Option<SweepId> = params.cursor()?;
    let mut runs = desk.readers.read(move |reader| reader.runs(sweep.as_deref(), before, limit + 1)).await?;
    let next = page_end(&mut runs, limit).and_then(|last| cursor(&last.id));
    Ok(Json(Runs { runs: runs.iter().map(RunEntry::of).collect(), next }))
}

/// One run.
pub(super) async fn run(
    State(desk): State<Arc<Desk>>,
    Name(id): Name,
    query: Query,
) -> Result<Json<RunEntry>, Refusal> {
    Params::known(query, &[])?;
    let id: SweepId = id.parse().map_err(|_| Refusal::UnknownRun)?;
    let run = desk.readers.read(move |reader| reader.run(id)).await?.ok_or(Refusal::UnknownRun)?;
    Ok(Json(RunEntry::of(&run)))
}
