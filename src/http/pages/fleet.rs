//! `/`: the fleet at a glance. Who runs what, who doesn't answer and why, what just changed, what is going on.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};

use super::changes;
use super::form;
use super::frame::{Frame, Refused, Tab};
use super::here::Here;
use super::marks::{bar, count, mark, share, state_sign, text, words};
use super::sweeps;
use super::table::{Column, Kind, Pages, Table};
use crate::change::ChangeKind;
use crate::http::Desk;
use crate::http::api::{Params, Query, filter};
use crate::http::index::{Chosen, Index, VersionCount, compare};
use crate::http::problem::Refusal;
use crate::known::{PolicyResult, Reach};
use crate::metrics::Live;

/// Versions on a page.
const ROWS: usize = 50;
/// The latest changes that are shown; `/changes` has the others.
const CHANGES: usize = 12;

/// The part of the filter that this page takes; what it leaves to `/devices` is about single devices.
const KEYS: [&str; 7] = ["q", "state", "platform", "model", "label", "sort", "page"];

/// One version with what its bar is drawn by.
struct Row {
    count: VersionCount,
    most: usize,
    chosen: usize,
    /// The devices that all of this is about.
    devices: Arc<Here>,
}

impl Row {
    /// Where the devices of this version are listed.
    fn href(&self) -> String {
        let VersionCount { platform, model, version, .. } = &self.count;
        self.devices.with("platform", platform).with("model", model).with("version", version).href()
    }
}

const VERSIONS: Table<Row> = Table {
    id: "versions",
    caption: "Versions",
    sort: "sort",
    key: Row::href,
    columns: &[
        Column {
            key: "version",
            title: "version",
            kind: Kind::Text,
            order: |a, b| compare(&a.count.version, &b.count.version),
            cell: |row, _| html! { a href=(row.href()) { (text(&row.count.version)) } },
        },
        Column {
            key: "platform",
            title: "platform",
            kind: Kind::Text,
            order: |a, b| compare(&a.count.platform, &b.count.platform),
            cell: |row, _| text(&row.count.platform),
        },
        Column {
            key: "model",
            title: "model",
            kind: Kind::Aside,
            order: |a, b| compare(&a.count.model, &b.count.model),
            cell: |row, _| text(&row.count.model),
        },
        Column {
            key: "devices",
            title: "devices",
            kind: Kind::Number,
            order: |a, b| a.count.devices.cmp(&b.count.devices),
            cell: |row, _| html! { (count(row.count.devices)) },
        },
        Column {
            key: "share",
            title: "share",
            kind: Kind::Number,
            order: |a, b| a.count.devices.cmp(&b.count.devices),
            cell: |row, _| share(row.count.devices, row.chosen, row.most, "plain"),
        },
    ],
};

/// The fleet, or the part of it that the query chooses.
pub(super) async fn page(
    State(desk): State<Arc<Desk>>,
    query: Result<Query, Refusal>,
) -> Result<Response, Refused> {
    let query = query?.without_empty(&form::FIELDS);
    let here = Here::new("/", &query);
    let params = Params::known(query, &KEYS)?;
    let filter = filter(&params)?;
    let frame = Frame::new(&desk, "Fleet", Tab::Fleet, 5).await?;
    let index = desk.indexes.now().await?;
    let chosen = index.choose(&filter);
    let versions = versions(&index, &chosen, &here, &params, frame.now)?;
    let live = (desk.app.live)();
    // That a device was seen for the first time is no change of it; after the first sweep there would be nothing else.
    let news = index.snapshot.recent_changes.iter().filter(|change| change.kind != ChangeKind::FirstSeen);
    let inside = html! {
        (form::search(&here, "q", "search", "name, version, model …"))
        (form::choice(&here, "state", "state", Reach::ALL.map(Reach::as_str)))
        (form::platforms(&here, &index))
        (form::search(&here, "label", "label", "site=ams"))
    };
    let main = html! {
        h1.hidden { "Fleet" }
        (states(&index, &chosen, &here))
        (form::form(&here, "/", &["q", "state", "platform", "label"], &inside))
        (form::chosen(&here))
        div.fleet {
            section { h2 { "To look at" } (worries(&index, &chosen, &here, &live)) }
            section { h2 { "Sweeps" } (sweeps::few(&desk, &index.snapshot, frame.now)) }
            section.versions { h2 { "Versions" } (versions) }
            section { h2 { "Latest changes" }
                (changes::few(news.take(CHANGES), frame.now))
                p { a href="/changes" { "all changes" } }
            }
        }
    };
    Ok(frame.around(&main))
}

