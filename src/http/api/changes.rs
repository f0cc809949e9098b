//! `/api/v1/changes`: what changed, newest first.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::entry::ChangeEntry;
use super::params::{Params, Query, cursor};
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

/// The changes that the query chooses, as far back as the store keeps them.
pub(super) async fn list(State(desk): State<Arc<Desk>>, query: Query) -> Result<Json<Page>, Refusal> {
    let params = Params::known(query, &["device", "kind", "since", "until", "limit", "cursor"])?;
    let kinds = params.among("kind", &ChangeKind::ALL.map(ChangeKind::as_str))?;
    let limit = params.limit()?;
    let name = |text: &str| {
        DeviceId::new(text).map_err(|error| Refusal::BadQuery(format!("device is no device's name: {error}")))
    };
    let filter = ChangeFilter {
        device: params.one("device")?.map(name).transpose()?,
        kinds: kinds.iter().filter_map(|kind| ChangeKind::from_name(kind)).collect(),
        since: params.instant("since")?,
        until: params.instant("until")?,
        ..ChangeFilter::default()
    };
    let before = params.cursor()?;
    let mut rows = desk.readers.read(move |reader| reader.changes_where(&filter, before, limit + 1)).await?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).and_then(|last| cursor(&last.stored.number));
    Ok(Json(Page { changes: rows.iter().map(|row| ChangeEntry::of(&row.stored.change)).collect(), next }))
}
