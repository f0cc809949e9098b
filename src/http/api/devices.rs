//! `/api/v1/devices`: filtered, sorted, page by page.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};

use super::entry::DeviceEntry;
use super::params::{Params, Query, cursor};
use crate::failure::FailureKind;
use crate::hash::fnv1a;
use crate::http::Desk;
use crate::http::index::{Direction, Filter, Index, Key, Sort};
use crate::http::problem::Refusal;
use crate::known::{PolicyResult, Reach};

/// The keys that [`filter`] reads.
pub(in crate::http) const FILTER: [&str; 9] =
    ["q", "state", "platform", "model", "version", "failure", "policy", "result", "label"];

/// What is asked for.
struct Asked {
    filter: Filter,
    sort: Sort,
    direction: Direction,
    limit: usize,
    last: Option<Mark>,
}

/// A page of devices.
#[derive(Debug, Serialize)]
struct Page {
    devices: Vec<DeviceEntry>,
    /// How many the filter chooses.
    total: usize,
    /// The cursor of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Where a page ended: by key and name, so that it stays where it is while a sweep writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    /// The query that it belongs to, but for its limit.
    of: u64,
    key: Key,
    name: String,
}

/// The devices that the query chooses.
pub(super) async fn list(
    State(desk): State<Arc<Desk>>,
    headers: HeaderMap,
    query: Query,
) -> Result<Response, Refusal> {
    let asked = Asked::read(&Params::known(query, &[&FILTER[..], &["sort", "limit", "cursor"]].concat())?)?;
    let index = desk.indexes.now().await?;
    index.tag.answer(&headers, || Ok(Json(asked.page(&index)).into_response()))
}

impl Asked {
    fn read(params: &Params) -> Result<Self, Refusal> {
        let filter = filter(params)?;
        let (sort, direction) = sort(params.one("sort")?)?;
        let asked = Self { filter, sort, direction, limit: params.limit()?, last: params.cursor()? };
        match &asked.last {
            Some(mark) if mark.of != asked.hash() => Err(Refusal::UnknownCursor),
            _ => Ok(asked),
        }
    }

    /// Tells this query from others, also after a restart.
    fn hash(&self) -> u64 {
        let (sort, direction) = (self.sort.as_str(), self.direction);
        fnv1a(format!("{:?} {sort} {direction:?}", self.filter).as_bytes())
    }

    fn page(&self, index: &Index) -> Page {
        let chosen = index.choose(&self.filter);
        let last = self.last.as_ref().map(|mark| (&mark.key, mark.name.as_str()));
        let mut places =
            index.places_behind(self.sort, self.direction, last).filter(|&place| chosen.has(place));
        let page: Vec<usize> = places.by_ref().take(self.limit).collect();
        let more = places.next().is_some();
        let next = page.last().filter(|_| more).and_then(|&place| {
            let name = index.snapshot.devices[place].device.id.to_string();
            cursor(&Mark { of: self.hash(), key: index.key(self.sort, place), name })
        });
        let entry = |place: usize| DeviceEntry::of(&index.snapshot.devices[place]);
        Page { devices: page.into_iter().map(entry).collect(), total: chosen.count(), next }
    }
}

/// The filter that a query describes.
pub(in crate::http) fn filter(params: &Params) -> Result<Filter, Refusal> {
    let mut filter = Filter {
        search: params.all("q"),
        state: params.among("state", &Reach::ALL.map(Reach::as_str))?,
        platform: params.all("platform"),
        model: params.all("model"),
        version: params.all("version"),
        failure: params.among("failure", &FailureKind::ALL.map(FailureKind::as_str))?,
        policy: params.all("policy"),
        result: params.among("result", &PolicyResult::ALL.map(PolicyResult::as_str))?,
        labels: std::collections::BTreeMap::new(),
    };
    for label in params.all("label") {
        let (name, value) = label
            .split_once('=')
            .ok_or_else(|| Refusal::BadQuery("label is NAME=VALUE, such as label=site=ams".to_owned()))?;
        filter.labels.entry(name.to_owned()).or_default().push(value.to_owned());
    }
    Ok(filter)
}

/// The order that a query asks for; `-` before its name turns it round.
pub(in crate::http) fn sort(text: Option<&str>) -> Result<(Sort, Direction), Refusal> {
    let Some(text) = text else { return Ok((Sort::Name, Direction::Ascending)) };
    let (name, direction) = match text.strip_prefix('-') {
        Some(name) => (name, Direction::Descending),
        None => (text, Direction::Ascending),
    };
    let sort = Sort::from_name(name).ok_or_else(|| {
        let names = Sort::ALL.map(Sort::as_str).join(", ");
        Refusal::BadQuery(format!("sort is one of these, with - before it for the other way: {names}"))
    })?;
    Ok((sort, direction))
}
