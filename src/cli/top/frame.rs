//! What is drawn, made of what was read: readings in, lines out.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use chrono::SecondsFormat;

use super::line::{Line, Tone};
use super::reading::{Reading, Status};
use super::{lists, worries};
use crate::clock::Timestamp;
use crate::duration::lasted;

/// The width of the words that a line begins with.
const LABEL: usize = 12;
/// The width of the workers' bar, without its ends.
const BAR: u64 = 30;
/// What the pace goes by: the daemon tells its counters anew only now and then, every two seconds where it has much to do.
const PACE_OVER: Duration = Duration::from_secs(10);

/// How much there is to draw on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) columns: usize,
    pub(super) rows: usize,
}

/// What is known of the daemon.
#[derive(Debug, Clone)]
pub(super) struct View {
    /// Where it is.
    daemon: String,
    /// The last that it said.
    reading: Option<Reading>,
    /// What its counters were, the oldest first.
    counts: VecDeque<Counts>,
    /// How fast they grow.
    pace: Option<Pace>,
    /// When that was.
    answered: Option<Timestamp>,
    trouble: Option<Trouble>,
}

/// Why there is nothing newer.
#[derive(Debug, Clone)]
struct Trouble {
    since: Timestamp,
    words: String,
}

/// The counters of a reading.
#[derive(Debug, Clone)]
struct Counts {
    taken: Duration,
    up_seconds: u64,
    visits: u64,
    /// By reason.
    failures: BTreeMap<String, u64>,
}

impl Counts {
    fn of(reading: &Reading) -> Self {
        let Reading { taken, status, .. } = reading;
        let Status { up_seconds, visits, .. } = *status;
        Self { taken: *taken, up_seconds, visits, failures: status.visit_failures.clone() }
    }

    /// Whether these may have grown out of those; otherwise it is another start of the daemon, or another store.
    fn follow(&self, before: &Self) -> bool {
        let failed = |reason: &String| self.failures.get(reason).copied().unwrap_or(0);
        self.up_seconds >= before.up_seconds
            && self.visits >= before.visits
            && before.failures.iter().all(|(reason, count)| failed(reason) >= *count)
    }
}

/// What was counted in a time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Pace {
    millis: u64,
    visits: u64,
    /// By reason; those that there were.
    failures: BTreeMap<String, u64>,
}

impl Pace {
    fn between(before: &Counts, after: &Counts) -> Option<Self> {
        let millis = u64::try_from(after.taken.checked_sub(before.taken)?.as_millis()).ok()?;
        let mut failures = BTreeMap::new();
        for (reason, count) in &after.failures {
            let old = before.failures.get(reason).copied().unwrap_or(0);
            if let failed @ 1.. = count.checked_sub(old)? {
                failures.insert(reason.clone(), failed);
            }
        }
        let visits = after.visits.checked_sub(before.visits)?;
        (millis > 0).then_some(Self { millis, visits, failures })
    }

    /// With a tenth; what there was is never told as nothing.
    fn per_second(&self, count: u64) -> String {
        match count.saturating_mul(10_000).checked_div(self.millis).unwrap_or(0) {
            0 if count > 0 => "<0.1".to_owned(),
            tenths => format!("{}.{}", tenths / 10, tenths % 10),
        }
    }
}

impl View {
    /// Of a daemon that has said nothing yet.
    pub(super) fn of(daemon: String) -> Self {
        Self { daemon, reading: None, counts: VecDeque::new(), pace: None, answered: None, trouble: None }
    }

    /// The daemon answered.
    pub(super) fn take(&mut self, now: Timestamp, reading: Reading) {
        let counts = Counts::of(&reading);
        if self.counts.back().is_some_and(|before| !counts.follow(before)) {
            self.counts.clear();
        }
        let is_old = |before: &Counts| counts.taken.saturating_sub(before.taken) > PACE_OVER;
        while self.counts.len() > 1 && self.counts.front().is_some_and(is_old) {
            self.counts.pop_front();
        }
        self.pace = self.counts.front().and_then(|before| Pace::between(before, &counts));
        self.counts.push_back(counts);
        self.reading = Some(reading);
        self.answered = Some(now);
        self.trouble = None;
    }

    /// It didn't.
    pub(super) fn miss(&mut self, now: Timestamp, error: &anyhow::Error) {
        let since = self.trouble.as_ref().map(|trouble| trouble.since).or(self.answered).unwrap_or(now);
        self.trouble = Some(Trouble { since, words: format!("{error:#}") });
        self.pace = None;
    }

    /// The lines, as many as fit and none longer than fits.
    pub(super) fn frame(&self, now: Timestamp, size: Size) -> Vec<Line> {
        let mut lines = vec![self.head(size.columns)];
        if let Some(trouble) = &self.trouble {
            let since = trouble.since.to_rfc3339_opts(SecondsFormat::Secs, true);
            let said = format!("no answer since {since} ({})", lasted(now - trouble.since));
            // A line for each: words that are cut say nothing.
            lines.extend([Line::of(Tone::Bad, &said), Line::of(Tone::Plain, &trouble.words)]);
        }
        match &self.reading {
            Some(reading) => self.body(reading, size, &mut lines),
            None if self.trouble.is_none() => lines.push(Line::of(Tone::Dim, "waiting for its first answer")),
            None => {}
        }
        lines.truncate(size.rows);
        lines.into_iter().map(|line| line.cut(size.columns)).collect()
    }

