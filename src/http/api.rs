//! The JSON API, version 1. The structs in its rooms are the wire; floor 0 may change without them. What is served is
//! described by `openapi.json`, which is served as well.

mod changes;
mod device;
mod devices;
mod discovery;
mod entry;
mod events;
mod openapi;
mod params;
mod policies;
mod requests;
mod status;
mod sweeps;
mod versions;

use std::sync::Arc;

use axum::Router;
use axum::http::Method;
use axum::routing::{MethodRouter, get, post};

pub(super) use self::changes::{CHOOSING as CHOOSING_CHANGES, chosen as chosen_changes};
pub(super) use self::devices::{FILTER, filter, sort};
pub(super) use self::discovery::discovery;
pub(super) use self::params::{Name, Params, Query, page_end};
pub(super) use self::requests::asked_for;
pub(super) use self::sweeps::unknown_sweep;
use crate::http::Desk;

/// One thing that the API does.
struct Endpoint {
    /// How it is asked for. HEAD goes with GET.
    method: Method,
    /// Where, in the notation that axum and OpenAPI share.
    path: &'static str,
    handler: MethodRouter<Arc<Desk>>,
}

/// All that the API does. The description is tested against this table.
fn endpoints() -> Vec<Endpoint> {
    let reads = |path, handler| Endpoint { method: Method::GET, path, handler };
    let acts = |path, handler| Endpoint { method: Method::POST, path, handler };
    vec![
        reads("/api/v1/devices", get(devices::list)),
        reads("/api/v1/devices/{device}", get(device::one)),
        reads("/api/v1/versions", get(versions::list)),
        reads("/api/v1/policies", get(policies::list)),
        reads("/api/v1/changes", get(changes::list)),
        reads("/api/v1/events", get(events::list)),
        reads("/api/v1/status", get(status::status)),
        reads("/api/v1/sweeps", get(sweeps::list)),
        reads("/api/v1/sweeps/{sweep}", get(sweeps::one)),
        reads("/api/v1/runs", get(sweeps::runs)),
        reads("/api/v1/runs/{run}", get(sweeps::run)),
        reads("/api/v1/requests", get(requests::list)),
        reads("/api/v1/requests/{request}", get(requests::one)),
        acts("/api/v1/requests", post(requests::ask)),
        reads("/api/v1/openapi.json", get(openapi::document)),
    ]
}

/// The routes that only read.
pub(super) fn reading() -> Router<Arc<Desk>> {
    router(|method| method == Method::GET)
}

/// The routes that change something.
pub(super) fn acting() -> Router<Arc<Desk>> {
    router(|method| method != Method::GET)
}

fn router(wanted: impl Fn(&Method) -> bool) -> Router<Arc<Desk>> {
    endpoints()
        .into_iter()
        .filter(|endpoint| wanted(&endpoint.method))
        .fold(Router::new(), |router, endpoint| router.route(endpoint.path, endpoint.handler))
}
