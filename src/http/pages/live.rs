//! `/live`: tells a page that it is out of date, as server-sent events. It carries no data: the page that people see is
//! drawn in one place only, by asking for it again.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderName, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use tokio::time::Instant;

use crate::activity::RequestStatus;
use crate::hash::fnv1a;
use crate::http::Desk;
use crate::http::problem::Refusal;
use crate::http::streams::Held;
use crate::known::Snapshot;
use crate::status::SweepStatus;

/// How often it is looked whether there is something new.
const LOOK: Duration = Duration::from_secs(1);
/// Where nothing is new, a sign of life comes so often.
const QUIET: Duration = Duration::from_secs(15);

/// What a page shows, as far as it changes by itself.
pub(super) struct Seen {
    /// Kept alive, so that no other snapshot takes its address.
    snapshot: Arc<Snapshot>,
    sweeps: Vec<SweepStatus>,
    /// Visits that somebody asked for: a page tells how far its own have come.
    requests: Vec<RequestStatus>,
}

impl Seen {
    pub(super) fn now(desk: &Desk) -> Self {
        let sweeps = desk.app.sweeps.load().iter().map(|sweep| sweep.status.borrow().clone()).collect();
        Self { snapshot: desk.app.snapshot.load_full(), sweeps, requests: desk.app.on_demand.open() }
    }

    /// The same in a word. A page carries that of before it was drawn, and the stream begins with its own: by that the page
    /// knows whether it has missed something in between, such as the end of a short sweep.
    pub(super) fn word(&self) -> String {
        let snapshot = &self.snapshot;
        // A page keeps no snapshot alive, so that a later one may have the same address: then its counts are others.
        let (address, counts) = (Arc::as_ptr(snapshot), (snapshot.totals.visits, &snapshot.totals.changes));
        let text = format!("{address:p} {counts:?} {:?} {:?}", self.sweeps, self.requests);
        format!("{:016x}", fnv1a(text.as_bytes()))
    }

    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.snapshot, &other.snapshot)
            && self.sweeps == other.sweeps
            && self.requests == other.requests
    }
}

/// One page that looks.
struct Looker {
    desk: Arc<Desk>,
    seen: Option<Seen>,
    /// Its place among the streams.
    held: Held,
}

/// The stream.
pub(super) async fn stream(State(desk): State<Arc<Desk>>) -> Result<Response, Refusal> {
    let held = desk.streams.hold()?;
    let looker = Looker { desk, seen: None, held };
    let body = Body::from_stream(stream::unfold(looker, |mut looker| async move {
        let bytes = looker.next().await?;
        Some((Ok::<_, Infallible>(bytes), looker))
    }));
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((headers, body).into_response())
}

impl Looker {
    /// What comes next; nothing once the server stops.
    async fn next(&mut self) -> Option<Bytes> {
        let Some(seen) = &self.seen else {
            let seen = Seen::now(&self.desk);
            let first = format!("retry: 2000\nevent: alive\ndata:{}\n\n", seen.word());
            self.seen = Some(seen);
            return Some(Bytes::from(first));
        };
        let quiet_at = Instant::now() + QUIET;
        loop {
            tokio::select! {
                biased;
                () = self.held.stop.cancelled() => return None,
                () = tokio::time::sleep(LOOK) => {}
            }
            let now = Seen::now(&self.desk);
            if !now.is(seen) {
                self.seen = Some(now);
                return Some(Bytes::from_static(b"event: news\ndata:\n\n"));
            }
            if Instant::now() >= quiet_at {
                return Some(Bytes::from_static(b"event: alive\ndata:\n\n"));
            }
        }
    }
}
