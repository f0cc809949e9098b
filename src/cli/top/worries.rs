//! What somebody should look at, a line for each kind; nothing where there is nothing.

use super::frame::{labelled, listed};
use super::line::{Line, Tone};
use super::reading::{Credential, Sink, Source, Status};
use crate::clock::Timestamp;
use crate::duration::{age, lasted};

/// Limits that are named in one line.
const LIMITS: usize = 8;
/// Lines that are shown however low the terminal is.
const LINES_MIN: usize = 3;

/// As many as leave room for the rest.
pub(super) fn lines(status: &Status, rows: usize) -> Vec<Line> {
    let (mut lines, most) = (all(status), (rows / 4).max(LINES_MIN));
    let count = lines.len();
    if count > most {
        lines.truncate(most - 1);
        lines.push(labelled("").and(Tone::Warn, &format!("and {} more", count - most + 1)));
    }
    lines
}

fn all(status: &Status) -> Vec<Line> {
    let now = status.now;
    let mut lines = Vec::new();
    lines.extend(failing(status));
    lines.extend(status.credentials.iter().filter(|one| one.breaker_open).map(|one| credential(one, now)));
    lines.extend(full(status));
    lines.extend(status.sinks.iter().filter_map(|one| sink(one, now)));
    lines.extend(status.sources.iter().filter_map(source));
    if status.last_reload_successful == Some(false) {
        lines.push(
            labelled("config").and(Tone::Bad, "the last reload was not taken; `versweep check` says why"),
        );
    }
    lines
}

fn failing(status: &Status) -> Option<Line> {
    let reasons = listed(status.failing.iter().map(|(reason, count)| (reason.as_str(), *count)));
    let reasons: Vec<String> =
        reasons.into_iter().map(|(reason, count)| format!("{reason} {count}")).collect();
    (!reasons.is_empty()).then(|| labelled("failing").and(Tone::Warn, &reasons.join(", ")))
}

fn credential(credential: &Credential, now: Timestamp) -> Line {
    let mut line = labelled("credential").and(Tone::Bad, &format!("{} is held back", credential.credential));
    if let Some(since) = credential.breaker_since {
        line.push(Tone::Plain, &format!(" since {}", lasted(now - since)));
    }
    if let Some(until) = credential.breaker_until {
        line.push(Tone::Plain, &format!(", tried again {}", age(now, until)));
    }
    line
}

/// The limits that have no room.
fn full(status: &Status) -> Option<Line> {
    let full = status.limits.iter().filter(|limit| limit.max.is_some_and(|max| limit.busy >= max));
    let full: Vec<String> = full.map(|one| format!("{} {} {}", one.by, one.value, one.busy)).collect();
    if full.is_empty() {
        return None;
    }
    let mut line = labelled("limits full").and(Tone::Warn, &full[..full.len().min(LIMITS)].join(", "));
    if full.len() > LIMITS {
        line.push(Tone::Dim, &format!(" and {} more", full.len() - LIMITS));
    }
    Some(line)
}

fn sink(sink: &Sink, now: Timestamp) -> Option<Line> {
    let mut parts = Vec::new();
    if sink.pending > 0 {
        let oldest = sink.oldest_pending.map(|at| format!(", the oldest for {}", lasted(now - at)));
        let wait = if sink.pending == 1 { "waits" } else { "wait" };
        parts.push(format!("{} {wait}{}", many(sink.pending, "event"), oldest.unwrap_or_default()));
    }
    if sink.held_devices > 0 {
        parts.push(format!("{} held", many(sink.held_devices, "device")));
    }
    if sink.dead_letters > 0 {
        parts.push(many(sink.dead_letters, "dead letter"));
    }
    let line = labelled("sink").and(Tone::Plain, &format!("{}: ", sink.sink));
    (!parts.is_empty()).then(|| line.and(Tone::Warn, &parts.join(", ")))
}

fn many(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn source(source: &Source) -> Option<Line> {
    let words = match (&source.failure, source.unconfirmed) {
        (_, true) => "a shorter list waits for `versweep inventory --confirm`".to_owned(),
        (Some(failure), false) => format!("not refreshed: {failure}"),
        (None, false) => return None,
    };
    Some(labelled("inventory").and(Tone::Plain, &format!("{}: ", source.source)).and(Tone::Warn, &words))
}
