//! `/events`: how far each sink has come, what it doesn't have, and what is told.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};

use super::actions::{self, Asker, OUTCOME};
use super::changes::turn_pages;
use super::frame::{Frame, Refused, Tab};
use super::here::Here;
use super::marks::{count, kind, mark, moment, moment_or, none, text, whose};
use super::table::{Column, Kind, Pages, Table};
use crate::clock::Timestamp;
use crate::event::{Event, Severity};
use crate::http::Desk;
use crate::http::api::{Params, Query, page_end};
use crate::http::index::{Direction, compare};
use crate::http::problem::Refusal;
use crate::http::view::shown;
use crate::status::SinkStatus;
use crate::store::{EventSort, LetterState, Turn, Undelivered};

/// Rows on a page.
const ROWS: usize = 100;
/// Of what a sink doesn't have, so much of each state is looked at, and so much is on a page.
const LETTERS: usize = 5000;
const LETTER_ROWS: usize = 50;

type Sink = (String, SinkStatus);

const SINKS: Table<Sink> = Table {
    id: "sinks",
    caption: "Sinks",
    sort: "sinks",
    key: |(name, _)| name.clone(),
    columns: &[
        Column {
            key: "sink",
            title: "sink",
            kind: Kind::Text,
            order: |a, b| compare(&a.0, &b.0),
            cell: |(name, _), _| {
                let href = Here::at("/events").with("sink", name).href();
                html! { a href=(href) { (text(name)) } }
            },
        },
        Column {
            key: "state",
            title: "state",
            kind: Kind::Text,
            order: |a, b| trouble(&a.1).cmp(&trouble(&b.1)),
            cell: |(_, sink), _| match trouble(sink) {
                2 => mark("✕", "bad", "gave up on events"),
                1 => mark("▲", "warn", "is behind"),
                _ => mark("✓", "good", "delivers"),
            },
        },
        Column {
            key: "delivered",
            title: "delivered",
            kind: Kind::NumberAside,
            order: |a, b| a.1.deliveries.cmp(&b.1.deliveries),
            cell: |(_, sink), _| html! { (count(sink.deliveries)) },
        },
        Column {
            key: "pending",
            title: "backlog",
            kind: Kind::Number,
            order: |a, b| a.1.pending.cmp(&b.1.pending),
            cell: |(_, sink), _| html! { (count(sink.pending)) },
        },
        Column {
            key: "oldest",
            title: "oldest",
            kind: Kind::NumberAside,
            order: |a, b| a.1.oldest_pending.cmp(&b.1.oldest_pending),
            cell: |(_, sink), now| match sink.oldest_pending {
                Some(at) => moment(now, at),
                None => none(),
            },
        },
        Column {
            key: "held",
            title: "devices held",
            kind: Kind::NumberAside,
            order: |a, b| a.1.held_devices.cmp(&b.1.held_devices),
            cell: |(_, sink), _| html! { (count(sink.held_devices)) },
        },
        Column {
            key: "failed",
            title: "failed tries",
            kind: Kind::NumberAside,
            order: |a, b| a.1.failures.cmp(&b.1.failures),
            cell: |(_, sink), _| html! { (count(sink.failures)) },
        },
        Column {
            key: "dead",
            title: "dead letters",
            kind: Kind::Number,
            order: |a, b| a.1.kept.cmp(&b.1.kept),
            cell: |(_, sink), _| {
                html! { (count(sink.kept)) @if sink.dropped > 0 { span.dim { " (" (count(sink.dropped)) " no longer kept)" } } }
            },
        },
    ],
};

/// How bad it is: 0 for nothing, 1 for events that wait for another try, 2 for events given up.
fn trouble(sink: &SinkStatus) -> u8 {
    let is_behind = sink.held_devices > 0 || (sink.pending > 0 && sink.failures > 0);
    match sink.kept {
        1.. => 2,
        0 => u8::from(is_behind),
    }
}

