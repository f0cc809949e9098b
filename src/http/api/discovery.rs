//! `/sd`: the devices as targets for Prometheus's `http_sd_configs`, so that other exporters find what versweep knows.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;

use super::devices::{FILTER, filter};
use super::params::{Params, Query};
use crate::http::Desk;
use crate::http::problem::Refusal;
use crate::http::view::{platform, shown};
use crate::known::DeviceState;

/// What stands before the name of each label.
const META: &str = "__meta_versweep_";

/// One device as a target group of its own.
#[derive(Debug, Serialize)]
struct Group {
    targets: [String; 1],
    labels: BTreeMap<String, String>,
}

/// All devices, or those that the query chooses, as `/api/v1/devices` would.
pub(in crate::http) async fn discovery(
    State(desk): State<Arc<Desk>>,
    headers: HeaderMap,
    query: Query,
) -> Response {
    let answer = async {
        let filter = filter(&Params::known(query, &FILTER)?)?;
        let index = desk.indexes.now().await?;
        index.tag.answer(&headers, || {
            let chosen = index.choose(&filter);
            let devices = index.snapshot.devices.iter().enumerate();
            let groups = devices.filter(|(place, _)| chosen.has(*place)).map(|(_, state)| Group::of(state));
            Ok(Json(groups.collect::<Vec<_>>()).into_response())
        })
    };
    answer.await.unwrap_or_else(|refusal: Refusal| refusal.answer("/sd"))
}

impl Group {
    fn of(state: &DeviceState) -> Self {
        let device = &state.device;
        let facts = state.known.facts.as_ref().map(|known| &known.reading.facts);
        let text = |text: Option<&str>| text.map(shown).unwrap_or_default();
        let own = [
            ("device", device.id.to_string()),
            ("port", device.endpoint.port.to_string()),
            ("platform", shown(platform(state))),
            ("model", text(facts.and_then(|facts| facts.model.as_deref()))),
            ("version", text(facts.map(|facts| facts.version.as_str()))),
            ("state", state.known.reach().as_str().to_owned()),
        ];
        let own = own.into_iter().map(|(name, value)| (format!("{META}{name}"), value));
        let labels =
            device.labels.iter().map(|(name, value)| (format!("{META}label_{}", tame(name)), shown(value)));
        Self { targets: [shown(&device.endpoint.host)], labels: own.chain(labels).collect() }
    }
}

/// A label's name as Prometheus takes it: what is neither letter, digit nor underscore becomes an underscore.
fn tame(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}