/// The devices behind what is chosen here.
fn devices(here: &Here) -> Here {
    let mut devices = Here::at("/devices");
    for (key, value) in here.pairs().iter().filter(|(key, _)| key != "sort" && key != "page") {
        devices = devices.and(key, value);
    }
    devices
}

fn states(index: &Index, chosen: &Chosen, here: &Here) -> Markup {
    let counts = index.states(chosen);
    let of = |reach: Reach| {
        counts.iter().find(|(name, _)| **name == *reach.as_str()).map_or(0, |(_, count)| *count)
    };
    let (all, devices) = (chosen.count(), devices(here));
    html! {
        ul.states #states data-live {
            li { a href=(devices.href()) { span.big { (count(all)) } @if all == 1 { "device" } @else { "devices" } @if !chosen.is_all() { " chosen" } } }
            @for reach in Reach::ALL {
                @let (sign, tone) = state_sign(reach);
                // Nobody is to be startled by a colour that stands for no device.
                @let tone = if of(reach) == 0 { "dim" } else { tone };
                li {
                    a href=(devices.with("state", reach.as_str()).href()) {
                        span.big { (count(of(reach))) } (mark(sign, tone, reach.as_str()))
                        (bar(of(reach), all, tone))
                    }
                }
            }
        }
    }
}

fn versions(
    index: &Index,
    chosen: &Chosen,
    here: &Here,
    params: &Params,
    now: crate::clock::Timestamp,
) -> Result<Markup, Refusal> {
    let counts = index.versions_of(chosen);
    let most = counts.iter().map(|row| row.devices).max().unwrap_or(0);
    let known = counts.iter().map(|row| row.devices).sum();
    let pages = Pages::read(params, ROWS, counts.len())?;
    let devices = Arc::new(devices(here));
    let row = |count: VersionCount| Row { most, chosen: known, devices: Arc::clone(&devices), count };
    let mut rows: Vec<Row> = counts.into_iter().map(row).collect();
    VERSIONS.sort(&mut rows, here)?;
    Ok(html! {
        (pages.draw("pages", here, "versions"))
        @if rows.is_empty() { p.note { "No device here has told its version yet." } }
        @else { (VERSIONS.draw_sorted(&rows[pages.range()], here, now, Some("-devices"))) }
    })
}

/// What somebody should look at, each with the way there; said so where there is nothing.
fn worries(index: &Index, chosen: &Chosen, here: &Here, live: &Live) -> Markup {
    let devices = devices(here);
    let mut failures = index.failures(chosen);
    failures.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let of = |result: PolicyResult| {
        let of = |policy: &str| index.standing(policy, result);
        index.snapshot.policies.iter().map(|policy| of(&policy.name)).sum::<usize>()
    };
    let (drifted, banned) = (of(PolicyResult::Drifted), of(PolicyResult::Banned));
    let odd: usize = index.odd().iter().map(|odd| odd.places.len()).sum();
    let breakers = index.snapshot.breakers.len();
    let late = live.sinks.iter().filter(|(_, sink)| sink.pending > 0 || sink.kept > 0);
    let waiting: Vec<_> = live.sources.iter().filter(|source| source.failure.is_some()).collect();
    let calm = failures.is_empty() && drifted + banned + odd + breakers == 0 && waiting.is_empty();
    html! {
        ul.worries #worries data-live {
            @for (kind, devices_of) in &failures {
                li { span.number { (count(*devices_of)) }
                    a href=(devices.with("failure", kind).href()) { (mark("▲", "warn", &format!("failed: {}", words(kind)))) } }
            }
            @if banned > 0 { li { span.number { (count(banned)) } a href="/drift?result=banned" { (mark("✕", "bad", "run a banned version")) } } }
            @if drifted > 0 { li { span.number { (count(drifted)) } a href="/drift?result=drifted" { (mark("≠", "warn", "drifted from policy")) } } }
            @if odd > 0 { li { span.number { (count(odd)) } a href="/drift#odd" { (mark("≠", "plain", "odd ones out")) } } }
            @if breakers > 0 { li { span.number { (count(breakers)) } a href="/sweeps#limits" { (mark("✕", "bad", "credentials held back")) } } }
            @for (name, sink) in late {
                li { span.number { (count(sink.pending + sink.kept)) }
                    a href="/events" { (mark("▲", "warn", "events not delivered: ")) (text(name)) } }
            }
            @for source in waiting {
                li { span.number { (count(source.devices)) }
                    a href="/sweeps#inventory" { (mark("▲", "warn", "inventory not refreshed: ")) (text(&source.source)) } }
            }
            @if calm { li { (mark("✓", "good", "nothing")) } }
        }
    }
}