/// What a sink doesn't have, for whoever may have it told again.
struct Lacking {
    letter: Undelivered,
    asker: Asker,
}

const LETTERS_TABLE: Table<Lacking> = Table {
    id: "letters",
    caption: "What the sink doesn't have",
    sort: "letters",
    key: |row| row.letter.event.sequence.to_string(),
    columns: &[
        Column {
            key: "sequence",
            title: "number",
            kind: Kind::Number,
            order: |a, b| a.letter.event.sequence.cmp(&b.letter.event.sequence),
            cell: |row, _| html! { (row.letter.event.sequence) },
        },
        Column {
            key: "state",
            title: "state",
            kind: Kind::Text,
            order: |a, b| a.letter.state.as_str().cmp(b.letter.state.as_str()),
            cell: |row, _| match row.letter.state {
                LetterState::Pending => mark("…", "dim", "pending"),
                LetterState::Held => mark("▲", "warn", "held"),
                LetterState::Dead => html! { (mark("✕", "bad", "dead")) " " (tell_again(row)) },
            },
        },
        Column {
            key: "event",
            title: "event",
            kind: Kind::Long,
            order: |a, b| a.letter.event.change.of.cmp(&b.letter.event.change.of),
            cell: |row, _| html! { (shown(&row.letter.event.message())) },
        },
        Column {
            key: "tries",
            title: "tries",
            kind: Kind::Number,
            order: |a, b| a.letter.tries.cmp(&b.letter.tries),
            cell: |row, _| html! { (row.letter.tries) },
        },
        Column {
            key: "dead",
            title: "given up",
            kind: Kind::NumberAside,
            order: |a, b| a.letter.dead_at.cmp(&b.letter.dead_at),
            cell: |row, now| moment_or(now, row.letter.dead_at, "–"),
        },
        Column {
            key: "error",
            title: "last answer",
            kind: Kind::Aside,
            order: |a, b| a.letter.error.cmp(&b.letter.error),
            cell: |row, _| text(&row.letter.error),
        },
    ],
};

fn tell_again(row: &Lacking) -> Markup {
    let (id, number) = (row.letter.event.id(), row.letter.event.sequence.to_string());
    let fields = [("do", "replay"), ("sink", row.letter.sink.as_str()), ("id", id.as_str())];
    actions::button(&row.asker, &fields, "Tell again", &number)
}

const EVENTS: Table<Event, EventSort> = Table {
    id: "events",
    caption: "Events",
    sort: "sort",
    key: |event| event.sequence.to_string(),
    columns: &[
        Column {
            key: "sequence",
            title: "number",
            kind: Kind::Number,
            order: EventSort::Sequence,
            cell: |event, _| html! { (event.sequence) },
        },
        Column {
            key: "at",
            title: "when",
            kind: Kind::Number,
            order: EventSort::At,
            cell: |event, now| moment(now, event.change.at),
        },
        Column {
            key: "severity",
            title: "severity",
            kind: Kind::Aside,
            order: EventSort::Severity,
            cell: |event, _| html! { (Severity::of(event.change.kind)) },
        },
        Column {
            key: "kind",
            title: "kind",
            kind: Kind::Text,
            order: EventSort::Kind,
            cell: |event, _| kind(event.change.kind),
        },
        Column {
            key: "device",
            title: "device",
            kind: Kind::Text,
            order: EventSort::Device,
            cell: |event, _| whose(&event.change.of),
        },
        Column {
            key: "message",
            title: "told as",
            kind: Kind::Aside,
            order: EventSort::Why,
            cell: |event, _| html! { (shown(&event.message())) },
        },
    ],
};

/// All that one sink doesn't have.
struct Lack {
    sink: String,
    /// Whether there is a sink of this name: nothing is told to one that is no longer configured, however often it is asked for.
    is_configured: bool,
    rows: Vec<Lacking>,
    asker: Asker,
}

