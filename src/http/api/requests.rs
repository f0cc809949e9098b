//! `/api/v1/requests`: visits that someone asks for now, and how far they have come.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};

use super::params::{Name, Params, Query};
use super::sweeps::unknown_sweep;
use crate::activity::{self, RequestStatus};
use crate::clock::Timestamp;
use crate::device::{DeviceId, Selector};
use crate::http::Desk;
use crate::http::entrance::BODY_MAX;
use crate::http::problem::Refusal;
use crate::http::view::shown;
use crate::observation::SweepId;

/// The most names, and values of a name, that a selection may have.
const SELECTED_MAX: usize = 1000;

/// What is to be visited: exactly one of the three.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// One device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    device: Option<String>,
    /// The devices that a selection chooses, as in the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    select: Option<BTreeMap<String, Vec<String>>>,
    /// What a sweep of the configuration visits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sweep: Option<String>,
}

impl Wanted {
    fn read(body: &[u8]) -> Result<activity::Wanted, Refusal> {
        let wanted: Self =
            serde_json::from_slice(body).map_err(|error| Refusal::BadBody(format!("the body: {error}")))?;
        match wanted {
            Self { device: Some(device), select: None, sweep: None } => {
                let name = DeviceId::new(&device);
                name.map(activity::Wanted::Device).map_err(|_| Refusal::UnknownDevice)
            }
            Self { device: None, select: Some(select), sweep: None } => {
                if select.len() + select.values().map(Vec::len).sum::<usize>() > SELECTED_MAX {
                    let most = format!("select has at most {SELECTED_MAX} names and values");
                    return Err(Refusal::BadBody(most));
                }
                Ok(activity::Wanted::Selection(Selector(select)))
            }
            Self { device: None, select: None, sweep: Some(sweep) } => Ok(activity::Wanted::Sweep(sweep)),
            _ => Err(Refusal::BadBody("one of device, select and sweep is needed, and only one".to_owned())),
        }
    }

    fn of(wanted: activity::Wanted) -> Self {
        match wanted {
            activity::Wanted::Device(id) => Self { device: Some(id.to_string()), ..Self::default() },
            activity::Wanted::Selection(Selector(select)) => {
                let values = |values: Vec<String>| values.iter().map(|value| shown(value)).collect();
                let select = select.into_iter().map(|(name, of_it)| (shown(&name), values(of_it))).collect();
                Self { select: Some(select), ..Self::default() }
            }
            activity::Wanted::Sweep(sweep) => Self { sweep: Some(shown(&sweep)), ..Self::default() },
        }
    }
}

/// A request as it stands.
#[derive(Debug, Serialize)]
pub(super) struct RequestEntry {
    /// Also the id of its run.
    id: String,
    wanted: Wanted,
    asked: Timestamp,
    progress: &'static str,
    started: Option<Timestamp>,
    ended: Option<Timestamp>,
    devices: usize,
    busy: usize,
    answered: usize,
    failed: usize,
    complete: bool,
}

impl RequestEntry {
    fn of(status: RequestStatus) -> Self {
        Self {
            id: status.id.to_string(),
            wanted: Wanted::of(status.wanted),
            asked: status.asked,
            progress: status.progress.as_str(),
            started: status.started,
            ended: status.ended,
            devices: status.devices,
            busy: status.busy,
            answered: status.answered,
            failed: status.failed,
            complete: status.complete,
        }
    }
}

/// The requests that can still be asked about.
#[derive(Debug, Serialize)]
pub(super) struct Requests {
    requests: Vec<RequestEntry>,
}

/// All requests that can still be asked about, newest first.
pub(super) async fn list(State(desk): State<Arc<Desk>>, query: Query) -> Result<Json<Requests>, Refusal> {
    Params::known(query, &[])?;
    let requests = desk.app.on_demand.all().into_iter().map(RequestEntry::of).collect();
    Ok(Json(Requests { requests }))
}

/// How far one request has come.
pub(super) async fn one(
    State(desk): State<Arc<Desk>>,
    Name(id): Name,
    query: Query,
) -> Result<Json<RequestEntry>, Refusal> {
    Params::known(query, &[])?;
    let id: SweepId = id.parse().map_err(|_| Refusal::UnknownRequest)?;
    let status = desk.app.on_demand.status(id).ok_or(Refusal::UnknownRequest)?;
    Ok(Json(RequestEntry::of(status)))
}

/// Asks for visits: 202 with where to see how far they have come. The same again, while it is open, is the same request.
pub(super) async fn ask(
    State(desk): State<Arc<Desk>>,
    query: Query,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    Params::known(query, &[])?;
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("");
    let kind = kind.split(';').next().unwrap_or("").trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        return Err(Refusal::NotJson);
    }
    let wanted = Wanted::read(&body.map_err(|rejected| unread(&rejected))?)?;
    let id = asked_for(&desk, wanted).await?;
    // It was entered a moment ago.
    let status = desk.app.on_demand.status(id).ok_or(Refusal::UnknownRequest)?;
    let mut response = (StatusCode::ACCEPTED, Json(RequestEntry::of(status))).into_response();
    if let Ok(location) = HeaderValue::from_str(&format!("/api/v1/requests/{id}")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

fn unread(rejected: &BytesRejection) -> Refusal {
    match rejected.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Refusal::BodyTooLarge { max: BODY_MAX },
        _ => Refusal::BadBody("the body broke off".to_owned()),
    }
}

/// Asks for visits: the id by which they can be asked about, or why there won't be any.
pub(in crate::http) async fn asked_for(desk: &Desk, wanted: activity::Wanted) -> Result<SweepId, Refusal> {
    desk.app.on_demand.ask(wanted).await.map_err(|refused| match refused {
        activity::Refusal::UnknownDevice(_) => Refusal::UnknownDevice,
        activity::Refusal::UnknownSweep(_) => unknown_sweep(&desk.app.sweeps.load()),
        activity::Refusal::NothingSelected => Refusal::NothingSelected,
        activity::Refusal::Busy(_) => Refusal::Busy(refused.to_string()),
        activity::Refusal::TooMany => Refusal::TooManyRequests { max: activity::OPEN_MAX },
        activity::Refusal::Stopping => Refusal::Stopping,
    })
}
