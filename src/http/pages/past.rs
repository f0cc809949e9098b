//! What a device was: the versions that it ran, and its latest changes.

use chrono::{SecondsFormat, TimeDelta};
use maud::{Markup, html};

use super::changes::{AFTER, BEFORE, KIND, WHEN, WHY};
use super::here::Here;
use super::marks::{mark, moment, text};
use super::table::{Column, Kind, Table};
use crate::clock::Timestamp;
use crate::http::view::lasted;
use crate::store::{ChangeRow, ChangeSort, HistoryRange};

/// The versions that are shown; `versweep history` has the rest.
const HISTORY: usize = 50;

/// The versions that it ran, newest first, each as long as it was seen.
pub(super) fn timeline(history: &[HistoryRange], now: Timestamp) -> Markup {
    let exact = |at: Timestamp| at.to_rfc3339_opts(SecondsFormat::Secs, true);
    html! {
        @if history.is_empty() { p.note { "It has not answered yet." } }
        @else { ol.timeline #timeline data-live {
            @for range in history.iter().rev().take(HISTORY) {
                @let seen = (range.last_seen - range.first_seen).max(TimeDelta::zero());
                li.current[range.current] data-key=(exact(range.first_seen)) {
                    span.version { (text(&range.version)) } " "
                    span.dim { (text(range.platform.as_str())) } " "
                    @if range.current { (mark("●", "good", "runs now")) }
                    div.dim {
                        "seen for " (lasted(seen)) ", first " (moment(now, range.first_seen)) ", last " (moment(now, range.last_seen))
                    }
                }
            }
        } }
        @if history.len() > HISTORY { p.note { "and " (history.len() - HISTORY) " older ones" } }
    }
}

/// The table of its changes.
pub(super) const CHANGES: Table<ChangeRow, ChangeSort> = Table {
    id: "device-changes",
    caption: "Changes of this device",
    sort: "changes",
    key: |row| row.stored.number.to_string(),
    columns: &[WHEN, KIND, Column { kind: Kind::Text, ..BEFORE }, AFTER, WHY],
};

/// The latest changes of the device of that name, in the order that the address says.
pub(super) fn changes(rows: &[ChangeRow], here: &Here, name: &str, now: Timestamp) -> Markup {
    html! {
        @if rows.is_empty() { p.note { "No change of it is kept." } }
        @else {
            (CHANGES.draw_sorted(rows, here, now, Some("-at")))
            p { a href=(Here::at("/changes").with("device", name).href()) { "all changes of it" } }
        }
    }
}
