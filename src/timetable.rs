//! When a sweep is due: arithmetic over instants that are passed in.

use std::fmt;
use std::time::Duration;

use chrono::{FixedOffset, Offset as _, TimeZone, Timelike as _};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds};

use crate::clock::Timestamp;

mod windows;

pub use windows::{BadWindow, Window, Windows};

/// The shortest period of a sweep: the alarm clock beneath works in whole seconds.
pub const SHORTEST_PERIOD: Duration = Duration::from_secs(1);

/// Enough for what is due every quarter of an hour of a working day to show that.
const INSTANTS_LOOKED_AT: usize = 64;

/// When a sweep is due.
#[derive(Debug, Clone, PartialEq)]
pub enum Timetable {
    /// At the instants of a cron expression in a time zone.
    Cron(CronTimes),
    /// At the daemon's start and once every period from then on.
    Every(Duration),
    /// Only on demand.
    OnDemand,
}

/// A cron expression, seconds first, read in a named time zone.
#[derive(Debug, Clone)]
pub struct CronTimes {
    expression: String,
    cron: Box<Cron>,
    zone: Tz,
}

impl PartialEq for CronTimes {
    fn eq(&self, other: &Self) -> bool {
        self.expression == other.expression && self.zone == other.zone
    }
}

impl CronTimes {
    /// Reads an expression of six fields: second, minute, hour, day of month, month, day of week.
    ///
    /// # Errors
    /// What is wrong with the expression.
    pub fn new(expression: &str, zone: Tz) -> Result<Self, BadCron> {
        let parser = CronParser::builder().seconds(Seconds::Required).build();
        let cron = parser.parse(expression).map_err(|error| BadCron(error.to_string()))?;
        Ok(Self { expression: expression.to_owned(), cron: Box::new(cron), zone })
    }

    /// Whether the expression names no instant at all, such as 30 February.
    #[must_use]
    pub fn never_comes(&self) -> bool {
        // Any fixed instant will do: what never comes after it never comes.
        self.next_after(Timestamp::UNIX_EPOCH).is_none()
    }

    /// The first instant after that one; `None` where the expression names none any more, such as 30 February.
    ///
    /// Where clocks are set back, the library leaves out the hour that comes twice. That is right for "at half past
    /// two", which is once a day, and wrong for "every quarter of an hour", so what runs in every hour is computed in
    /// the offset that holds, and again from where it ends to hold.
    fn next_after(&self, instant: Timestamp) -> Option<Timestamp> {
        if !self.in_every_hour() {
            return self.next_at(instant, false, self.zone);
        }
        let offset = self.offset(instant);
        let next = self.next_at(instant, false, offset)?;
        if self.offset(next) == offset {
            return Some(next);
        }
        let change = self.change_of_offset(instant, next);
        self.next_at(change, true, self.offset(change))
    }

    fn next_at<Z: TimeZone>(&self, instant: Timestamp, inclusive: bool, zone: Z) -> Option<Timestamp> {
        let local = instant.with_timezone(&zone);
        self.cron.find_next_occurrence(&local, inclusive).ok().map(|next| next.to_utc())
    }

    fn in_every_hour(&self) -> bool {
        self.expression.split_whitespace().nth(2) == Some("*")
    }

    fn offset(&self, instant: Timestamp) -> FixedOffset {
        instant.with_timezone(&self.zone).offset().fix()
    }

    /// The second between two instants of different offsets at which the later one begins to hold.
    fn change_of_offset(&self, mut before: Timestamp, mut after: Timestamp) -> Timestamp {
        let later = self.offset(after);
        while after - before > chrono::Duration::seconds(1) {
            let middle = before + (after - before) / 2;
            if self.offset(middle) == later {
                after = middle;
            } else {
                before = middle;
            }
        }
        // Offsets change on whole seconds; the search ends a fraction above.
        after.with_nanosecond(0).unwrap_or(after)
    }
}

/// A cron expression that can't be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadCron(String);

impl fmt::Display for CronTimes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\" {}", self.expression, self.zone)
    }
}

impl fmt::Display for BadCron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadCron {}

impl Timetable {
    /// The first instant due after `now`, for a sweep whose counting began at `start` and which was last due at
    /// `last`. A period's first instant is `start` itself. Instants that went by unseen, because the machine slept or
    /// its clock was set, are one run and not several.
    #[must_use]
    pub fn next(&self, start: Timestamp, last: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::OnDemand => None,
            Self::Cron(times) => times.next_after(now),
            Self::Every(period) => {
                if last.is_none() {
                    return Some(start);
                }
                next_in_period(start, *period, now)
            }
        }
    }

    /// The shortest time from one due run to the next, of those that come after `now`; `None` where none is scheduled.
    #[must_use]
    pub fn period(&self, now: Timestamp) -> Option<Duration> {
        match self {
            Self::OnDemand => None,
            Self::Every(period) => Some(*period),
            Self::Cron(times) => {
                let instants = std::iter::successors(times.next_after(now), |last| times.next_after(*last));
                let instants: Vec<Timestamp> = instants.take(INSTANTS_LOOKED_AT).collect();
                let between = instants.iter().zip(instants.iter().skip(1));
                between.filter_map(|(one, next)| (*next - *one).to_std().ok()).min()
            }
        }
    }
}

