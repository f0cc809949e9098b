//! Windows of the week, such as `Mon-Fri 08:00-09:00`: when a sweep must not log in.

use std::fmt;

use chrono::{Datelike as _, Timelike as _, Weekday};
use chrono_tz::Tz;

use crate::clock::Timestamp;

const DAY_MINUTES: u32 = 24 * 60;

/// Windows in one time zone. The default has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Windows {
    zone: Tz,
    windows: Vec<Window>,
}

impl Default for Windows {
    fn default() -> Self {
        Self { zone: Tz::UTC, windows: Vec::new() }
    }
}

/// One window: on some days of the week, from one minute of the day to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// From Monday on.
    days: [bool; 7],
    from: u32,
    /// The first minute after it. At or before `from`, it is one of the next day.
    to: u32,
}

/// A window that can't be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadWindow(String);

impl fmt::Display for BadWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadWindow {}

impl Window {
    /// Reads `DAYS FROM-TO`, each part of which may be left out: days as `Mon`, `Mon-Fri` or `Sat,Sun`, times as `HH:MM`
    /// up to `24:00`. One that ends at or before it begins goes on into the next day.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(text: &str) -> Result<Self, BadWindow> {
        let mut parts: Vec<&str> = text.split_whitespace().collect();
        let times = parts.pop_if(|last| last.contains(':')).unwrap_or("00:00-24:00");
        let days = parts.pop().unwrap_or("Mon-Sun");
        if !parts.is_empty() || text.trim().is_empty() {
            return Err(BadWindow("it is not DAYS FROM-TO".to_owned()));
        }
        let (from, to) = times.split_once('-').ok_or_else(|| BadWindow(format!("{times} has no end")))?;
        let (from, to) = (minute(from)?, minute(to)?);
        if from == to || from == DAY_MINUTES {
            return Err(BadWindow(format!("{times} is empty")));
        }
        Ok(Self { days: days_of(days)?, from, to })
    }

    fn holds(&self, day: Weekday, minute: u32) -> bool {
        let on = |day: Weekday| self.days.get(day.num_days_from_monday() as usize).copied().unwrap_or(false);
        if self.from < self.to {
            return on(day) && (self.from..self.to).contains(&minute);
        }
        on(day) && minute >= self.from || on(day.pred()) && minute < self.to
    }
}

fn minute(text: &str) -> Result<u32, BadWindow> {
    let bad = || BadWindow(format!("{text} is no time of the day"));
    let (hours, minutes) =
        text.trim().split_once(':').filter(|(_, minutes)| minutes.len() == 2).ok_or_else(bad)?;
    let (hours, minutes): (u32, u32) =
        (hours.parse().map_err(|_| bad())?, minutes.parse().map_err(|_| bad())?);
    let minute = hours.checked_mul(60).and_then(|hours| hours.checked_add(minutes)).ok_or_else(bad)?;
    if minutes < 60 && minute <= DAY_MINUTES { Ok(minute) } else { Err(bad()) }
}

fn days_of(text: &str) -> Result<[bool; 7], BadWindow> {
    let day = |name: &str| {
        let day = if name.len() == 3 { name.parse::<Weekday>().ok() } else { None };
        day.ok_or_else(|| BadWindow(format!("{name} is no day: write Mon, Tue, Wed, Thu, Fri, Sat or Sun")))
    };
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (mut now, last) = (day(first)?, day(last)?);
        loop {
            if let Some(place) = days.get_mut(now.num_days_from_monday() as usize) {
                *place = true;
            }
            if now == last {
                break;
            }
            now = now.succ();
        }
    }
    Ok(days)
}

impl Windows {
    /// Windows by the clock of a time zone.
    #[must_use]
    pub fn new(zone: Tz, windows: Vec<Window>) -> Self {
        Self { zone, windows }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.windows.is_empty()
    }

