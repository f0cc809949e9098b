//! The lists of a frame: sweeps and what was asked for, the latest failures, the latest changes. Each takes the height that
//! there is for it.

use std::time::Duration;

use chrono::TimeDelta;

use super::frame::{Size, bar};
use super::line::{Line, Tone, fitting, tame, width};
use super::reading::{Change, Device, Lists, Reading, Request, Run, Sweep, Wanted};
use crate::clock::Timestamp;
use crate::duration::{age, lasted};

/// The longest name of a sweep or device, in columns.
const NAME_MAX: usize = 32;
/// What the columns behind a sweep's name take.
const BEHIND_NAME: usize = 71;
/// Sweeps that are shown however low the terminal is.
const SWEEPS_MIN: usize = 3;
/// The width of an age, such as `119 min ago`.
const AGE: usize = 12;

/// A run that is on.
struct Progress {
    name: String,
    devices: u64,
    busy: u64,
    answered: u64,
    failed: u64,
    elapsed: Option<TimeDelta>,
    expected: Option<Duration>,
}

impl Progress {
    fn of_sweep(sweep: &Sweep, now: Timestamp) -> Option<Self> {
        let id = sweep.running.as_ref()?;
        let run = sweep.last.as_ref().filter(|run| run.id == *id);
        Some(Self {
            name: sweep.sweep.clone(),
            devices: sweep.devices,
            busy: sweep.busy,
            answered: sweep.answered,
            failed: sweep.failed,
            elapsed: run.map(|run| (now - run.started).max(TimeDelta::zero())),
            expected: sweep.expected_seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
        })
    }

    fn of_request(request: &Request, now: Timestamp) -> Option<Self> {
        let started = request.started?;
        Some(Self {
            name: asked(&request.wanted),
            devices: request.devices,
            busy: request.busy,
            answered: request.answered,
            failed: request.failed,
            elapsed: Some((now - started).max(TimeDelta::zero())),
            expected: None,
        })
    }

    /// How long it will still take: by how far it has come, once that says more than what was expected of it.
    fn left(&self) -> Option<Duration> {
        let elapsed = self.elapsed?.to_std().ok()?;
        let done = self.answered + self.failed;
        let by_pace = || {
            let elapsed = u64::try_from(elapsed.as_millis()).ok()?;
            let millis = elapsed.checked_mul(self.devices.saturating_sub(done))?;
            millis.checked_div(done).map(Duration::from_millis)
        };
        match self.expected.and_then(|expected| expected.checked_sub(elapsed)) {
            Some(left) if done.saturating_mul(10) < self.devices => Some(left),
            _ => by_pace(),
        }
    }

    fn line(&self, name: usize, bar_width: u64) -> Line {
        let done = self.answered + self.failed;
        let mut line = named(&self.name, name, Tone::Plain);
        line.push(Tone::Good, &bar(done, self.devices, bar_width));
        let percent = done.saturating_mul(100).checked_div(self.devices).unwrap_or(0);
        line.push(Tone::Plain, &format!(" {percent:>3} %"));
        line.push(Tone::Plain, &format!(" {:>13}", format!("{done}/{}", self.devices)));
        line.push(Tone::Plain, &format!(" {:>8}", self.answered));
        let tone = if self.failed > 0 { Tone::Warn } else { Tone::Plain };
        line.push(tone, &format!(" {:>6}", self.failed));
        line.push(Tone::Plain, &format!(" {:>5}", self.busy));
        let elapsed = self.elapsed.and_then(|elapsed| elapsed.to_std().ok());
        line.push(Tone::Plain, &format!(" {:>7}", elapsed.map(short).unwrap_or_default()));
        line.push(Tone::Plain, &format!(" {:>7}", self.left().map(short).unwrap_or_default()));
        line
    }
}

/// In two units, and never wider than its column.
fn short(duration: Duration) -> String {
    match duration.as_secs() {
        s @ ..60 => format!("{s}s"),
        s @ ..3600 => format!("{}m{:02}s", s / 60, s % 60),
        s @ ..86_400 => format!("{}h{:02}m", s / 3600, s / 60 % 60),
        s => format!("{}d{:02}h", s / 86_400, s / 3600 % 24),
    }
}

/// A name, cut or filled to so many columns and one more.
fn named(name: &str, columns: usize, tone: Tone) -> Line {
    let name = tame(name);
    let shown = match width(&name) <= columns {
        true => name.into_owned(),
        false => format!("{}~", fitting(&name, columns.saturating_sub(1))),
    };
    let mut line = Line::of(tone, &shown);
    line.pad(columns + 1);
    line
}

/// The width that the longest of these names takes.
fn longest<'a>(names: impl Iterator<Item = &'a str>, least: usize, most: usize) -> usize {
    names.map(|name| width(&tame(name))).max().unwrap_or(0).clamp(least, most.max(least))
}

