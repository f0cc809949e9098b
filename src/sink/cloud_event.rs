//! Events as the outside reads them: CloudEvents 1.0 in JSON, <https://cloudevents.io>. docs/events.md describes each field,
//! docs/event.schema.json gives the rules to machines.

use std::collections::BTreeMap;

use chrono::SecondsFormat;
use serde::Serialize;

use crate::device::DeviceId;
use crate::event::{Digest, Event, Post, Severity, clean};

/// What `dataschema` says: the shape of `data`. Fields are only ever added to it.
pub const SCHEMA: &str = "urn:versweep:schema:change:1";

/// One event. Attributes are those of CloudEvents; `severity` is an extension, so that routers need not look into `data`.
#[derive(Debug, Serialize)]
pub struct CloudEvent<'a> {
    specversion: &'static str,
    id: String,
    source: &'a str,
    r#type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    time: String,
    severity: &'static str,
    datacontenttype: &'static str,
    dataschema: &'static str,
    data: Data<'a>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Data<'a> {
    Event(EventData<'a>),
    Digest(DigestData<'a>),
}

#[derive(Debug, Serialize)]
struct EventData<'a> {
    sequence: i64,
    kind: &'static str,
    device: Option<&'a str>,
    source: Option<String>,
    platform: Option<&'a str>,
    model: Option<String>,
    labels: BTreeMap<&'a str, &'a str>,
    before: String,
    after: String,
    subject: String,
    why: String,
    confirmed: bool,
    sweep: Option<String>,
    message: String,
}

#[derive(Debug, Serialize)]
struct DigestData<'a> {
    sequence: i64,
    kind: &'static str,
    count: usize,
    platform: Option<&'a str>,
    model: Option<String>,
    before: String,
    after: String,
    subject: String,
    sweep: String,
    label: &'a str,
    places: BTreeMap<String, usize>,
    devices: Vec<&'a str>,
    message: String,
}

impl<'a> CloudEvent<'a> {
    /// The event as it leaves; `source` is a URI reference that says which versweep it comes from.
    #[must_use]
    pub fn new(source: &'a str, post: &'a Post) -> Self {
        let (r#type, data) = match post {
            Post::Event(event) => (format!("versweep.change.{}", post.kind()), Data::Event(event.into())),
            Post::Digest(digest) => (format!("versweep.digest.{}", post.kind()), Data::Digest(digest.into())),
        };
        Self {
            specversion: "1.0",
            id: post.id(),
            source,
            r#type,
            subject: post.device().map(|device| device.as_str()),
            time: post.at().to_rfc3339_opts(SecondsFormat::Millis, true),
            severity: Severity::of(post.kind()).as_str(),
            datacontenttype: "application/json",
            dataschema: SCHEMA,
            data,
        }
    }

    /// The bytes as they leave, without a line break.
    #[must_use]
    pub fn json(&self) -> Vec<u8> {
        // Texts, numbers and maps with text keys: nothing here can fail to be JSON.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl<'a> From<&'a Event> for EventData<'a> {
    fn from(event: &'a Event) -> Self {
        let change = &event.change;
        Self {
            sequence: event.sequence,
            kind: change.kind.as_str(),
            device: change.device().map(DeviceId::as_str),
            source: change.of.source().map(clean),
            platform: event.platform.as_ref().map(|platform| platform.as_str()),
            model: event.model.as_deref().map(clean),
            labels: event.labels.iter().collect(),
            before: clean(&change.before),
            after: clean(&change.after),
            subject: clean(&change.subject),
            why: clean(&change.why),
            confirmed: change.confirmed,
            sweep: change.sweep.map(|sweep| sweep.to_string()),
            message: event.message(),
        }
    }
}

impl<'a> From<&'a Digest> for DigestData<'a> {
    fn from(digest: &'a Digest) -> Self {
        Self {
            sequence: digest.sequence,
            kind: digest.kind.as_str(),
            count: digest.count,
            platform: digest.platform.as_ref().map(|platform| platform.as_str()),
            model: digest.model.as_deref().map(clean),
            before: clean(&digest.before),
            after: clean(&digest.after),
            subject: clean(&digest.subject),
            sweep: digest.sweep.to_string(),
            label: &digest.label,
            places: digest.places.iter().map(|(place, count)| (clean(place), *count)).collect(),
            devices: digest.devices.iter().map(|device| device.as_str()).collect(),
            message: digest.message(),
        }
    }
}
