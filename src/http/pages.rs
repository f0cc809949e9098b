//! The pages: the fleet as people look at it, drawn here from snapshots, indexes and the store. One style sheet, one small
//! script, nothing from elsewhere; without the script everything can be read, it only doesn't move by itself. maud escapes
//! every text; [`crate::http::view::shown`] bounds it.

mod actions;
mod advice;
mod assets;
mod changes;
mod device;
mod devices;
mod drift;
mod events;
mod fleet;
mod form;
mod frame;
mod here;
mod live;
mod marks;
mod past;
mod said;
mod sweeps;
mod table;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use crate::http::Desk;

/// The pages.
pub(super) fn reading() -> Router<Arc<Desk>> {
    Router::new()
        .route("/", get(fleet::page))
        .route("/devices", get(devices::page))
        .route("/devices/{device}", get(device::page))
        .route("/changes", get(changes::page))
        .route("/changes/{number}", get(changes::one))
        .route("/sweeps", get(sweeps::page))
        .route("/drift", get(drift::page))
        .route("/events", get(events::page))
        .route("/live", get(live::stream))
}

/// Where the buttons of pages lead.
pub(super) fn acting() -> Router<Arc<Desk>> {
    Router::new().route("/actions", post(actions::act))
}

/// What the pages are drawn with; served at any time.
pub(super) fn assets() -> Router<Arc<Desk>> {
    Router::new()
        .route("/style.css", get(assets::style))
        .route("/script.js", get(assets::script))
        .route("/icon.svg", get(assets::icon))
}