/// What somebody asked for.
fn asked(wanted: &Wanted) -> String {
    match (&wanted.device, &wanted.sweep, &wanted.select) {
        (Some(device), ..) => format!("asked: {device}"),
        (_, Some(sweep), _) => format!("asked: sweep {sweep}"),
        (.., Some(select)) => {
            let pair = |(label, values): (&String, &Vec<String>)| format!("{label}={}", values.join("|"));
            format!("asked: {}", select.iter().map(pair).collect::<Vec<_>>().join(" "))
        }
        _ => "asked".to_owned(),
    }
}

/// The sweeps, those that run first, and what was asked for and is not done.
pub(super) fn sweeps(reading: &Reading, size: Size) -> Vec<Line> {
    let now = reading.status.now;
    let of_sweeps = reading.status.sweeps.iter();
    let mut running: Vec<Progress> = of_sweeps.filter_map(|sweep| Progress::of_sweep(sweep, now)).collect();
    // A sweep that was asked for is shown as the sweep that runs.
    let open =
        || reading.lists.requests.iter().filter(|one| one.progress != "done" && one.wanted.sweep.is_none());
    running.extend(open().filter_map(|request| Progress::of_request(request, now)));
    let queued: Vec<&Request> = open().filter(|request| request.started.is_none()).collect();
    let idle: Vec<&Sweep> = reading.status.sweeps.iter().filter(|sweep| sweep.running.is_none()).collect();

    let asked_for: Vec<String> = queued.iter().map(|request| asked(&request.wanted)).collect();
    let names = running.iter().map(|one| &*one.name).chain(idle.iter().map(|sweep| &*sweep.sweep));
    let name = longest(
        names.chain(asked_for.iter().map(|name| &**name)),
        8,
        size.columns.saturating_sub(BEHIND_NAME).min(NAME_MAX),
    );
    // Where there is room the bar takes it.
    let spare = size.columns.saturating_sub(name + BEHIND_NAME).min(20);
    let bar_width = 10 + u64::try_from(spare).unwrap_or(0);
    let mut lines: Vec<Line> = running.iter().map(|one| one.line(name, bar_width)).collect();
    lines.extend(queued.iter().zip(&asked_for).map(|(request, wanted)| {
        let waits = format!("queued for {}", lasted(now - request.asked));
        named(wanted, name, Tone::Plain).and(Tone::Dim, &waits)
    }));
    lines.extend(idle.iter().map(|sweep| at_rest(sweep, name, now)));
    if lines.is_empty() {
        lines.push(Line::of(Tone::Dim, "none is configured"));
    }
    let (all, most) = (lines.len(), (size.rows / 3).max(SWEEPS_MIN));
    if all > most {
        lines.truncate(most - 1);
        lines.push(Line::of(Tone::Dim, &format!("and {} more", all - most + 1)));
    }
    let mut heading = named("SWEEP", name, Tone::Head);
    let bar_and_percent = usize::try_from(bar_width).unwrap_or(0) + 8;
    heading.push(Tone::Head, &format!("{:bar_and_percent$} {:>13}", "PROGRESS", "DONE"));
    heading.push(Tone::Head, " ANSWERED FAILED  BUSY ELAPSED    LEFT");
    lines.insert(0, heading);
    lines
}

fn at_rest(sweep: &Sweep, name: usize, now: Timestamp) -> Line {
    let next = match sweep.next {
        None => "on demand".to_owned(),
        Some(next) if next <= now => "due now".to_owned(),
        Some(next) => format!("next {}", age(now, next)),
    };
    let mut line = named(&sweep.sweep, name, Tone::Plain).and(Tone::Plain, &next);
    if let Some(run) = &sweep.last {
        let Run { devices, answered, failed, started, ended, complete, .. } = run;
        line.push(Tone::Dim, &format!("; last {}", age(now, ended.unwrap_or(*started))));
        if let Some(took) = ended.and_then(|ended| (ended - *started).to_std().ok()) {
            line.push(Tone::Dim, &format!(" took {}", short(took)));
        }
        line.push(Tone::Dim, &format!(": {answered} of {devices} answered"));
        if *failed > 0 {
            line.push(Tone::Warn, &format!(", {failed} failed"));
        }
        if ended.is_some() && !complete {
            line.push(Tone::Warn, ", cut short");
        }
    }
    line
}

/// The latest failures and changes in so many rows.
pub(super) fn latest(reading: &Reading, rows: usize) -> Vec<Line> {
    let now = reading.status.now;
    let Lists { failures, changes, .. } = &reading.lists;
    let headings = 2 * (usize::from(!failures.is_empty()) + usize::from(!changes.is_empty()));
    let (failures_max, changes_max) = shares(failures.len(), changes.len(), rows.saturating_sub(headings));
    let names = failures.iter().take(failures_max).map(|device| device.device.as_str());
    let names = names.chain(changes.iter().take(changes_max).map(whose));
    let name = longest(names, 8, NAME_MAX);
    let mut lines = Vec::new();
    let mut section = |heading: &str, rows: Vec<Line>| {
        if !rows.is_empty() {
            lines.push(Line::default());
            lines.push(Line::of(Tone::Head, heading));
            lines.extend(rows);
        }
    };
    let rows = failures.iter().take(failures_max).map(|device| failure(device, name, now));
    section("LATEST FAILURES", rows.collect());
    let rows = changes.iter().take(changes_max).map(|one| change(one, name, now));
    section("LATEST CHANGES", rows.collect());
    lines
}

