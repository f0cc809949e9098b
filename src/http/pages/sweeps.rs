//! `/sweeps`: what each sweep is doing at this moment, what it waits for, and its past runs.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};

use super::actions::{self, Asker, OUTCOME};
use super::changes::turn_pages;
use super::frame::{Frame, Refused, Tab};
use super::here::Here;
use super::marks::{bar, count, many, mark, moment, moment_or, none, share, text, words};
use super::table::{Column, Kind, Table};
use crate::activity::SweepHandle;
use crate::clock::Timestamp;
use crate::http::Desk;
use crate::http::api::{Params, Query, page_end};
use crate::http::index::{Direction, compare};
use crate::http::problem::Refusal;
use crate::http::view::lasted;
use crate::known::{Snapshot, SweepRecord};
use crate::metrics::Live;
use crate::observation::SweepId;
use crate::status::{SourceStatus, SweepStatus};
use crate::store::{RunSort, Turn};

/// Past runs on a page.
const ROWS: usize = 50;

/// One sweep with what it does and its newest run.
struct Row {
    name: Arc<str>,
    status: SweepStatus,
    last: Option<SweepRecord>,
    asker: Asker,
}

impl Row {
    fn of(handle: &SweepHandle, snapshot: &Snapshot, asker: &Asker) -> Self {
        Self {
            name: Arc::clone(&handle.name),
            status: handle.status.borrow().clone(),
            last: snapshot.last_ended(&handle.name).or(snapshot.newest_run(&handle.name)).cloned(),
            asker: asker.clone(),
        }
    }

    fn done(&self) -> usize {
        self.status.answered + self.status.failed
    }

    fn ended(&self) -> Option<Timestamp> {
        self.last.as_ref().and_then(|run| run.ended)
    }
}

const SWEEPS: Table<Row> = Table {
    id: "sweeps",
    caption: "Sweeps",
    sort: "sort",
    key: |row| row.name.to_string(),
    columns: &[
        Column {
            key: "sweep",
            title: "sweep",
            kind: Kind::Text,
            order: |a, b| compare(&a.name, &b.name),
            cell: |row, _| {
                let href = Here::at("/sweeps").with("sweep", &row.name).href();
                html! { a href=(href) { (text(&row.name)) } }
            },
        },
        Column {
            key: "now",
            title: "now",
            kind: Kind::Text,
            order: |a, b| a.status.running.is_some().cmp(&b.status.running.is_some()),
            cell: |row, _| html! { (progress(row)) " " (sweep_now(row)) },
        },
        Column {
            key: "busy",
            title: "in work",
            kind: Kind::NumberAside,
            order: |a, b| a.status.busy.cmp(&b.status.busy),
            cell: |row, _| html! { (count(row.status.busy)) },
        },
        Column {
            key: "failed",
            title: "failed",
            kind: Kind::NumberAside,
            order: |a, b| a.status.failed.cmp(&b.status.failed),
            cell: |row, _| html! { (count(row.status.failed)) },
        },
        Column {
            key: "last",
            title: "last run",
            kind: Kind::Text,
            order: |a, b| a.ended().cmp(&b.ended()),
            cell: |row, now| last_run(row.last.as_ref(), now),
        },
        Column {
            key: "next",
            title: "next run",
            kind: Kind::Number,
            order: |a, b| a.status.next.cmp(&b.status.next),
            cell: |row, now| moment_or(now, row.status.next, "on demand"),
        },
    ],
};

fn progress(row: &Row) -> Markup {
    let (done, total) = (row.done(), row.status.total);
    html! {
        @if row.status.running.is_some() {
            (mark("▶", "run", "running")) " " (count(done)) " of " (count(total))
            (share(done, total, total, "run"))
        } @else { (mark("‖", "dim", "waiting")) }
    }
}

fn sweep_now(row: &Row) -> Markup {
    html! {
        @if row.status.running.is_none() {
            (actions::button(&row.asker, &[("do", "sweep"), ("sweep", &row.name)], "Sweep now", &row.name))
        }
    }
}

fn last_run(run: Option<&SweepRecord>, now: Timestamp) -> Markup {
    html! {
        @match run {
            Some(run) => {
                (moment(now, run.ended.unwrap_or(run.started)))
                ": " (count(run.answered)) " answered, " (count(run.failed)) " failed"
                @if run.ended.is_some() && !run.complete { ", " (mark("▲", "warn", "cut short")) }
            }
            None => span.dim { "none yet" },
        }
    }
}

