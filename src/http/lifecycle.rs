//! Health, reload, and sweeps on request.

use axum::extract::{Query, Request, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use tokio::sync::oneshot;

use crate::activity::{Reason, SweepHandle};
use crate::http::problem::Refusal;
use crate::http::{App, ConfirmRequest, Peer, Readiness};

type Answer = (StatusCode, String);

/// The process runs and its HTTP server answers.
pub(super) async fn healthy() -> &'static str {
    "versweep is healthy.\n"
}

/// Whether the state is loaded and no stop is under way.
pub(super) async fn ready(State(app): State<App>) -> Response {
    let readiness = *app.readiness.borrow();
    match readiness {
        Readiness::Ready => "versweep is ready.\n".into_response(),
        Readiness::Loading => Refusal::Loading.answer("/-/ready"),
        Readiness::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "versweep is stopping.\n").into_response(),
    }
}

/// Lets a request through once the state is loaded.
pub(super) async fn once_loaded(State(app): State<App>, request: Request, next: Next) -> Response {
    let readiness = *app.readiness.borrow();
    match readiness {
        Readiness::Loading => Refusal::Loading.answer(request.uri().path()),
        Readiness::Ready | Readiness::Stopping => next.run(request).await,
    }
}

/// Lets a request through that was made on this host, by hand or by a script. There is no login yet, so the loopback
/// address is the credential; a browser that some page drives and a proxy that speaks for others don't have it.
pub(super) async fn from_this_host(request: Request, next: Next) -> Response {
    const SPEAKING_FOR_OTHERS: [HeaderName; 5] = [
        header::ORIGIN,
        header::FORWARDED,
        header::VIA,
        HeaderName::from_static("x-forwarded-for"),
        HeaderName::from_static("sec-fetch-site"),
    ];
    let local =
        request.extensions().get::<Peer>().is_some_and(|Peer(peer)| peer.ip().to_canonical().is_loopback());
    if local && !SPEAKING_FOR_OTHERS.iter().any(|name| request.headers().contains_key(name)) {
        return next.run(request).await;
    }
    Refusal::NotFromHere.answer(request.uri().path())
}

/// Reloads the configuration; the old one stays when the new one has an error, and the answer names it.
pub(super) async fn reload(State(app): State<App>) -> Answer {
    let (sender, answer) = oneshot::channel();
    if app.reload.try_send(sender).is_err() {
        return (
            StatusCode::CONFLICT,
            "a reload is under way, or versweep is stopping; try again\n".to_owned(),
        );
    }
    match answer.await {
        Ok(Ok(())) => (StatusCode::OK, "the configuration is reloaded\n".to_owned()),
        Ok(Err(error)) => {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\nthe old configuration stays in force\n"))
        }
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "versweep is stopping\n".to_owned()),
    }
}

/// The query of `POST /-/inventory/confirm`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WhichSource {
    source: String,
    list: String,
}

/// Takes the list of a source that waits because it is so much shorter than the one in force: 200 when it is taken, 409
/// when none waits, another one does, or it can't be taken.
pub(super) async fn confirm(State(app): State<App>, Query(which): Query<WhichSource>) -> Answer {
    let (sender, answer) = oneshot::channel();
    let request = ConfirmRequest { source: which.source, list: which.list, answer: sender };
    if app.confirm.try_send(request).is_err() {
        return (
            StatusCode::CONFLICT,
            "a confirmation is under way, or versweep is stopping; try again\n".to_owned(),
        );
    }
    match answer.await {
        Ok(Ok(devices)) => (StatusCode::OK, format!("taken; the inventory has {devices} devices\n")),
        Ok(Err(error)) => (StatusCode::CONFLICT, format!("{error}\n")),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "versweep is stopping\n".to_owned()),
    }
}

/// The query of `POST /-/sweep`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    sweep: Option<String>,
}

/// Starts the sweep of that name, or every one when none is named: 202 when at least one starts, 409 when all are
/// running already, 404 when there is none of that name.
pub(super) async fn sweep(State(app): State<App>, Query(which): Query<Which>) -> Answer {
    let sweeps = app.sweeps.load();
    let wanted = |sweep: &&SweepHandle| which.sweep.as_deref().is_none_or(|name| *name == *sweep.name);
    let wanted: Vec<&SweepHandle> = sweeps.iter().filter(wanted).collect();
    if wanted.is_empty() {
        let names: Vec<&str> = sweeps.iter().map(|sweep| &*sweep.name).collect();
        return (StatusCode::NOT_FOUND, format!("no such sweep; there are: {}\n", names.join(", ")));
    }
    let mut started = false;
    let mut report = String::new();
    for sweep in wanted {
        let outcome = sweep.trigger.try_start(Reason::Request);
        started |= outcome.is_ok();
        let what = outcome.map_or_else(|busy| busy.to_string(), |()| "started".to_owned());
        report.push_str(&format!("{}: {what}\n", sweep.name));
    }
    (if started { StatusCode::ACCEPTED } else { StatusCode::CONFLICT }, report)
}
