//! `/api/v1/policies`: what is asked of the fleet, and how it stands by it.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;

use super::params::{Params, Query};
use crate::clock::Timestamp;
use crate::http::Desk;
use crate::http::index::Index;
use crate::http::problem::Refusal;
use crate::http::view::shown;
use crate::known::{PolicyInfo, PolicyResult, PolicyStanding};

/// The policies in force, by name.
#[derive(Debug, Serialize)]
struct Policies {
    policies: Vec<PolicyEntry>,
}

#[derive(Debug, Serialize)]
struct PolicyEntry {
    policy: String,
    /// Since when it asks for what it asks for.
    since: Timestamp,
    /// Whom it covers and what it asks for, as one text.
    asks: String,
    /// Until when drift from it is no breach; `null` without a grace.
    grace_until: Option<Timestamp>,
    /// How many devices have which result; all results are there.
    devices: BTreeMap<&'static str, usize>,
}

impl PolicyEntry {
    fn of(policy: &PolicyInfo, index: &Index) -> Self {
        let count = |result: PolicyResult| (result.as_str(), index.standing(&policy.name, result));
        Self {
            policy: shown(&policy.name),
            since: policy.since,
            asks: shown(&policy.asks),
            grace_until: policy.grace_until,
            devices: PolicyResult::ALL.map(count).into(),
        }
    }
}

/// One device by one policy that covers it.
#[derive(Debug, Serialize)]
pub(super) struct StandingEntry {
    policy: String,
    result: &'static str,
    why: String,
    /// `null` where nobody can say.
    complies: Option<bool>,
}

impl StandingEntry {
    pub(super) fn of(standing: &PolicyStanding) -> Self {
        Self {
            policy: shown(&standing.policy.name),
            result: standing.verdict.result.as_str(),
            why: shown(&standing.verdict.why),
            complies: standing.complies,
        }
    }
}

/// All policies.
pub(super) async fn list(
    State(desk): State<Arc<Desk>>,
    headers: HeaderMap,
    query: Query,
) -> Result<Response, Refusal> {
    Params::known(query, &[])?;
    let index = desk.indexes.now().await?;
    index.tag.answer(&headers, || {
        let policies = index.snapshot.policies.iter().map(|policy| PolicyEntry::of(policy, &index)).collect();
        Ok(Json(Policies { policies }).into_response())
    })
}