    /// Whether one of them holds at that instant. Windows begin and end on whole minutes.
    #[must_use]
    pub fn hold(&self, at: Timestamp) -> bool {
        let local = at.with_timezone(&self.zone);
        let minute = local.hour() * 60 + local.minute();
        self.windows.iter().any(|window| window.holds(local.weekday(), minute))
    }

    /// The first minute from that instant on in which none of them holds; nothing where they leave no minute of the week.
    #[must_use]
    pub fn end(&self, at: Timestamp) -> Option<Timestamp> {
        let local = at.with_timezone(&self.zone);
        let (mut day, mut minute) = (local.weekday(), local.hour() * 60 + local.minute());
        let held = |day, minute| self.windows.iter().any(|window| window.holds(day, minute));
        for minutes in 0..=7 * DAY_MINUTES {
            if !held(day, minute) {
                let end = at + chrono::Duration::minutes(i64::from(minutes));
                let whole = end - chrono::Duration::seconds(i64::from(local.second()));
                return Some(if minutes == 0 { at } else { whole });
            }
            minute += 1;
            if minute == DAY_MINUTES {
                (day, minute) = (day.succ(), 0);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    fn windows(zone: Tz, texts: &[&str]) -> Windows {
        Windows::new(zone, texts.iter().map(|text| Window::new(text).expect("a window")).collect())
    }

    #[test]
    fn a_window_holds_on_its_days_and_hours_by_the_clock_of_its_zone() {
        let windows = windows(Tz::Europe__Amsterdam, &["Mon-Fri 08:00-09:00"]);
        // 25 November 2026 is a Wednesday, one hour ahead of UTC.
        for (instant, holds) in [
            ("2026-11-25T06:59:59Z", false),
            ("2026-11-25T07:00:00Z", true),
            ("2026-11-25T07:59:59Z", true),
            ("2026-11-25T08:00:00Z", false),
            ("2026-11-28T07:30:00Z", false),
            // Summer time: two hours ahead.
            ("2026-07-01T06:30:00Z", true),
            ("2026-07-01T07:30:00Z", false),
        ] {
            assert_eq!(windows.hold(at(instant)), holds, "{instant}");
        }
    }

    #[test]
    fn a_night_belongs_to_the_day_on_which_it_begins() {
        let windows = windows(Tz::UTC, &["Fri 22:00-02:00"]);
        let holds =
            ["2026-11-27T21:59:00Z", "2026-11-27T22:00:00Z", "2026-11-28T01:59:00Z", "2026-11-28T02:00:00Z"];
        assert_eq!(holds.map(|instant| windows.hold(at(instant))), [false, true, true, false]);
        assert!(!windows.hold(at("2026-11-27T01:00:00Z")), "the night from Thursday");
    }

    #[test]
    fn days_or_times_may_be_left_out() {
        let weekend = windows(Tz::UTC, &["Sat,Sun"]);
        assert!(weekend.hold(at("2026-11-28T00:00:00Z")) && weekend.hold(at("2026-11-29T23:59:59Z")));
        assert!(!weekend.hold(at("2026-11-30T00:00:00Z")));
        assert!(windows(Tz::UTC, &["12:00-13:00"]).hold(at("2026-11-30T12:30:00Z")));
        assert!(windows(Tz::UTC, &["Sat-Mon 00:00-24:00"]).hold(at("2026-11-30T23:59:00Z")));
        assert!(!Windows::default().hold(at("2026-11-30T12:30:00Z")));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "Mon", "08:00-09:00", "Mon-Fri 22:00-06:00"].iter().skip(1) {
            assert!(Window::new(text).is_ok(), "{text}");
        }
        for text in [
            "",
            "Mon-Fri 8-9",
            "Moon 08:00-09:00",
            "Mon 08:00-08:00",
            "Mon 08:00-25:00",
            "Mon 08:60-09:00",
            "Mon 08:00",
            "Mon Tue 08:00-09:00",
            "Mon 24:00-01:00",
            "Monday",
        ] {
            assert!(Window::new(text).is_err(), "{text}");
        }
    }
}
