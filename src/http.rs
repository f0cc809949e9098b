//! The HTTP server: `/metrics`, health, lifecycle, the JSON API and the landing page. It reads snapshots and pulls
//! triggers; it never writes to the store. Sockets are bound by the caller.

mod api;
mod landing;
mod lifecycle;
mod problem;
mod scrape;
mod server;
mod view;

pub use server::serve;

use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::Router;
use axum::extract::Request;
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::sync::{mpsc, oneshot, watch};

use crate::activity::{OnDemand, SweepHandle};
use crate::clock::Clock;
use crate::http::problem::Problem;
use crate::known::Snapshot;
use crate::metrics::{Exporter, Live};

/// The largest request body. No route reads one; what is larger is refused before anything else happens.
const BODY_MAX: u64 = 64 * 1024;

/// How far the daemon has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Readiness {
    /// State is being loaded: only `/-/healthy` and `/-/ready` answer, so that no scrape sees counters at 0.
    #[default]
    Loading,
    /// All is served.
    Ready,
    /// A stop is under way: `/-/ready` says no, reading goes on so that the final scrape sees the truth.
    Stopping,
}

/// A request to reload the configuration, answered with what was wrong when it was not taken.
pub type ReloadRequest = oneshot::Sender<Result<(), String>>;

/// Reads the present state of the daemon. The sweeps are filled in from the handles.
pub type ReadLive = Arc<dyn Fn() -> Live + Send + Sync>;

/// All that the server shows and pulls. Clones share it.
#[derive(Clone)]
pub struct App {
    /// The picture of the fleet.
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    /// The sweeps, exchanged by a reload.
    pub sweeps: Arc<ArcSwap<Vec<SweepHandle>>>,
    /// Where visits are asked for.
    pub on_demand: OnDemand,
    /// Renders `/metrics`, exchanged by a reload.
    pub exporter: Arc<ArcSwap<Exporter>>,
    /// Reads what the daemon is doing, at each scrape.
    pub live: ReadLive,
    /// Where reloads are asked for; a capacity of 1 is enough.
    pub reload: mpsc::Sender<ReloadRequest>,
    /// How far the daemon has come.
    pub readiness: watch::Receiver<Readiness>,
    /// Wall time, for ages.
    pub clock: Arc<dyn Clock>,
}

/// The other end of the connection that a request came by.
#[derive(Debug, Clone, Copy)]
struct Peer(SocketAddr);

fn router(app: App) -> Router {
    let reading = Router::new()
        .route("/", get(landing::page))
        .route("/metrics", get(scrape::metrics))
        .route("/api/v1/devices", get(api::devices))
        .route("/api/v1/changes", get(api::changes))
        .route("/api/v1/sweeps", get(api::sweeps))
        .route_layer(middleware::from_fn_with_state(app.clone(), lifecycle::once_loaded));
    let acting = Router::new()
        .route("/-/reload", post(lifecycle::reload))
        .route("/-/sweep", post(lifecycle::sweep))
        .route_layer(middleware::from_fn_with_state(app.clone(), lifecycle::once_loaded))
        .route_layer(middleware::from_fn(lifecycle::from_this_host));
    reading
        .merge(acting)
        .route("/style.css", get(landing::style))
        .route("/-/healthy", get(lifecycle::healthy))
        .route("/-/ready", get(lifecycle::ready))
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn(small_bodies_only))
        .layer(middleware::map_response(guard))
        .with_state(app)
}

async fn unknown(uri: Uri) -> Response {
    refusal(&uri, StatusCode::NOT_FOUND, "nothing is served here; / links to what is")
}

async fn wrong_method(uri: Uri) -> Response {
    refusal(&uri, StatusCode::METHOD_NOT_ALLOWED, "this path takes another method")
}

fn refusal(uri: &Uri, status: StatusCode, detail: &str) -> Response {
    match uri.path().starts_with("/api/") {
        true => Problem::new(status, detail).into_response(),
        false => (status, format!("{detail}\n")).into_response(),
    }
}

async fn small_bodies_only(request: Request, next: Next) -> Response {
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    match length.map(str::parse::<u64>) {
        Some(Ok(length)) if length <= BODY_MAX => next.run(request).await,
        None => next.run(request).await,
        Some(_) => (StatusCode::PAYLOAD_TOO_LARGE, "no request here needs a body\n").into_response(),
    }
}

/// Headers on every answer: no script, no frame, no guessing of types, no copies of what is true for a moment only.
async fn guard(mut response: Response) -> Response {
    const CSP: &str =
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
    let headers: [(HeaderName, &str); 6] = [
        (header::CONTENT_SECURITY_POLICY, CSP),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in headers {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}