/// The sweeps in a line each, for a corner of another page.
pub(super) fn few(desk: &Desk, snapshot: &Snapshot, now: Timestamp) -> Markup {
    let nobody = Asker::default();
    let rows: Vec<Row> =
        desk.app.sweeps.load().iter().map(|handle| Row::of(handle, snapshot, &nobody)).collect();
    html! {
        ul.lines #sweeping data-live {
            @for row in &rows {
                li {
                    a href="/sweeps" { (text(&row.name)) } " " (progress(row))
                    @if row.status.running.is_none() { span.dim { ", next " (moment_or(now, row.status.next, "on demand")) } }
                }
            }
            @if rows.is_empty() { li.dim { "No sweep is configured." } }
        }
    }
}

const RUNS: Table<SweepRecord, RunSort> = Table {
    id: "runs",
    caption: "Past runs",
    sort: "runs",
    key: |run| run.id.to_string(),
    columns: &[
        Column {
            key: "started",
            title: "started",
            kind: Kind::Number,
            order: RunSort::Began,
            cell: |run, now| moment(now, run.started),
        },
        Column {
            key: "sweep",
            title: "sweep",
            kind: Kind::Text,
            order: RunSort::Sweep,
            cell: |run, _| text(&run.name),
        },
        Column {
            key: "reason",
            title: "why",
            kind: Kind::Aside,
            order: RunSort::Reason,
            cell: |run, _| text(&run.reason),
        },
        Column {
            key: "took",
            title: "took",
            kind: Kind::Number,
            order: RunSort::Took,
            cell: |run, _| match took(run) {
                Some(took) => html! { (lasted(took)) },
                None => mark("▶", "run", "running"),
            },
        },
        Column {
            key: "devices",
            title: "devices",
            kind: Kind::Number,
            order: RunSort::Devices,
            cell: |run, _| html! { (count(run.devices)) },
        },
        Column {
            key: "answered",
            title: "answered",
            kind: Kind::NumberAside,
            order: RunSort::Answered,
            cell: |run, _| html! { (count(run.answered)) },
        },
        Column {
            key: "failed",
            title: "failed",
            kind: Kind::Number,
            order: RunSort::Failed,
            cell: |run, _| html! { (count(run.failed)) },
        },
        Column {
            key: "complete",
            title: "whole",
            kind: Kind::Aside,
            order: RunSort::Complete,
            cell: |run, _| match (run.ended, run.complete) {
                (None, _) => none(),
                (_, true) => mark("✓", "good", "yes"),
                (_, false) => mark("▲", "warn", "cut short"),
            },
        },
    ],
};

fn took(run: &SweepRecord) -> Option<chrono::TimeDelta> {
    run.ended.map(|ended| ended - run.started)
}

/// All sweeps, and the runs of one or of all.
pub(super) async fn page(
    State(desk): State<Arc<Desk>>,
    asker: Asker,
    query: Result<Query, Refusal>,
) -> Result<Response, Refused> {
    let query = query?;
    let here = Here::new("/sweeps", &query).without(&OUTCOME);
    let params = Params::known(query, &["sweep", "sort", "runs", "sources", "after", "notice"])?;
    let sweep = params.one("sweep")?.map(str::to_owned);
    let (sort, direction) = RUNS.order(&here)?.unwrap_or((RunSort::Began, Direction::Descending));
    let turn = Turn { sort, direction, behind: params.read::<SweepId>("after", "the id of a run")? };
    let begins = turn.behind.is_none();
    let frame = Frame::new(&desk, "Sweeps", Tab::Sweeps, 1).await?;
    let wanted = sweep.clone();
    let read = desk.readers.read(move |reader| reader.runs_sorted(wanted.as_deref(), turn, ROWS + 1));
    let mut runs = read.await?;
    let last = page_end(&mut runs, ROWS).map(|run| run.id.to_string());
    let index = desk.indexes.now().await?;
    let mut rows: Vec<Row> =
        desk.app.sweeps.load().iter().map(|handle| Row::of(handle, &index.snapshot, &asker)).collect();
    SWEEPS.sort(&mut rows, &here)?;
    let live = (desk.app.live)();
    let mut sources: Vec<Source> =
        live.sources.iter().map(|status| Source { status: status.clone(), asker: asker.clone() }).collect();
    SOURCES.sort(&mut sources, &here)?;
    let main = html! {
        h1 { "Sweeps" }
        (actions::notice(&params)?)
        (SWEEPS.draw(&rows, &here, frame.now))
        div.halves {
            section { h2 { "Workers and limits" } (limits(&live, &index.snapshot, frame.now)) }
            section #inventory { h2 { "Inventory" }
                @if sources.is_empty() { p.note { "No source has been looked at yet." } }
                @else { (SOURCES.draw(&sources, &here, frame.now)) }
            }
        }
        section { h2 { "Runs" @if let Some(sweep) = &sweep { " of " (text(sweep)) " · " a href=(here.without(&["sweep", "after"]).href()) { "of all" } } }
            (turn_pages(&here, !begins, last, "runs"))
            @if runs.is_empty() { p.note { "No run is kept." } } @else { (RUNS.draw_sorted(&runs, &here, frame.now, Some("-started"))) }
        }
    };
    Ok(frame.around(&main))
}

