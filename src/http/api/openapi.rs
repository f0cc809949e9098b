//! The description of the API, OpenAPI 3.1.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};

use super::params::{Params, Query};
use crate::http::Desk;
use crate::http::problem::Refusal;

/// Written by hand; the tests hold it against the table of endpoints and against every closed set of names.
const DOCUMENT: &str = include_str!("openapi.json");

/// What stands there for the server, and is replaced by how the outside reaches it.
const SERVER: &str = r#""servers": [{"url": "/"}]"#;

/// The description itself.
pub(super) async fn document(State(desk): State<Arc<Desk>>, query: Query) -> Result<Response, Refusal> {
    Params::known(query, &[])?;
    // Letters, digits and `-._~/` only, so that there is nothing to escape.
    let server = format!(r#""servers": [{{"url": "{}/"}}]"#, desk.app.web.load().link_prefix());
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "max-age=3600")];
    Ok((headers, DOCUMENT.replacen(SERVER, &server, 1)).into_response())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::change::ChangeKind;
    use crate::failure::{FailureKind, Stage};
    use crate::http::api::endpoints;
    use crate::http::index::Sort;
    use crate::known::{PolicyResult, Reach};
    use crate::status::RefreshFailure;

    fn document() -> Value {
        serde_json::from_str(DOCUMENT).unwrap()
    }

    #[test]
    fn it_describes_what_is_served_and_nothing_else() {
        let document = document();
        let mut described = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for method in item.as_object().unwrap().keys().filter(|key| *key != "parameters") {
                described.insert((method.to_uppercase(), path.clone()));
            }
        }
        let served: BTreeSet<_> = endpoints()
            .iter()
            .map(|endpoint| (endpoint.method.to_string(), endpoint.path.to_owned()))
            .collect();
        assert_eq!(described, served);
    }

    #[test]
    fn its_closed_sets_are_the_programs() {
        let sorts = Sort::ALL.map(Sort::as_str);
        let sorts: Vec<String> =
            sorts.iter().flat_map(|name| [(*name).to_owned(), format!("-{name}")]).collect();
        let stages = Stage::ON_THE_WIRE.iter().chain([&Stage::Parse]).map(|stage| stage.as_str());
        for (schema, names) in [
            ("State", Reach::ALL.map(|reach| reach.as_str().to_owned()).to_vec()),
            ("ChangeKind", ChangeKind::ALL.map(|kind| kind.as_str().to_owned()).to_vec()),
            ("FailureReason", FailureKind::ALL.map(|kind| kind.as_str().to_owned()).to_vec()),
            ("FailureStage", stages.map(str::to_owned).collect()),
            ("PolicyResult", PolicyResult::ALL.map(|result| result.as_str().to_owned()).to_vec()),
            ("RefreshFailure", RefreshFailure::ALL.map(|failure| failure.as_str().to_owned()).to_vec()),
            ("DeviceSort", sorts),
        ] {
            let described = &document()["components"]["schemas"][schema]["enum"];
            assert_eq!(*described, Value::from(names), "{schema}");
        }
    }
}
