//! The landing page: the fleet at a glance, without a script. maud escapes every text; [`shown`] bounds it.

use std::collections::BTreeMap;

use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};
use serde::Deserialize;

use crate::clock::Timestamp;
use crate::http::view::{self, Filter, age, shown};
use crate::http::{App, api};
use crate::known::{DeviceState, Reach, Snapshot};

/// Rows on the page: it stays small however large the fleet is, and the filter reaches the rest.
const DEVICES_SHOWN: usize = 200;
const VERSIONS_SHOWN: usize = 12;
const CHANGES_SHOWN: usize = 20;

const STYLE: &str = include_str!("style.css");

/// The page's query; other keys are left alone, because people arrive by links.
#[derive(Debug, Deserialize)]
pub(super) struct PageQuery {
    q: Option<String>,
    state: Option<String>,
}

/// The style sheet: a file of its own, so that the policy can forbid inline styles.
pub(super) async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "max-age=3600")], STYLE)
        .into_response()
}

/// The page, with the devices that `?q=` and `?state=` choose.
pub(super) async fn page(State(app): State<App>, Query(query): Query<PageQuery>) -> Response {
    let filter = match Filter::new(query.q.as_deref(), query.state.as_deref()) {
        Ok(filter) => filter,
        Err(error) => return (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    };
    let (snapshot, now) = (app.snapshot.load_full(), app.clock.now());
    let body = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "versweep" }
                link rel="stylesheet" href="/style.css";
            }
            body {
                header {
                    h1 { "versweep" }
                    nav {
                        a href="/metrics" { "metrics" }
                        a href="/api/v1/devices" { "devices as JSON" }
                        a href="/api/v1/changes" { "changes as JSON" }
                        a href="/api/v1/sweeps" { "sweeps as JSON" }
                    }
                }
                (counts(&snapshot))
                (sweeps(&app, &snapshot, now))
                (changes(&snapshot, now))
                (versions(&snapshot))
                (devices(&snapshot, &filter, &query, now))
            }
        }
    };
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], body.into_string()).into_response()
}

fn counts(snapshot: &Snapshot) -> Markup {
    let mut counts: BTreeMap<Reach, usize> = BTreeMap::new();
    for state in &snapshot.devices {
        *counts.entry(state.known.reach()).or_default() += 1;
    }
    html! {
        p.counts {
            a href="/" { (snapshot.devices.len()) " devices" }
            @for reach in Reach::ALL {
                @let count = counts.get(&reach).copied().unwrap_or(0);
                a class=(reach.as_str()) href=(format!("/?state={}", reach.as_str())) { (count) " " (reach.as_str()) }
            }
        }
    }
}

fn sweeps(app: &App, snapshot: &Snapshot, now: Timestamp) -> Markup {
    let handles = app.sweeps.load_full();
    html! {
        h2 { "Sweeps" }
        table {
            tr { th { "sweep" } th { "now" } th { "last run" } th { "next run" } }
            @for handle in handles.iter() {
                @let status = handle.status.borrow().clone();
                tr {
                    td { (shown(&handle.name)) }
                    td {
                        @if status.running.is_some() {
                            "running: " (status.answered + status.failed) " of " (status.total) " devices, "
                            (status.busy) " in work"
                        } @else { span.dim { "waiting" } }
                    }
                    td {
                        @match api::newest_run(snapshot, &handle.name) {
                            Some(run) => { (moment(now, run.ended.unwrap_or(run.started)))
                                ", " (run.answered) " answered, " (run.failed) " failed" }
                            None => span.dim { "none yet" },
                        }
                    }
                    td { @match status.next { Some(at) => (moment(now, at)), None => span.dim { "on demand" } } }
                }
            }
        }
    }
}

