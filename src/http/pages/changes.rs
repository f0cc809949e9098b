//! `/changes`: what changed, newest first, and `/changes/{number}`: one change with what the device said before and after.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};

use super::form;
use super::frame::{Frame, Refused, Tab};
use super::here::Here;
use super::marks::{kind, mark, moment, none, text, whose};
use super::said;
use super::table::{Column, Kind, PLACE, Table};
use crate::change::{Change, ChangeKind};
use crate::clock::Timestamp;
use crate::device::DeviceId;
use crate::http::Desk;
use crate::http::api::{CHOOSING_CHANGES, Name, Params, Query, chosen_changes, page_end};
use crate::http::index::Direction;
use crate::http::problem::Refusal;
use crate::http::view::shown;
use crate::store::{ChangeFilter, ChangeRow, ChangeSort, StoredChange, Turn};
use crate::textdiff;

/// Rows on a page.
const ROWS: usize = 100;

/// When it was found; what tells rows apart is their number, which grows with it.
pub(super) const WHEN: Column<ChangeRow, ChangeSort> = Column {
    key: "at",
    title: "when",
    kind: Kind::Number,
    order: ChangeSort::Number,
    cell: |row, now| moment(now, row.stored.change.at),
};

/// What changed, with the way to its own page.
pub(super) const KIND: Column<ChangeRow, ChangeSort> = Column {
    key: "kind",
    title: "change",
    kind: Kind::Text,
    order: ChangeSort::Kind,
    cell: |row, _| {
        let href = format!("/changes/{}", row.stored.number);
        html! { a href=(href) { (kind(row.stored.change.kind)) } }
    },
};

pub(super) const BEFORE: Column<ChangeRow, ChangeSort> = Column {
    key: "before",
    title: "before",
    kind: Kind::Aside,
    order: ChangeSort::Before,
    cell: |row, _| text(&row.stored.change.before),
};

pub(super) const AFTER: Column<ChangeRow, ChangeSort> = Column {
    key: "after",
    title: "after",
    kind: Kind::Long,
    order: ChangeSort::After,
    cell: |row, _| text(&row.stored.change.after),
};

pub(super) const WHY: Column<ChangeRow, ChangeSort> = Column {
    key: "why",
    title: "why",
    kind: Kind::Aside,
    order: ChangeSort::Why,
    cell: |row, _| text(&row.stored.change.why),
};

const CHANGES: Table<ChangeRow, ChangeSort> = Table {
    id: "changes",
    caption: "Changes",
    sort: "sort",
    key: |row| row.stored.number.to_string(),
    columns: &[
        WHEN,
        Column {
            key: "device",
            title: "device",
            kind: Kind::Text,
            order: ChangeSort::Device,
            cell: |row, _| whose(&row.stored.change.of),
        },
        KIND,
        BEFORE,
        AFTER,
        WHY,
    ],
};

/// The changes that the query chooses.
pub(super) async fn page(
    State(desk): State<Arc<Desk>>,
    query: Result<Query, Refusal>,
) -> Result<Response, Refused> {
    let query = query?.without_empty(&CHOOSING_CHANGES);
    let here = Here::new("/changes", &query);
    let params = Params::known(query, &[&CHOOSING_CHANGES[..], &["sort", "after"]].concat())?;
    let filter = chosen_changes(&params)?;
    let (sort, direction) = CHANGES.order(&here)?.unwrap_or((ChangeSort::Number, Direction::Descending));
    let turn = Turn { sort, direction, behind: params.read("after", "the number of a change")? };
    let begins = turn.behind.is_none();
    let frame = Frame::new(&desk, "Changes", Tab::Changes, 5).await?;
    let read = desk.readers.read(move |reader| reader.changes_sorted(&filter, turn, ROWS + 1));
    let mut rows = read.await?;
    let last = page_end(&mut rows, ROWS).map(|row| row.stored.number.to_string());
    let inside = html! {
        (form::search(&here, "device", "device", "its whole name"))
        (form::choice(&here, "kind", "kind", ChangeKind::ALL.map(ChangeKind::as_str)))
        (form::search(&here, "since", "since", "2026-11-25T14:00:00Z"))
        (form::search(&here, "until", "until", "2026-11-26T00:00:00Z"))
    };
    let main = html! {
        h1 { "Changes" }
        (form::form(&here, "/changes", &CHOOSING_CHANGES, &inside))
        (form::chosen(&here))
        (turn_pages(&here, !begins, last, "changes"))
        @if rows.is_empty() { p.note { "No change was seen here." } }
        @else { (CHANGES.draw_sorted(&rows, &here, frame.now, Some("-at"))) }
    };
    Ok(frame.around(&main))
}

