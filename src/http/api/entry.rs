//! What several answers show in the same way.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::change::Change;
use crate::clock::Timestamp;
use crate::event::Event;
use crate::failure::Failure;
use crate::http::view::{self, shown};
use crate::known::DeviceState;

/// One device with what is known of it. What is not known is `null`.
#[derive(Debug, Serialize)]
pub(super) struct DeviceEntry {
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
    identity: Option<String>,
}

/// Why the last visit failed.
#[derive(Debug, Serialize)]
pub(super) struct FailureEntry {
    reason: &'static str,
    stage: &'static str,
    detail: String,
}

impl FailureEntry {
    fn of(failure: &Failure) -> Self {
        Self { reason: failure.kind.as_str(), stage: failure.stage.as_str(), detail: shown(&failure.detail) }
    }
}

impl DeviceEntry {
    pub(super) fn of(state: &DeviceState) -> Self {
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
            failure: failure.map(FailureEntry::of),
            labels: device.labels.iter().map(|(name, value)| (shown(name), shown(value))).collect(),
            identity: device.identity.as_deref().map(shown),
        }
    }
}

/// One change.
#[derive(Debug, Serialize)]
pub(super) struct ChangeEntry {
    id: String,
    at: Timestamp,
    device: Option<String>,
    source: Option<String>,
    kind: &'static str,
    subject: String,
    before: String,
    after: String,
    why: String,
    confirmed: bool,
    sweep: Option<String>,
}

impl ChangeEntry {
    pub(super) fn of(change: &Change) -> Self {
        Self {
            id: change.id(),
            at: change.at,
            device: change.device().map(ToString::to_string),
            source: change.of.source().map(shown),
            kind: change.kind.as_str(),
            subject: shown(&change.subject),
            before: shown(&change.before),
            after: shown(&change.after),
            why: shown(&change.why),
            confirmed: change.confirmed,
            sweep: change.sweep.map(|sweep| sweep.to_string()),
        }
    }
}

/// One event: a change with its place in the order of all events.
#[derive(Debug, Serialize)]
pub(super) struct EventEntry {
    sequence: i64,
    /// One sentence for people.
    message: String,
    platform: Option<String>,
    #[serde(flatten)]
    change: ChangeEntry,
}

impl EventEntry {
    pub(super) fn of(event: &Event) -> Self {
        Self {
            sequence: event.sequence,
            message: event.message(),
            platform: event.platform.as_ref().map(|platform| shown(platform.as_str())),
            change: ChangeEntry::of(&event.change),
        }
    }
}
