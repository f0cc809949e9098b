//! `[[sweep]]`.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::SweepConfig;
use crate::device::{Selector, check_name};
use crate::document::{Item, Section};
use crate::known::SELECTION;
use crate::settings::{References, selector};
use crate::timetable::{CronTimes, Timetable, Window, Windows};

const DAY: Duration = Duration::from_secs(86_400);

/// A second is the scheduler's own step; a sweep that is due less than yearly is one on demand.
const EVERY: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(366 * 86_400);

/// Two sweeps that come together log in once; long enough for that, and far shorter than what anybody calls old.
const FRESH_FOR: Duration = Duration::from_secs(60);

/// All sweeps; each name once.
pub(super) fn sweeps(root: &Section<'_>, references: &References<'_>) -> Vec<SweepConfig> {
    let mut seen = BTreeMap::new();
    let sections = root.sections("sweep");
    sections.iter().filter_map(|section| sweep(section, references, &mut seen)).collect()
}

fn sweep(
    section: &Section<'_>,
    references: &References<'_>,
    seen: &mut BTreeMap<String, usize>,
) -> Option<SweepConfig> {
    section.only(&["name", "schedule", "every", "timezone", "select", "spread", "blackout", "fresh_for"]);
    let name = section.require("name", "a name of its own, which becomes a metric label").and_then(|item| {
        let name = item.text()?;
        if let Err(error) = check_name(name) {
            item.refuse("is not a name", &error.to_string());
            return None;
        }
        if name == SELECTION {
            item.refuse("is what runs of chosen devices are called", "another name");
            return None;
        }
        unique(&item, name, seen)
    });
    let timetable = timetable(section);
    let select = section.get("select").map_or(Some(Selector::default()), |item| selector(&item, references));
    let spread = section.get("spread").map_or(Some(Duration::ZERO), |item| spread(&item, timetable.as_ref()));
    let zone =
        section.get("timezone").and_then(|item| item.as_text()?.parse().ok()).unwrap_or(chrono_tz::UTC);
    let blackout = section.get("blackout").map_or(Some(Windows::default()), |item| blackout(&item, zone));
    let fresh_for =
        section.get("fresh_for").map_or(Some(FRESH_FOR), |item| item.duration(&(Duration::ZERO..=DAY)));
    if let (Some(timetable), Some(blackout)) = (&timetable, &blackout)
        && never_outside(timetable, blackout)
    {
        section.refuse("is due in its own blackout only", "a schedule with instants outside the blackout");
    }
    Some(SweepConfig {
        name: name?,
        timetable: timetable?,
        select: select?,
        spread: spread?,
        blackout: blackout?,
        fresh_for: fresh_for?,
    })
}

fn blackout(item: &Item<'_>, zone: chrono_tz::Tz) -> Option<Windows> {
    let mut windows = Vec::new();
    for item in item.elements("a list of windows")? {
        match Window::new(item.text()?) {
            Ok(window) => windows.push(window),
            Err(error) => item.refuse(
                &format!("is not a window ({error})"),
                "days and times such as \"Mon-Fri 08:00-09:00\", \"Sat,Sun\" or \"22:00-06:00\"",
            ),
        }
    }
    Some(Windows::new(zone, windows))
}

/// Whether no run would ever start. The first instant of each window is looked at and no other: what comes next is what lies
/// behind its end.
fn never_outside(timetable: &Timetable, blackout: &Windows) -> bool {
    // Windows come back every week, months every year: forty years of weeks have seen all of them meet.
    const WINDOWS: usize = 2000;
    // Any beginning will do.
    let start = chrono::DateTime::UNIX_EPOCH;
    if blackout.is_empty() || *timetable == Timetable::OnDemand {
        return false;
    }
    if blackout.end(start).is_none() {
        return true;
    }
    if !matches!(timetable, Timetable::Cron(_)) {
        return false;
    }
    let mut now = start;
    for _ in 0..WINDOWS {
        let Some(instant) = timetable.next(start, Some(now), now) else { break };
        if !blackout.hold(instant) {
            return false;
        }
        // What is due in the very second of the end is due behind it.
        let end = blackout.end(instant).map(|end| end - chrono::Duration::seconds(1));
        now = end.unwrap_or(instant).max(instant);
    }
    true
}

/// The name, unless another table has it already.
pub(super) fn unique(item: &Item<'_>, name: &str, seen: &mut BTreeMap<String, usize>) -> Option<String> {
    if let Some(first) = seen.get(name) {
        item.refuse("is named twice", &format!("the first one stands on line {first}"));
        return None;
    }
    seen.insert(name.to_owned(), item.line());
    Some(name.to_owned())
}

