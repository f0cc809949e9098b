//! Health, reload, and sweeps on request.

use axum::extract::{Query, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use crate::activity::{Reason, SweepHandle};
use crate::http::api::unknown_sweep;
use crate::http::entrance::Visitor;
use crate::http::origin::{is_local, is_own_wish};
use crate::http::problem::Refusal;
use crate::http::{App, Readiness};

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

/// Lets a request through that may change something. Where clients show who they are, whoever came in may. Elsewhere the
/// loopback address is the credential: what was asked for on this host, by hand or by a script, and not by a proxy that
/// speaks for others. A browser that some other page drives may not in either case.
pub(super) async fn may_act(State(app): State<App>, request: Request, next: Next) -> Response {
    let refusal = match request.extensions().get::<Visitor>() {
        _ if !app.web.load().lifecycle => Refusal::ReadOnly,
        Some(visitor) if visitor.is_known && is_own_wish(request.headers()) => {
            return next.run(request).await;
        }
        Some(visitor) if visitor.is_known => Refusal::OtherOrigin,
        Some(visitor) if is_local(visitor, request.headers()) => return next.run(request).await,
        _ => Refusal::NotFromHere,
    };
    refusal.answer(request.uri().path())
}

/// The configuration in force, without comments and without what may be secret.
pub(super) async fn config(State(app): State<App>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], (app.config)().to_string()).into_response()
}

/// Reloads the configuration; the old one stays when the new one has an error, and the answer names it.
pub(super) async fn reload(State(app): State<App>) -> Result<Answer, Response> {
    match app.reloaded().await.map_err(|refusal| refusal.answer("/-/reload"))? {
        Ok(()) => Ok((StatusCode::OK, "the configuration is reloaded\n".to_owned())),
        Err(error) => {
            let told = format!("{error}\nthe old configuration stays in force\n");
            Ok((StatusCode::INTERNAL_SERVER_ERROR, told))
        }
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
pub(super) async fn confirm(
    State(app): State<App>,
    Query(which): Query<WhichSource>,
) -> Result<Answer, Response> {
    let devices = app.confirmed(which.source, which.list).await;
    let devices = devices.map_err(|refusal| refusal.answer("/-/inventory/confirm"))?;
    Ok((StatusCode::OK, format!("taken; the inventory has {devices} devices\n")))
}

/// The query of `POST /-/sweep`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    sweep: Option<String>,
}

/// Starts the sweep of that name, or every one when none is named: 202 when at least one starts, 409 when all are
/// running already, 404 when there is none of that name.
pub(super) async fn sweep(State(app): State<App>, Query(which): Query<Which>) -> Result<Answer, Response> {
    let sweeps = app.sweeps.load();
    let wanted = |sweep: &&SweepHandle| which.sweep.as_deref().is_none_or(|name| *name == *sweep.name);
    let wanted: Vec<&SweepHandle> = sweeps.iter().filter(wanted).collect();
    if wanted.is_empty() {
        return Err(unknown_sweep(&sweeps).answer("/-/sweep"));
    }
    let mut started = false;
    let mut report = String::new();
    for sweep in wanted {
        let outcome = sweep.trigger.try_start(Reason::Request);
        started |= outcome.is_ok();
        let what = outcome.map_or_else(|busy| busy.to_string(), |()| "started".to_owned());
        report.push_str(&format!("{}: {what}\n", sweep.name));
    }
    Ok((if started { StatusCode::ACCEPTED } else { StatusCode::CONFLICT }, report))
}