/// How many of two lists are shown: half and half, and what one doesn't need is the other's.
fn shares(first: usize, second: usize, rows: usize) -> (usize, usize) {
    let first_max = first.min(rows.saturating_sub(second.min(rows / 2)));
    (first_max, second.min(rows - first_max))
}

fn since(now: Timestamp, at: Timestamp) -> Line {
    let mut line = Line::of(Tone::Dim, &age(now, at));
    line.pad(AGE);
    line
}

fn joined(mut head: Line, tail: &Line) -> Line {
    for (tone, text) in tail.pieces() {
        head.push(tone, text);
    }
    head
}

fn failure(device: &Device, name: usize, now: Timestamp) -> Line {
    let at = device.last_visit.map_or_else(Line::default, |at| since(now, at));
    let mut line = joined(at, &named(&device.device, name, Tone::Plain));
    if let Some(failure) = &device.failure {
        line.push(Tone::Warn, &format!("{} at {}", failure.reason, failure.stage));
        if device.consecutive_failures > 1 {
            line.push(Tone::Plain, &format!(", {} in a row", device.consecutive_failures));
        }
        line.push(Tone::Dim, &format!(": {}", failure.detail));
    }
    line
}

/// The device or source that a change is of.
fn whose(change: &Change) -> &str {
    change.device.as_deref().or(change.source.as_deref()).unwrap_or_default()
}

fn change(change: &Change, name: usize, now: Timestamp) -> Line {
    let mut line = joined(since(now, change.at), &named(whose(change), name, Tone::Plain));
    line.push(Tone::Plain, &change.kind);
    if !change.subject.is_empty() {
        line.push(Tone::Plain, &format!(" of {}", change.subject));
    }
    match (change.before.is_empty(), change.after.is_empty()) {
        (true, true) => {}
        (false, true) => line.push(Tone::Dim, &format!(": {}", change.before)),
        (true, false) => line.push(Tone::Dim, &format!(": {}", change.after)),
        (false, false) => line.push(Tone::Dim, &format!(": {} -> {}", change.before, change.after)),
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_lists_share_the_height() {
        for ((first, second, rows), expected) in [
            ((100, 100, 10), (5, 5)),
            ((100, 100, 11), (6, 5)),
            ((2, 100, 10), (2, 8)),
            ((100, 2, 10), (8, 2)),
            ((0, 3, 10), (0, 3)),
            ((1, 1, 1), (1, 0)),
            ((5, 5, 0), (0, 0)),
        ] {
            assert_eq!(shares(first, second, rows), expected, "{first} {second} {rows}");
        }
    }

    #[test]
    fn what_is_left_is_told_by_the_pace_once_there_is_one() {
        let run = |answered, seconds, expected: Option<u64>| Progress {
            name: String::new(),
            devices: 1000,
            busy: 0,
            answered,
            failed: 0,
            elapsed: Some(TimeDelta::seconds(seconds)),
            expected: expected.map(Duration::from_secs),
        };
        let left = |run: Progress| run.left().map(|left| left.as_secs());
        assert_eq!(left(run(50, 10, Some(300))), Some(290), "by what was expected");
        assert_eq!(left(run(50, 10, None)), Some(190));
        assert_eq!(left(run(500, 10, Some(300))), Some(10), "by its own pace");
        assert_eq!(left(run(50, 400, Some(300))), Some(7600), "what was expected is over");
        assert_eq!(left(run(0, 400, Some(300))), None);
        assert_eq!(left(Progress { elapsed: None, ..run(500, 0, None) }), None);
        let elapsed = Some(TimeDelta::milliseconds(900));
        assert_eq!(left(Progress { elapsed, devices: 10_001, ..run(1, 0, None) }), Some(9000));
    }

    #[test]
    fn a_long_name_is_cut_within_its_column() {
        assert_eq!(named("edge", 8, Tone::Plain).plain(), "edge     ");
        assert_eq!(named("edge-of-the-world", 8, Tone::Plain).plain(), "edge-of~ ");
        assert_eq!(named("日本日本日", 8, Tone::Plain).plain(), "日本日~  ");
        // What is not drawn takes a column all the same.
        assert_eq!(named("\u{1b}\u{1b}edge", 4, Tone::Plain).plain(), "\u{fffd}\u{fffd}e~ ");
        assert_eq!(longest(["\u{1b}\u{1b}edge"].into_iter(), 1, 8), 6);
    }
}