fn changes(snapshot: &Snapshot, now: Timestamp) -> Markup {
    html! {
        h2 { "Latest changes" }
        @if snapshot.recent_changes.is_empty() { p.note { "No change has been seen yet." } }
        @else {
            table {
                tr { th { "when" } th { "device" } th { "change" } th { "before" } th { "after" } }
                @for change in snapshot.recent_changes.iter().take(CHANGES_SHOWN) {
                    tr {
                        td { (moment(now, change.at)) }
                        td { (shown(change.device.as_str())) }
                        td { (change.kind.as_str()) }
                        td { (shown(&change.before)) }
                        td { (shown(&change.after)) }
                    }
                }
            }
        }
    }
}

fn versions(snapshot: &Snapshot) -> Markup {
    let mut counts: BTreeMap<(&str, &str, &str), usize> = BTreeMap::new();
    for facts in snapshot.devices.iter().filter_map(|state| state.known.facts.as_ref()) {
        let (reading, model) = (&facts.reading, facts.reading.facts.model.as_deref().unwrap_or(""));
        *counts.entry((reading.platform.as_str(), model, reading.facts.version.as_str())).or_default() += 1;
    }
    let mut ranked: Vec<_> = counts.into_iter().collect();
    ranked.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    html! {
        h2 { "Versions" }
        table {
            tr { th { "platform" } th { "model" } th { "version" } th.number { "devices" } }
            @for ((platform, model, version), count) in ranked.iter().take(VERSIONS_SHOWN) {
                tr {
                    td { (shown(platform)) } td { (shown(model)) } td { (shown(version)) } td.number { (count) }
                }
            }
        }
        @if ranked.len() > VERSIONS_SHOWN { p.note { "and " (ranked.len() - VERSIONS_SHOWN) " more versions" } }
    }
}

fn devices(snapshot: &Snapshot, filter: &Filter, query: &PageQuery, now: Timestamp) -> Markup {
    let matching = || snapshot.devices.iter().filter(|state| filter.holds(state));
    let count = if filter.is_empty() { snapshot.devices.len() } else { matching().count() };
    html! {
        h2 { "Devices" }
        form action="/" {
            input type="search" name="q" value=(shown(query.q.as_deref().unwrap_or(""))) aria-label="filter"
                placeholder="name, version, model, site, ...";
            // A state chosen above stays chosen.
            @if let Some(state) = query.state.as_deref() { input type="hidden" name="state" value=(shown(state)); }
            " " button { "Filter" }
        }
        @if count > DEVICES_SHOWN {
            p.note { "The first " (DEVICES_SHOWN) " of " (count) " devices; the filter finds the others." }
        } @else { p.note { (count) " devices" } }
        table {
            tr { th { "device" } th { "state" } th { "version" } th { "model" } th { "platform" } th { "answered" }
                th { "last failure" } }
            @for state in matching().take(DEVICES_SHOWN) { (row(state, now)) }
        }
    }
}

fn row(state: &DeviceState, now: Timestamp) -> Markup {
    let (known, reach) = (&state.known, state.known.reach().as_str());
    let facts = known.facts.as_ref();
    let failure = known.visit.as_ref().and_then(|visit| visit.failure.as_ref());
    html! {
        tr {
            td { (shown(state.device.id.as_str())) }
            td class=(reach) { (reach) }
            td { @if let Some(facts) = facts { (shown(facts.reading.facts.version.as_str())) } }
            td { @if let Some(model) = facts.and_then(|f| f.reading.facts.model.as_deref()) { (shown(model)) } }
            td { (shown(view::platform(state))) }
            td { @match facts { Some(facts) => (moment(now, facts.seen_at)), None => span.dim { "never" } } }
            td {
                @if let Some(failure) = failure {
                    (failure.kind.as_str()) ": " (shown(&failure.detail))
                }
            }
        }
    }
}

/// An instant as its age, with the instant itself for those who point at it.
fn moment(now: Timestamp, at: Timestamp) -> Markup {
    let exact = at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    html! { time datetime=(exact) title=(exact) { (age(now, at)) } }
}
