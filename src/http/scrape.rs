//! `/metrics`, and `/probe` for one device.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::http::App;
use crate::http::problem::Refusal;
use crate::metrics::{CONTENT_TYPE, Cut, Encoding, Live, RenderError};

/// Renders the part of the page that the query asks for.
pub(super) async fn metrics(
    State(app): State<App>,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Response {
    let cut = match Cut::from_query(&query) {
        Ok(cut) => cut,
        Err(error) => return (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    };
    let encoding = accepted(&headers);
    let (exporter, snapshot) = (app.exporter.load_full(), app.snapshot.load_full());
    match exporter.page(&snapshot, &app.live_now(), &cut, encoding).await {
        Ok(body) => answer(body, encoding),
        Err(error) => broken(&error),
    }
}

/// The series of the one device that `target` names, from what is known of it: nobody logs in for that.
pub(super) async fn probe(
    State(app): State<App>,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Response {
    let [(key, target)] = query.as_slice() else { return no_target() };
    if key != "target" {
        return no_target();
    }
    let snapshot = app.snapshot.load_full();
    let Some(state) = snapshot.device(target) else { return Refusal::UnknownDevice.answer("/probe") };
    let encoding = accepted(&headers);
    match app.exporter.load().device(state, encoding) {
        Ok(body) => answer(body, encoding),
        Err(error) => broken(&error),
    }
}

fn no_target() -> Response {
    Refusal::BadQuery("one key is needed here: target, the name of a device".to_owned()).answer("/probe")
}

fn accepted(headers: &HeaderMap) -> Encoding {
    let offered = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    Encoding::accepted(offered.unwrap_or(""))
}

fn broken(error: &RenderError) -> Response {
    tracing::error!(%error, "can't render the metrics");
    (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response()
}

fn answer(body: Vec<u8>, encoding: Encoding) -> Response {
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if encoding == Encoding::Gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

impl App {
    /// What the daemon is doing, with the sweeps as their handles show them.
    fn live_now(&self) -> Live {
        let sweeps = self.sweeps.load();
        let status = |sweep: &crate::activity::SweepHandle| sweep.status.borrow().clone();
        Live {
            sweeps: sweeps.iter().map(|sweep| (Arc::clone(&sweep.name), status(sweep))).collect(),
            ..(self.live)()
        }
    }
}