    fn body(&self, reading: &Reading, size: Size, lines: &mut Vec<Line>) {
        let status = &reading.status;
        lines.extend([devices(status), workers(status), waiting(status), self.visits(status)]);
        if let Some(trouble) = &reading.lists.trouble {
            lines.push(Line::of(Tone::Bad, &format!("lists: {trouble}")));
        }
        lines.extend(worries::lines(status, size.rows));
        lines.push(Line::default());
        lines.extend(lists::sweeps(reading, size));
        let left = size.rows.saturating_sub(lines.len());
        lines.extend(lists::latest(reading, left));
    }

    fn head(&self, columns: usize) -> Line {
        let mut line = Line::of(Tone::Head, "versweep");
        if let Some(Reading { status, .. }) = &self.reading {
            line.push(Tone::Head, &format!(" {}", status.version));
            let up = chrono::TimeDelta::try_seconds(i64::try_from(status.up_seconds).unwrap_or(i64::MAX));
            line.push(Tone::Plain, &format!(", up {}", lasted(up.unwrap_or_default())));
            if status.stopping {
                line.push(Tone::Bad, ", stopping");
            }
        }
        line.push(Tone::Plain, &format!(", {}", self.daemon));
        if let Some(Reading { status, .. }) = &self.reading {
            let now = status.now.to_rfc3339_opts(SecondsFormat::Secs, true);
            line.pad(columns.saturating_sub(now.len()));
            // It stands still while there is no answer.
            line.push(if self.trouble.is_some() { Tone::Warn } else { Tone::Plain }, &now);
        }
        line
    }

    fn visits(&self, status: &Status) -> Line {
        let mut line = labelled("visits");
        match &self.pace {
            None => line.push(Tone::Plain, &format!("{} in all", status.visits)),
            Some(pace) => {
                line.push(Tone::Plain, &format!("{} a second", pace.per_second(pace.visits)));
                let failed = listed(pace.failures.iter().map(|(reason, count)| (reason.as_str(), *count)));
                let failed: Vec<String> = failed
                    .into_iter()
                    .map(|(reason, count)| format!("{reason} {}", pace.per_second(count)))
                    .collect();
                if !failed.is_empty() {
                    line.push(Tone::Warn, &format!("; failed: {}", failed.join(", ")));
                }
                line.push(Tone::Dim, &format!("; {} in all", status.visits));
            }
        }
        line
    }
}

/// A line that begins with these words.
pub(super) fn labelled(label: &str) -> Line {
    let mut line = Line::of(Tone::Dim, label);
    line.pad(LABEL);
    line
}

/// The largest first.
pub(super) fn listed<'a>(counts: impl Iterator<Item = (&'a str, u64)>) -> Vec<(&'a str, u64)> {
    let mut counts: Vec<_> = counts.filter(|(_, count)| *count > 0).collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts
}

/// A bar of that width that is full where `part` is `whole`, and empty only where there is nothing.
pub(super) fn bar(part: u64, whole: u64, width: u64) -> String {
    let filled = part.saturating_mul(width).checked_div(whole).unwrap_or(0).clamp(u64::from(part > 0), width);
    let times = |sign: &str, count: u64| sign.repeat(usize::try_from(count).unwrap_or(0));
    format!("[{}{}]", times("#", filled), times(".", width - filled))
}

fn devices(status: &Status) -> Line {
    let devices = &status.devices;
    let mut line = labelled("devices").and(Tone::Plain, &format!("{} in all: ", devices.total));
    line.push(Tone::Good, &format!("{} up", devices.up));
    for (count, word, tone) in [
        (devices.failing, "failing", Tone::Warn),
        (devices.unreachable, "unreachable", Tone::Bad),
        (devices.unvisited, "unvisited", Tone::Dim),
    ] {
        if count > 0 {
            line.push(tone, &format!(", {count} {word}"));
        }
    }
    if let Some(policies) = &status.policies {
        let tone = if policies.drifted > 0 { Tone::Warn } else { Tone::Dim };
        line.push(tone, &format!("; {} drifted", policies.drifted));
        if policies.banned > 0 {
            line.push(Tone::Bad, &format!(", {} banned", policies.banned));
        }
    }
    line
}

fn workers(status: &Status) -> Line {
    let workers = &status.workers;
    let mut line = labelled("workers").and(Tone::Good, &bar(workers.busy, workers.limit, BAR));
    line.push(Tone::Plain, &format!(" {} of {} busy", workers.busy, workers.limit));
    if workers.busy >= workers.limit && status.waiting.worker > 0 {
        line.push(Tone::Warn, ", and devices wait for one");
    }
    line
}

/// What devices of the runs that are on wait for, and which are left alone.
fn waiting(status: &Status) -> Line {
    let waiting = &status.waiting;
    let mut reasons = vec![("a worker".to_owned(), waiting.worker, Tone::Plain)];
    reasons.extend(waiting.limit.iter().map(|(by, count)| (format!("limit by {by}"), *count, Tone::Plain)));
    for (words, count, tone) in [
        ("login budget", waiting.login_budget, Tone::Plain),
        ("spread", waiting.spread, Tone::Plain),
        ("another run's visit", waiting.visited, Tone::Plain),
        ("blackout", waiting.blackout, Tone::Plain),
        ("hold-off", waiting.hold_off, Tone::Warn),
        ("breaker", waiting.breaker, Tone::Bad),
    ] {
        reasons.push((words.to_owned(), count, tone));
    }
    reasons.retain(|(_, count, _)| *count > 0);
    let mut line = labelled("waiting");
    if reasons.is_empty() {
        line.push(Tone::Dim, "none");
    }
    for (place, (words, count, tone)) in reasons.iter().enumerate() {
        let comma = if place == 0 { "" } else { ", " };
        line.push(*tone, &format!("{comma}{words} {count}"));
    }
    line
}

#[cfg(test)]
mod tests;
