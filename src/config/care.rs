//! What keeps a sweep from doing harm: breaker, hold-off, the second reading of a change.

use std::time::Duration;

use chrono::TimeDelta;

use super::{DAY, HOUR, SECOND, tables};
use crate::diff::FlapRules;
use crate::document::Section;
use crate::{breaker, holdoff};

/// `[breaker]`: five devices within a minute are no coincidence, and five tries lock no account.
pub(super) fn breaker(root: &Section<'_>) -> breaker::Rules {
    let table = root.section("breaker");
    table.only(&["failures", "window", "pause"]);
    let failures = table.get("failures").and_then(|item| item.number(0..=10_000));
    breaker::Rules {
        failures: failures.and_then(|failures| usize::try_from(failures).ok()).unwrap_or(5),
        window: tables::duration(&table, "window", 60 * SECOND, [SECOND, DAY]),
        pause: tables::duration(&table, "pause", 300 * SECOND, [SECOND, DAY]),
    }
}

/// `[holdoff]`: a device that is dead for a day is tried four times in it.
pub(super) fn holdoff(root: &Section<'_>) -> holdoff::Rules {
    let table = root.section("holdoff");
    table.only(&["first", "longest"]);
    let rules = holdoff::Rules {
        first: tables::duration(&table, "first", 300 * SECOND, [Duration::ZERO, DAY]),
        longest: tables::duration(&table, "longest", 6 * HOUR, [Duration::ZERO, 30 * DAY]),
    };
    if rules.longest < rules.first {
        table.refuse("has a first hold-off above the longest", "first at most as long as longest");
    }
    rules
}

/// `[changes] flapping` and `flapping_window`.
pub(super) fn flapping(changes: &Section<'_>) -> FlapRules {
    let default = FlapRules::default();
    let count = changes.get("flapping").and_then(|item| item.number(0..=100));
    let window = tables::duration(changes, "flapping_window", 6 * HOUR, [60 * SECOND, 30 * DAY]);
    FlapRules {
        changes: count.and_then(|count| u32::try_from(count).ok()).unwrap_or(default.changes),
        window: TimeDelta::from_std(window).unwrap_or(default.window),
    }
}

/// `[changes] confirm` and `confirm_after`.
pub(super) fn confirm_after(changes: &Section<'_>) -> Option<Duration> {
    let after = tables::duration(changes, "confirm_after", 10 * SECOND, [Duration::ZERO, HOUR]);
    let Some(item) = changes.get("confirm") else { return Some(after) };
    match item.text()? {
        "on" => Some(after),
        "off" => None,
        _ => {
            item.refuse("is neither", "\"on\" or \"off\"");
            None
        }
    }
}
