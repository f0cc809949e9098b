//! `/api/v1/versions`: which versions run, on how many devices.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;

use super::params::{Params, Query, cursor};
use crate::http::Desk;
use crate::http::index::VersionCount;
use crate::http::problem::Refusal;

/// A page of versions, those that most devices run first.
#[derive(Debug, Serialize)]
struct Page<'a> {
    versions: Vec<VersionEntry<'a>>,
    /// How many rows the filter chooses.
    total: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Debug, Serialize)]
struct VersionEntry<'a> {
    platform: &'a str,
    /// `null` where the devices don't tell their model.
    model: Option<&'a str>,
    version: &'a str,
    devices: usize,
}

/// The versions of the fleet, of these platforms and models where asked.
pub(super) async fn list(
    State(desk): State<Arc<Desk>>,
    headers: HeaderMap,
    query: Query,
) -> Result<Response, Refusal> {
    let params = Params::known(query, &["platform", "model", "limit", "cursor"])?;
    let (platforms, models, limit) = (params.all("platform"), params.all("model"), params.limit()?);
    let last: Option<VersionCount> = params.cursor()?;
    let index = desk.indexes.now().await?;
    let wanted = |row: &&VersionCount| {
        let among = |texts: &[String], text: &str| texts.is_empty() || texts.iter().any(|one| one == text);
        among(&platforms, &row.platform) && among(&models, &row.model)
    };
    index.tag.answer(&headers, || {
        let rows: Vec<&VersionCount> = index.versions().iter().filter(wanted).collect();
        let from = last.map_or(0, |last| rows.partition_point(|row| row.order(&last).is_le()));
        let page = &rows[from..rows.len().min(from + limit)];
        let next = page.last().filter(|_| from + page.len() < rows.len()).and_then(cursor);
        let versions = page.iter().map(|row| VersionEntry::of(row)).collect();
        Ok(Json(Page { versions, total: rows.len(), next }).into_response())
    })
}

impl<'a> VersionEntry<'a> {
    fn of(row: &'a VersionCount) -> Self {
        Self {
            platform: &row.platform,
            model: (!row.model.is_empty()).then_some(&*row.model),
            version: &row.version,
            devices: row.devices,
        }
    }
}