impl Lack {
    fn of(sink: String, sinks: &[Sink], letters: Vec<Undelivered>, asker: &Asker) -> Self {
        let is_configured = sinks.iter().any(|(name, _)| *name == sink);
        let asker = if is_configured { asker.clone() } else { Asker::default() };
        let rows = letters.into_iter().map(|letter| Lacking { letter, asker: asker.clone() }).collect();
        Self { sink, is_configured, rows, asker }
    }

    fn draw(mut self, params: &Params, here: &Here, now: Timestamp) -> Result<Markup, Refusal> {
        LETTERS_TABLE.sort(&mut self.rows, here)?;
        let pages = Pages::read(params, LETTER_ROWS, self.rows.len())?;
        let some_are_dead = self.rows.iter().any(|row| row.letter.state == LetterState::Dead);
        let sink = &self.sink;
        Ok(html! {
            section { h2 { "What " (text(sink)) " doesn't have · " a href=(here.without(&["sink", "letters", "page"]).href()) { "close" } }
                @if self.rows.is_empty() {
                    p.note { @if self.is_configured { "It has all of them." } @else { "No sink of this name is configured." } }
                } @else {
                    @if !self.is_configured { p.note { (mark("▲", "warn", "no longer configured")) ": it is told nothing." } }
                    (pages.draw("letter-pages", here, "undelivered events"))
                    (LETTERS_TABLE.draw(&self.rows[pages.range()], here, now))
                    @if some_are_dead {
                        (actions::button(&self.asker, &[("do", "replay"), ("sink", sink)], "Tell all dead letters again", sink))
                    }
                    @if self.is_configured { p.note { "Told again by " code { "versweep events replay --sink " (text(sink)) } "." } }
                }
            }
        })
    }
}

/// The sinks, what one of them doesn't have, and the latest events.
pub(super) async fn page(
    State(desk): State<Arc<Desk>>,
    asker: Asker,
    query: Result<Query, Refusal>,
) -> Result<Response, Refused> {
    let query = query?;
    let here = Here::new("/events", &query).without(&OUTCOME);
    let params = Params::known(query, &["sink", "sinks", "letters", "sort", "after", "page", "notice"])?;
    let sink = params.one("sink")?.map(str::to_owned);
    let (sort, direction) = EVENTS.order(&here)?.unwrap_or((EventSort::Sequence, Direction::Descending));
    let turn = Turn { sort, direction, behind: params.read("after", "the number of an event")? };
    let begins = turn.behind.is_none();
    let frame = Frame::new(&desk, "Events", Tab::Events, 5).await?;
    let asked = sink.clone();
    let read = desk.readers.read(move |reader| {
        let events = reader.events_sorted(turn, ROWS + 1)?;
        let letters = asked.map(|sink| reader.undelivered(&sink, LETTERS)).transpose()?;
        Ok((events, letters.unwrap_or_default()))
    });
    let (mut events, letters) = read.await?;
    let last = page_end(&mut events, ROWS).map(|event| event.sequence.to_string());
    let mut sinks = (desk.app.live)().sinks;
    SINKS.sort(&mut sinks, &here)?;
    let lacking = sink.map(|sink| Lack::of(sink, &sinks, letters, &asker));
    let lacking = lacking.map(|lacking| lacking.draw(&params, &here, frame.now)).transpose()?;
    let main = html! {
        h1 { "Events" }
        (actions::notice(&params)?)
        section { h2 { "Sinks" }
            @if sinks.is_empty() { p.note { "No sink is configured: docs/events.md shows how to add one." } }
            @else { (SINKS.draw(&sinks, &here, frame.now)) }
        }
        @if let Some(lacking) = lacking { (lacking) }
        section { h2 { "Latest events" }
            (turn_pages(&here, !begins, last, "events"))
            @if events.is_empty() { p.note { "Nothing has been told yet." } } @else { (EVENTS.draw_sorted(&events, &here, frame.now, Some("-sequence"))) }
        }
    };
    Ok(frame.around(&main))
}