/// The way back to the first rows, and on to those after the last one here.
pub(super) fn turn_pages(here: &Here, behind: bool, last: Option<String>, what: &str) -> Markup {
    html! {
        nav.pages #turn data-live aria-label={ "Pages of " (what) } {
            @if behind { a href=(here.without(&PLACE).href()) { "« first" } }
            @if let Some(last) = last { a href=(here.with("after", &last).href()) rel="next" { "next ›" } }
        }
    }
}

/// A few changes in a line each, for a corner of another page.
pub(super) fn few<'a>(changes: impl Iterator<Item = &'a Arc<Change>>, now: Timestamp) -> Markup {
    let lines: Vec<Markup> = changes
        .map(|change| {
            html! {
                tr data-key=(shown(&change.id())) {
                    td { (kind(change.kind)) }
                    td { (whose(&change.of)) }
                    td { (step(change)) }
                    td.number { (moment(now, change.at)) }
                }
            }
        })
        .collect();
    html! {
        div #latest data-live {
            @if lines.is_empty() { p.note { "No change has been seen yet." } }
            @else { table.plain { caption.hidden { "Latest changes" } tbody { @for line in &lines { (line) } } } }
        }
    }
}

/// What was and what is, as far as there is either.
fn step(change: &Change) -> Markup {
    html! {
        @match (change.before.as_str(), change.after.as_str()) {
            ("", after) => (text(after)),
            (before, "") => { (text(before)) " → " (none()) }
            (before, after) => { (text(before)) " → " (text(after)) }
        }
    }
}

/// One change.
pub(super) async fn one(
    State(desk): State<Arc<Desk>>,
    name: Result<Name, Refusal>,
    query: Result<Query, Refusal>,
) -> Result<Response, Refused> {
    Params::known(query?, &[])?;
    let number: i64 = name?.0.parse().map_err(|_| Refusal::UnknownChange)?;
    let read = desk.readers.read(move |reader| {
        let filter = ChangeFilter::default();
        let row = reader.changes_where(&filter, number.checked_add(1), 1)?.pop();
        let Some(row) = row.filter(|row| row.stored.number == number) else { return Ok(None) };
        let (then, now) = (reader.raw_before_change(number)?, reader.raw_of_change(number)?);
        // Here, where it may take its time: two long answers without a common line take half a second.
        let difference = match (&then, &now) {
            (Some(then), Some(now)) => Some(textdiff::unified(&then.text, &now.text, ["before", "after"])),
            _ => None,
        };
        Ok(Some((row.stored, difference, now)))
    });
    let (stored, difference, now) = read.await?.ok_or(Refusal::UnknownChange)?;
    let title = format!("{} of {}", stored.change.kind, stored.change.of);
    let frame = Frame::new(&desk, shown(&title), Tab::Changes, 60).await?;
    let main = html! {
        h1 { (kind(stored.change.kind)) " " (whose(&stored.change.of)) }
        (facts(&stored, frame.now))
        @if stored.change.device().is_some() {
            h2 { "What the device said" }
            @match (difference.as_deref(), now) {
                (Some(""), _) => p.note { "It said the same as before." },
                (Some(difference), _) => (said::difference(difference)),
                (None, Some(now)) => {
                    p.note { "Nothing that it had said before is kept, so this is all of it." }
                    (said::whole("said", &now))
                }
                (None, None) => p.note { "Nothing is kept of what it said, if it said anything." },
            }
        }
    };
    Ok(frame.around(&main))
}

fn facts(stored: &StoredChange, now: Timestamp) -> Markup {
    let change = &stored.change;
    let all = |device: &DeviceId| Here::at("/changes").with("device", device.as_str()).href();
    html! {
        dl.facts {
            div { dt { "when" } dd { (moment(now, change.at)) " (" (change.at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)) ")" } }
            div { dt { "before" } dd { (text(&change.before)) } }
            div { dt { "after" } dd { (text(&change.after)) } }
            @if !change.subject.is_empty() { div { dt { "about" } dd { (text(&change.subject)) } } }
            div { dt { "why" } dd { (text(&change.why)) } }
            @if change.device().is_some() { div { dt { "platform" } dd { @match &stored.platform { Some(platform) => (text(platform.as_str())), None => (none()) } } } }
            div { dt { "confirmed" } dd {
                @if change.confirmed { (mark("✓", "good", "yes")) } @else { (mark("?", "dim", "read once only")) }
            } }
            @if let Some(device) = change.device() {
                div { dt { "more" } dd { a href=(all(device)) { "all changes of this device" } } }
            }
        }
    }
}