fn spread(item: &Item<'_>, timetable: Option<&Timetable>) -> Option<Duration> {
    let spread = item.duration(&(Duration::ZERO..=DAY))?;
    if let Some(Timetable::Every(period)) = timetable
        && spread >= *period
    {
        item.refuse("leaves no time between two sweeps", "a duration shorter than every");
        return None;
    }
    Some(spread)
}

fn timetable(section: &Section<'_>) -> Option<Timetable> {
    let timezone = section.get("timezone").map_or(Some(chrono_tz::UTC), |item| timezone(&item));
    match (section.get("schedule"), section.get("every")) {
        (Some(item), None) => cron(&item, timezone),
        (None, Some(item)) => {
            if let Some(timezone) = section.get("timezone").filter(|_| section.get("blackout").is_none()) {
                timezone.refuse("has no meaning here", "a time zone goes with schedule or with blackout");
            }
            item.duration(&EVERY).map(Timetable::Every)
        }
        (Some(_), Some(_)) => {
            section.refuse("has both schedule and every", "one of the two");
            None
        }
        (None, None) => {
            section.refuse(
                "has neither schedule nor every",
                "schedule = \"0 */15 * * * *\" (cron, seconds first), every = \"15m\", or schedule = \"never\"",
            );
            None
        }
    }
}

fn timezone(item: &Item<'_>) -> Option<chrono_tz::Tz> {
    let zone = item.text()?.parse().ok();
    if zone.is_none() {
        item.refuse("is not a known time zone", "a name such as \"UTC\" or \"Europe/Amsterdam\"");
    }
    zone
}

fn cron(item: &Item<'_>, timezone: Option<chrono_tz::Tz>) -> Option<Timetable> {
    let expression = item.text()?.trim();
    if expression == "never" {
        return Some(Timetable::OnDemand);
    }
    let allowed = "cron with seconds first, such as \"0 */15 * * * *\", or \"never\"";
    let times = match CronTimes::new(expression, timezone?) {
        Ok(times) => times,
        Err(error) => {
            item.refuse(&format!("is not a schedule ({})", lowercase(&error.to_string())), allowed);
            return None;
        }
    };
    if times.never_comes() {
        item.refuse("never comes", allowed);
        return None;
    }
    Some(Timetable::Cron(times))
}

/// The library's sentence as a fragment.
fn lowercase(sentence: &str) -> String {
    let mut chars = sentence.trim_end_matches('.').chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

/// A text with something in it.
pub(super) fn non_empty<'d>(item: &Item<'d>) -> Option<&'d str> {
    let text = item.text()?;
    if text.is_empty() {
        item.refuse("is empty", "the path of a file");
        return None;
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn never(schedule: &str, zone: chrono_tz::Tz, blackout: &[&str]) -> bool {
        let windows = blackout.iter().map(|text| Window::new(text).unwrap()).collect();
        let times = CronTimes::new(schedule, zone).unwrap();
        never_outside(&Timetable::Cron(times), &Windows::new(zone, windows))
    }

    /// As many instants as were looked at lay in one long window, so a good schedule was refused.
    #[test]
    fn a_schedule_that_comes_often_is_looked_at_beyond_its_windows() {
        use chrono_tz::{Europe::Amsterdam, UTC};
        for (schedule, blackout) in [
            ("0 * * * * *", &["Mon-Fri"][..]),
            ("* * * * * *", &["Mon-Sat", "Sun 00:00-23:59"]),
            ("0 0 * * * *", &["22:00-06:00", "Sat,Sun"]),
            ("0 30 8 1 1 *", &["Mon-Fri"]),
        ] {
            assert!(!never(schedule, UTC, blackout), "{schedule} {blackout:?}");
            assert!(!never(schedule, Amsterdam, blackout), "{schedule} {blackout:?}");
        }
        for (schedule, blackout) in [
            ("0 * * * * Mon", &["Mon"][..]),
            ("* * * * * *", &["Mon-Sun"]),
            ("0 30 8 * * *", &["08:00-09:00"]),
            ("0 59 23 * * Sun", &["Mon-Sat", "Sun 22:00-24:00"]),
        ] {
            assert!(never(schedule, UTC, blackout), "{schedule} {blackout:?}");
            assert!(never(schedule, Amsterdam, blackout), "{schedule} {blackout:?}");
        }
        let all_week = Windows::new(UTC, vec![Window::new("Mon-Sun").unwrap()]);
        assert!(never_outside(&Timetable::Every(DAY), &all_week));
        assert!(!never_outside(&Timetable::OnDemand, &all_week), "by hand it runs all the same");
    }
}