fn limits(live: &Live, snapshot: &Snapshot, now: Timestamp) -> Markup {
    let (workers, waiting) = (live.workers, &live.waiting);
    let waits = [
        ("a worker", waiting.worker),
        ("their time in the spread", waiting.spread),
        ("a login of their budget", waiting.budget),
        ("a visit that another run pays them", waiting.visited),
        ("the end of the blackout", waiting.blackout),
    ];
    html! {
        dl.facts #limits data-live {
            div { dt { "workers" } dd { (count(workers.busy)) " of " (count(workers.limit)) " busy"
                span.share { (bar(workers.busy, workers.limit, "run")) } } }
            @for (what, devices) in waits {
                @if devices > 0 { div { dt { (count(devices)) " wait for" } dd { (what) } } }
            }
            @for (by, devices) in &waiting.limit {
                @if *devices > 0 { div { dt { (count(*devices)) " wait for" } dd { "a place within the limit by " (text(by)) } } }
            }
            @for limit in live.limits.iter().filter(|limit| limit.busy > 0) {
                div { dt { (text(&limit.by)) " " (text(&limit.value)) }
                    dd { (count(limit.busy)) @if let Some(max) = limit.max { " of " (count(max)) } " busy" } }
            }
            @if live.held_off > 0 { div { dt { "left alone" } dd { (count(live.held_off)) " devices that failed too often" } } }
            @for breaker in &snapshot.breakers {
                div { dt { "credential" } dd { (text(breaker.credential.as_str())) " "
                    (mark("✕", "bad", "held back")) " since " (moment(now, breaker.since)) ", tried again " (moment(now, breaker.until)) } }
            }
        }
    }
}

/// One source of the inventory, for whoever may take a list of it.
struct Source {
    status: SourceStatus,
    asker: Asker,
}

const SOURCES: Table<Source> = Table {
    id: "sources",
    caption: "Inventory sources",
    sort: "sources",
    key: |source| source.status.source.clone(),
    columns: &[
        Column {
            key: "source",
            title: "source",
            kind: Kind::Text,
            order: |a, b| compare(&a.status.source, &b.status.source),
            cell: |source, _| text(&source.status.source),
        },
        Column {
            key: "devices",
            title: "devices",
            kind: Kind::Number,
            order: |a, b| a.status.devices.cmp(&b.status.devices),
            cell: |source, _| html! { (count(source.status.devices)) },
        },
        Column {
            key: "dropped",
            title: "not used",
            kind: Kind::NumberAside,
            order: |a, b| a.status.dropped.cmp(&b.status.dropped),
            cell: |source, _| html! { (count(source.status.dropped)) },
        },
        Column {
            key: "looked",
            title: "looked at",
            kind: Kind::Number,
            order: |a, b| a.status.looked.cmp(&b.status.looked),
            cell: |source, now| moment_or(now, source.status.looked, "never"),
        },
        Column {
            key: "state",
            title: "state",
            kind: Kind::Text,
            order: |a, b| a.status.failure.cmp(&b.status.failure),
            cell: |source, _| source_state(source),
        },
    ],
};

fn source_state(Source { status: source, asker }: &Source) -> Markup {
    html! {
        @match (&source.pending, source.failure) {
            (Some(list), _) => {
                (mark("▲", "warn", "a shorter list waits")) ": " (many(list.devices, "devices")) ". "
                code { "versweep inventory --confirm " (text(&source.source)) " --list " (text(&list.token)) }
                @let fields = [("do", "take"), ("source", source.source.as_str()), ("list", list.token.as_str())];
                " " (actions::button(asker, &fields, "Take this list", &source.source))
            }
            (None, Some(failure)) => (mark("▲", "warn", &words(failure.as_str()))),
            (None, None) => (mark("✓", "good", "good")),
        }
    }
}
