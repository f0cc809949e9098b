//! The HTTP server: `/metrics`, health, lifecycle, the JSON API and the pages. It reads snapshots and pulls
//! triggers; it never writes to the store. Sockets are bound by the caller.

mod api;
mod entrance;
mod index;
mod kept;
mod lifecycle;
mod lobby;
mod orders;
mod origin;
mod pages;
mod problem;
mod readers;
mod scrape;
mod server;
mod streams;
mod tag;
mod view;

pub use orders::{ConfirmRequest, ReloadRequest, ReplayRequest};
pub use server::serve;

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::Router;
use axum::extract::FromRef;
use axum::http::Uri;
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::middleware;
use axum::response::Response;
use axum::routing::{get, post};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::activity::{OnDemand, SweepHandle};
use crate::clock::Clock;
use crate::config::Web;
use crate::http::index::Indexes;
use crate::http::problem::Refusal;
use crate::http::readers::Readers;
use crate::http::streams::Streams;
use crate::known::Snapshot;
use crate::metrics::{Exporter, Live};
use crate::platform::Platforms;
use crate::status::SweepForecast;
use crate::web_config::Keeper;

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

/// Reads the present state of the daemon. The sweeps are filled in from the handles.
pub type ReadLive = Arc<dyn Fn() -> Live + Send + Sync>;

/// Reads the present configuration as others may see it.
pub type ReadConfig = Arc<dyn Fn() -> Arc<str> + Send + Sync>;

/// Reads the platforms of the present configuration.
pub type ReadPlatforms = Arc<dyn Fn() -> Arc<Platforms> + Send + Sync>;

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
    /// How long sweeps are expected to take.
    pub forecasts: watch::Receiver<Vec<SweepForecast>>,
    /// Where reloads are asked for; a capacity of 1 is enough.
    pub reload: mpsc::Sender<ReloadRequest>,
    /// Where inventory lists that wait are confirmed; a capacity of 1 is enough.
    pub confirm: mpsc::Sender<ConfirmRequest>,
    /// Where dead letters are asked for again; a capacity of 1 is enough.
    pub replay: mpsc::Sender<ReplayRequest>,
    /// How far the daemon has come.
    pub readiness: watch::Receiver<Readiness>,
    /// Wall time, for ages.
    pub clock: Arc<dyn Clock>,
    /// The store, for what a snapshot doesn't hold: history, old changes, runs, events.
    pub store: PathBuf,
    /// The newest sequence of the store's outbox; closed once the recorder has ended.
    pub outbox: watch::Receiver<i64>,
    /// How platforms name and order their versions.
    pub platforms: ReadPlatforms,
    /// The configuration's text, for `/config`.
    pub config: ReadConfig,
    /// The web surface, exchanged by a reload.
    pub web: Arc<ArcSwap<Web>>,
    /// Who may come in.
    pub keeper: Arc<Keeper>,
}

/// What requests are answered from.
struct Desk {
    app: App,
    /// When it began to serve.
    opened: Instant,
    indexes: Indexes,
    readers: Arc<Readers>,
    streams: Arc<Streams>,
}

impl Desk {
    fn new(app: App, stop: CancellationToken) -> Self {
        let newest = *app.outbox.borrow();
        Self {
            opened: Instant::now(),
            indexes: Indexes::new(Arc::clone(&app.snapshot)),
            readers: Arc::new(Readers::new(app.store.clone())),
            streams: Arc::new(Streams::new(newest, stop)),
            app,
        }
    }
}

impl FromRef<Arc<Desk>> for App {
    fn from_ref(desk: &Arc<Desk>) -> Self {
        desk.app.clone()
    }
}

fn router(desk: Arc<Desk>) -> Router {
    let app = desk.app.clone();
    let reading = Router::new()
        .route("/metrics", get(scrape::metrics))
        .route("/probe", get(scrape::probe))
        .route("/sd", get(api::discovery))
        .route("/config", get(lifecycle::config))
        .merge(api::reading())
        .merge(pages::reading())
        .route_layer(middleware::from_fn_with_state(app.clone(), lifecycle::once_loaded));
    let acting = Router::new()
        .route("/-/reload", post(lifecycle::reload))
        .route("/-/sweep", post(lifecycle::sweep))
        .route("/-/inventory/confirm", post(lifecycle::confirm))
        .merge(api::acting())
        .route_layer(middleware::from_fn_with_state(app.clone(), lifecycle::once_loaded))
        .route_layer(middleware::from_fn_with_state(app, lifecycle::may_act));
    let forms =
        pages::acting().route_layer(middleware::from_fn_with_state(desk.app.clone(), lifecycle::once_loaded));
    reading
        .merge(acting)
        .merge(forms)
        .merge(pages::assets())
        .route("/-/healthy", get(lifecycle::healthy))
        .route("/-/ready", get(lifecycle::ready))
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .with_state(desk)
}

async fn unknown(uri: Uri) -> Response {
    Refusal::UnknownPath.answer(uri.path())
}

async fn wrong_method(uri: Uri) -> Response {
    Refusal::WrongMethod.answer(uri.path())
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