fn next_in_period(start: Timestamp, period: Duration, now: Timestamp) -> Option<Timestamp> {
    let period = chrono::Duration::from_std(period.max(SHORTEST_PERIOD)).ok()?;
    let period = period.num_milliseconds().max(1);
    // A clock that was set back shows a time before the start: the periods reach there as well.
    let passed = (now - start).num_milliseconds().div_euclid(period);
    let next = chrono::Duration::try_milliseconds((passed + 1).checked_mul(period)?)?;
    start.checked_add_signed(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    fn cron(expression: &str, zone: Tz) -> Timetable {
        Timetable::Cron(CronTimes::new(expression, zone).expect("a cron expression"))
    }

    fn instants(table: &Timetable, from: &str, count: usize) -> Vec<String> {
        let start = at(from);
        let mut now = start;
        let mut found = Vec::new();
        for _ in 0..count {
            let next = table.next(start, Some(now), now).expect("an instant");
            found.push(next.format("%m-%d %H:%M:%S").to_string());
            now = next;
        }
        found
    }

    #[test]
    fn its_period_is_the_shortest_time_between_two_runs() {
        let monday = at("2026-11-23T00:00:00Z");
        let minutes = |table: &Timetable| table.period(monday).map(|period| period.as_secs() / 60);
        assert_eq!(minutes(&cron("0 */15 8-18 * * Mon-Fri", Tz::UTC)), Some(15));
        assert_eq!(minutes(&cron("0 0 3 * * *", Tz::UTC)), Some(24 * 60));
        assert_eq!(minutes(&Timetable::Every(Duration::from_secs(300))), Some(5));
        assert_eq!(minutes(&Timetable::OnDemand), None);
    }

    #[test]
    fn six_fields_seconds_first() {
        let table = cron("0 */15 * * * *", Tz::UTC);
        assert_eq!(instants(&table, "2026-11-23T10:07:00Z", 2), ["11-23 10:15:00", "11-23 10:30:00"]);
        let error = CronTimes::new("*/15 * * * *", Tz::UTC).expect_err("five fields");
        assert!(!error.to_string().is_empty());
    }

    #[test]
    fn nine_in_amsterdam_is_nine_on_both_sides_of_the_clock_change() {
        let table = cron("0 0 9 * * *", Tz::Europe__Amsterdam);
        // 25 October 2026 is the last day of summer time's end: 09:00 is 07:00 UTC before it and 08:00 UTC after.
        let found = instants(&table, "2026-10-24T00:00:00Z", 3);
        assert_eq!(found, ["10-24 07:00:00", "10-25 08:00:00", "10-26 08:00:00"]);
        let found = instants(&table, "2026-03-28T00:00:00Z", 3);
        assert_eq!(found, ["03-28 08:00:00", "03-29 07:00:00", "03-30 07:00:00"]);
    }

    #[test]
    fn every_quarter_of_an_hour_neither_stops_nor_doubles_over_the_clock_change() {
        let table = cron("0 */15 * * * *", Tz::Europe__Amsterdam);
        let found = instants(&table, "2026-10-24T23:50:00Z", 8);
        assert_eq!(found[0], "10-25 00:00:00");
        let quarters = ["00:00", "00:15", "00:30", "00:45", "01:00", "01:15", "01:30", "01:45"];
        assert_eq!(found, quarters.map(|quarter| format!("10-25 {quarter}:00")));
        let found = instants(&table, "2026-03-29T00:30:00Z", 4);
        assert_eq!(found, ["00:45", "01:00", "01:15", "01:30"].map(|quarter| format!("03-29 {quarter}:00")));
    }

    #[test]
    fn half_past_two_is_once_where_it_comes_twice_and_once_where_it_never_comes() {
        let table = cron("0 30 2 * * *", Tz::Europe__Amsterdam);
        let found = instants(&table, "2026-10-24T12:00:00Z", 2);
        assert_eq!(found, ["10-25 00:30:00", "10-26 01:30:00"]);
        let found = instants(&table, "2026-03-28T12:00:00Z", 2);
        assert_eq!(found, ["03-29 01:00:00", "03-30 00:30:00"]);
    }

    #[test]
    fn a_period_begins_at_the_start_and_skips_what_went_by() {
        let table = Timetable::Every(Duration::from_secs(900));
        let start = at("2026-11-23T10:00:00Z");
        assert_eq!(table.next(start, None, start), Some(start));
        let later = at("2026-11-23T10:00:01Z");
        assert_eq!(table.next(start, Some(start), later), Some(at("2026-11-23T10:15:00Z")));
        let much_later = at("2026-11-24T10:07:00Z");
        assert_eq!(table.next(start, Some(start), much_later), Some(at("2026-11-24T10:15:00Z")));
    }

    #[test]
    fn a_period_goes_on_where_the_clock_was_set_to_before_its_start_or_to_a_lifetime_later() {
        let table = Timetable::Every(Duration::from_secs(900));
        let start = at("2026-11-23T10:00:00Z");
        let set_back = at("2026-11-21T09:52:00Z");
        assert_eq!(table.next(start, Some(start), set_back), Some(at("2026-11-21T10:00:00Z")));
        assert_eq!(
            table.next(start, Some(start), at("2026-11-21T10:00:00Z")),
            Some(at("2026-11-21T10:15:00Z"))
        );
        let table = Timetable::Every(SHORTEST_PERIOD);
        let later = at("2096-11-23T10:00:00Z");
        assert_eq!(table.next(start, Some(start), later), Some(later + chrono::Duration::seconds(1)));
    }

    #[test]
    fn on_demand_is_never_due() {
        let start = at("2026-11-23T10:00:00Z");
        assert_eq!(Timetable::OnDemand.next(start, None, start), None);
    }
}
