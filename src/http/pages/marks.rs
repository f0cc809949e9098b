//! Small things that all pages show alike: instants, states, numbers, bars, links to devices. No colour says anything
//! that a sign beside it doesn't.

use chrono::SecondsFormat;
use maud::{Markup, html};

use super::here::Here;
use crate::change::{ChangeKind, Whose};
use crate::clock::Timestamp;
use crate::event::Severity;
use crate::http::view::{age, shown};
use crate::known::{PolicyResult, Reach};

/// An instant as its age, with the instant itself for those who point at it.
pub(super) fn moment(now: Timestamp, at: Timestamp) -> Markup {
    let exact = at.to_rfc3339_opts(SecondsFormat::Secs, true);
    html! { time datetime=(exact) title=(exact) { (age(now, at)) } }
}

/// An instant that may not have come.
pub(super) fn moment_or(now: Timestamp, at: Option<Timestamp>, none: &str) -> Markup {
    match at {
        Some(at) => moment(now, at),
        None => html! { span.dim { (none) } },
    }
}

/// A text from outside, bounded and tame; a dash where there is none.
pub(super) fn text(text: &str) -> Markup {
    match text {
        "" => none(),
        text => html! { (shown(text)) },
    }
}

/// A text from outside that may not be there.
pub(super) fn maybe(of: Option<&str>) -> Markup {
    text(of.unwrap_or(""))
}

/// Nothing, said so.
pub(super) fn none() -> Markup {
    html! { span.dim { "–" } }
}

/// A count, with its thousands apart.
pub(super) fn count(number: impl TryInto<u64>) -> String {
    let digits = number.try_into().unwrap_or(u64::MAX).to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// So many of them: the word is that for many.
pub(super) fn many(number: usize, words: &str) -> String {
    let one = if number == 1 { words.strip_suffix('s') } else { None };
    format!("{} {}", count(number), one.unwrap_or(words))
}

/// A device's name, as the link to its page.
pub(super) fn device(name: &str) -> Markup {
    html! { a.device href=(Here::device(name).href()) { (shown(name)) } }
}

/// Whose change it is: a device's name as the link to its page; a source of the inventory has none.
pub(super) fn whose(of: &Whose) -> Markup {
    match of {
        Whose::Device(name) => device(name.as_str()),
        Whose::Source(_) => text(&of.to_string()),
    }
}

/// The state of a device.
pub(super) fn state(reach: Reach) -> Markup {
    let (sign, tone) = state_sign(reach);
    mark(sign, tone, reach.as_str())
}

/// The sign of a state and the class of its colour.
pub(super) fn state_sign(reach: Reach) -> (&'static str, &'static str) {
    match reach {
        Reach::Up => ("●", "good"),
        Reach::Failing => ("▲", "warn"),
        Reach::Unreachable => ("✕", "bad"),
        Reach::Unvisited => ("○", "dim"),
    }
}

/// What a policy says.
pub(super) fn result(result: PolicyResult) -> Markup {
    let (sign, tone) = match result {
        PolicyResult::Preferred => ("✓", "good"),
        PolicyResult::Approved => ("✓", "good"),
        PolicyResult::Drifted => ("≠", "warn"),
        PolicyResult::Banned => ("✕", "bad"),
        PolicyResult::Unknown => ("?", "dim"),
        PolicyResult::Stale => ("◷", "dim"),
    };
    mark(sign, tone, result.as_str())
}

/// The kind of a change.
pub(super) fn kind(kind: ChangeKind) -> Markup {
    let sign = match kind {
        ChangeKind::Upgrade => "↑",
        ChangeKind::Downgrade => "↓",
        ChangeKind::Unreachable => "✕",
        ChangeKind::Recovered => "●",
        ChangeKind::PolicyLost => "≠",
        ChangeKind::PolicyRegained | ChangeKind::SourceRecovered => "✓",
        ChangeKind::FirstSeen | ChangeKind::Returned => "+",
        ChangeKind::Removed => "−",
        ChangeKind::HostKey | ChangeKind::Replaced | ChangeKind::SourceFailed => "!",
        ChangeKind::Rebooted => "↻",
        ChangeKind::Flapping => "↕",
        ChangeKind::Renamed => "→",
        ChangeKind::Other
        | ChangeKind::Patched
        | ChangeKind::Image
        | ChangeKind::Members
        | ChangeKind::Parser => "~",
    };
    let tone = match Severity::of(kind) {
        Severity::Warning => "warn",
        Severity::Notice => "plain",
        Severity::Info => "dim",
    };
    mark(sign, tone, &words(kind.as_str()))
}

/// A name of metrics and JSON in words.
pub(super) fn words(name: &str) -> String {
    name.replace('_', " ")
}

/// A sign with its word; the sign is for those who see colours badly, the word for all.
pub(super) fn mark(sign: &str, tone: &str, word: &str) -> Markup {
    html! { span class={ "mark " (tone) } { span.sign aria-hidden="true" { (sign) } (word) } }
}

/// A share of a whole as a bar. It is drawn beside its number, so nobody needs to see it.
pub(super) fn bar(part: usize, whole: usize, tone: &str) -> Markup {
    let thousandths = if whole == 0 { 0 } else { (part * 1000).div_ceil(whole) };
    html! {
        svg class={ "bar " (tone) } viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true" {
            rect.rest width="1000" height="10" {}
            rect.part width=(thousandths) height="10" {}
        }
    }
}

/// A bar with its share of the whole in percent; the bar itself may be drawn against another whole, such as the largest.
pub(super) fn share(part: usize, whole: usize, drawn_by: usize, tone: &str) -> Markup {
    html! { span.share { (bar(part, drawn_by, tone)) span.percent { (percent(part, whole)) } } }
}

/// A share in percent. What is neither none nor all never reads so.
fn percent(part: usize, whole: usize) -> String {
    match (part, part * 100 / whole.max(1)) {
        (0, _) => "0 %".to_owned(),
        (_, 0) => "<1 %".to_owned(),
        (_, percent) => format!("{percent} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_shares_read_well() {
        assert_eq!(
            [0, 999, 1000, 50_000, 1_234_567].map(count),
            ["0", "999", "1,000", "50,000", "1,234,567"]
        );
        assert_eq!([0, 1, 2].map(|number| many(number, "rows")), ["0 rows", "1 row", "2 rows"]);
        assert_eq!(
            [(0, 7), (1, 1000), (999, 1000), (7, 7), (0, 0)].map(|(part, whole)| percent(part, whole)),
            ["0 %", "<1 %", "99 %", "100 %", "0 %"]
        );
    }
}
