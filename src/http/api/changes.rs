//! `/api/v1/changes`: what changed, newest first.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::entry::ChangeEntry;
use super::params::{Params, Query, cursor, page_end};
use crate::change::ChangeKind;
use crate::device::DeviceId;
use crate::http::Desk;
use crate::http::problem::Refusal;
use crate::store::ChangeFilter;

/// A page of changes.
#[derive(Debug, Serialize)]
pub(super) struct Page {
    changes: Vec<ChangeEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// The keys of a query that choose changes.
pub(in crate::http) const CHOOSING: [&str; 4] = ["device", "kind", "since", "until"];

/// The changes that a query chooses.
pub(in crate::http) fn chosen(params: &Params) -> Result<ChangeFilter, Refusal> {
    let kinds = params.among("kind", &ChangeKind::ALL.map(ChangeKind::as_str))?;
    let name = |text: &str| {
        DeviceId::new(text).map_err(|error| Refusal::BadQuery(format!("device is no device's name: {error}")))
    };
    Ok(ChangeFilter {
        device: params.one("device")?.map(name).transpose()?,
        kinds: kinds.iter().filter_map(|kind| ChangeKind::from_name(kind)).collect(),
        since: params.instant("since")?,
        until: params.instant("until")?,
        ..ChangeFilter::default()
    })
}

/// The changes that the query chooses, as far back as the store keeps them.
pub(super) async fn list(State(desk): State<Arc<Desk>>, query: Query) -> Result<Json<Page>, Refusal> {
    let params = Params::known(query, &[&CHOOSING[..], &["limit", "cursor"]].concat())?;
    let (filter, limit) = (chosen(&params)?, params.limit()?);
    let before = params.cursor()?;
    let mut rows = desk.readers.read(move |reader| reader.changes_where(&filter, before, limit + 1)).await?;
    let next = page_end(&mut rows, limit).and_then(|last| cursor(&last.stored.number));
    Ok(Json(Page { changes: rows.iter().map(|row| ChangeEntry::of(&row.stored.change)).collect(), next }))
}
