//! `/api/v1/events`: what is told, in its order. As JSON page by page, or live as server-sent events
//! (<https://html.spec.whatwg.org/multipage/server-sent-events.html>), where a client that comes back with
//! `Last-Event-ID` goes on where it was.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use serde::Serialize;

use super::entry::EventEntry;
use super::params::{Params, Query};
use crate::change::{ChangeKind, Whose};
use crate::event::Event;
use crate::http::Desk;
use crate::http::problem::Refusal;
use crate::http::streams::{Follower, Next, Told};

/// A stream in which nothing happens says so often that neither a proxy nor the client takes it for dead.
const QUIET: Duration = Duration::from_secs(15);

/// How long a client waits before it comes back, in milliseconds.
const RETRY_MILLIS: u32 = 2000;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// A page of events, oldest first.
#[derive(Debug, Serialize)]
struct Page {
    events: Vec<EventEntry>,
    /// The newest sequence of all.
    newest: i64,
    /// Give it as `after` for the next page; absent when there is nothing behind yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<i64>,
}

/// Which events are wanted.
#[derive(Debug, Default)]
struct Wanted {
    kinds: Vec<String>,
    devices: Vec<String>,
}

impl Wanted {
    fn has(&self, kind: ChangeKind, of: &Whose) -> bool {
        let among = |texts: &[String], text: &str| texts.is_empty() || texts.iter().any(|one| one == text);
        among(&self.kinds, kind.as_str())
            && match of {
                Whose::Device(device) => among(&self.devices, device.as_str()),
                // Who asks for devices is not told of one.
                Whose::Source(_) => self.devices.is_empty(),
            }
    }
}

/// The events behind a place, as the client would have them.
pub(super) async fn list(
    State(desk): State<Arc<Desk>>,
    headers: HeaderMap,
    query: Query,
) -> Result<Response, Refusal> {
    let params = Params::known(query, &["after", "kind", "device", "limit"])?;
    let kinds = params.among("kind", &ChangeKind::ALL.map(ChangeKind::as_str))?;
    let wanted = Wanted { kinds, devices: params.all("device") };
    let limit = params.limit()?;
    let after = sequence("after", params.one("after")?)?;
    let last = headers.get(LAST_EVENT_ID).map(|id| id.to_str().unwrap_or("?"));
    let last = sequence("Last-Event-ID", last)?;
    if wants_stream(&headers) {
        // A client that comes back does so with the address that it began with: the header is the newer word.
        return stream(&desk, wanted, last.or(after)).await;
    }
    page(&desk, wanted, after.unwrap_or(0), limit).await
}

fn wants_stream(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|line| line.split(',')).any(|kind| {
        kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("text/event-stream"))
    })
}

fn sequence(key: &str, text: Option<&str>) -> Result<Option<i64>, Refusal> {
    let wrong =
        || Refusal::BadQuery(format!("{key} is the sequence of an event: a number, 0 for the beginning"));
    let read = |text: &str| text.parse().ok().filter(|number| *number >= 0).ok_or_else(wrong);
    text.map(read).transpose()
}

async fn page(desk: &Desk, wanted: Wanted, after: i64, limit: usize) -> Result<Response, Refusal> {
    let read =
        desk.readers.read(move |reader| Ok((reader.last_sequence()?, reader.events_after(after, limit)?)));
    let (newest, events) = read.await?;
    let next = events.last().map(|last| last.sequence).filter(|_| events.len() == limit);
    let is_wanted = |event: &&Event| wanted.has(event.change.kind, &event.change.of);
    let events = events.iter().filter(is_wanted).map(EventEntry::of).collect();
    Ok(Json(Page { events, newest, next }).into_response())
}

async fn stream(desk: &Desk, wanted: Wanted, after: Option<i64>) -> Result<Response, Refusal> {
    let newest = desk.streams.newest();
    // A place that the store has not reached belongs to another one, such as one that a backup took the place of. The
    // store may be a moment ahead of the pump.
    let is_of_another = match after {
        Some(after) if after > newest => after > desk.readers.read(|reader| reader.last_sequence()).await?,
        _ => false,
    };
    let after = after.filter(|_| !is_of_another).unwrap_or(newest);
    let follower = desk.streams.subscribe(&desk.readers, after)?;
    let mut opening = format!("retry: {RETRY_MILLIS}\n");
    if is_of_another {
        opening.push_str(&format!("event: reset\ndata: {{\"newest\":{newest}}}\n"));
    }
    opening.push_str(&format!("id: {after}\n\n"));
    let opening = stream::iter([Ok::<_, Infallible>(Bytes::from(opening))]);
    let live = stream::unfold((follower, wanted), |(mut follower, wanted)| async move {
        let bytes = next_bytes(&mut follower, &wanted).await?;
        Some((Ok(bytes), (follower, wanted)))
    });
    let body = Body::from_stream(futures_util::StreamExt::chain(opening, live));
    // Some proxies hold an answer back until it is whole, unless they are told.
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((headers, body).into_response())
}

/// What goes to the client next. The id goes along in any case, so that a client that wants few of the events does not
/// have all others read again when it comes back.
async fn next_bytes(follower: &mut Follower, wanted: &Wanted) -> Option<Bytes> {
    let told = match follower.next(QUIET).await? {
        Next::Events(told) => told,
        Next::Quiet => Vec::new(),
    };
    let mut bytes = Vec::new();
    for one in told.iter().filter(|told| wanted.has(told.kind, &told.of)) {
        bytes.extend_from_slice(&one.frame);
    }
    if bytes.is_empty() {
        bytes = format!("id: {}\n\n", follower.after()).into_bytes();
    }
    Some(bytes.into())
}

impl Told {
    /// The event with the bytes that every client gets of it.
    pub(in crate::http) fn of(event: Event) -> Self {
        let entry = EventEntry::of(&event);
        // JSON has no line break outside its texts, and escapes those within.
        let data = serde_json::to_string(&entry).unwrap_or_default();
        let frame = format!("id: {}\nevent: change\ndata: {data}\n\n", event.sequence);
        let (kind, of) = (event.change.kind, event.change.of);
        Self { sequence: event.sequence, kind, of, frame: frame.into() }
    }
}
