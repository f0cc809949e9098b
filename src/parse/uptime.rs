//! How long a device has been up, in the words of its vendor.

use std::time::Duration;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const WEEK: u64 = 7 * DAY;
/// What vendors divide by when they say years.
const YEAR: u64 = 365 * DAY;

/// Nothing has been up for longer; more is a misreading.
const LONGEST: u64 = 100 * YEAR;

/// `2 years, 31 weeks, 6 days, 9 hours, 55 minutes`, `0 day(s), 1 hour(s)`, `12d3h`, `5w6d 03:29`, `00:12:03`, `12,03:04:05`, and
/// seconds as a bare number, whole or not. Nothing where any of it is not understood.
pub(super) fn uptime(text: &str) -> Option<Duration> {
    let text = text.trim().to_ascii_lowercase();
    if let Some(known) = seconds_alone(&text).or_else(|| days_and_clock(&text)) {
        return Some(known);
    }
    let mut total: u64 = 0;
    let mut found = false;
    let mut rest = text.as_str();
    loop {
        rest = skip_filler(rest);
        if rest.is_empty() {
            break;
        }
        let (seconds, after) = clock(rest).or_else(|| number_and_unit(rest))?;
        total = total.checked_add(seconds)?;
        found = true;
        rest = after;
    }
    (found && total <= LONGEST).then(|| Duration::from_secs(total))
}

fn seconds_alone(text: &str) -> Option<Duration> {
    let whole = text.split('.').next()?;
    let is_number = text.bytes().all(|b| b.is_ascii_digit() || b == b'.') && text.matches('.').count() <= 1;
    let seconds: u64 = whole.parse().ok()?;
    (is_number && seconds <= LONGEST).then(|| Duration::from_secs(seconds))
}

/// `12,03:04:05`: the `(days,hour:min:sec)` of Cisco's small switches, and of Dell's and Eltex's that run the same software.
fn days_and_clock(text: &str) -> Option<Duration> {
    let (days, clock_after) = text.split_once(',')?;
    let days: u64 = days.parse().ok()?;
    let (seconds, rest) = clock(clock_after)?;
    let whole = days.checked_mul(DAY)?.checked_add(seconds)?;
    (rest.is_empty() && whole <= LONGEST).then(|| Duration::from_secs(whole))
}

fn skip_filler(mut text: &str) -> &str {
    loop {
        text = text.trim_start_matches([' ', ',', '\t']);
        match text.strip_prefix("and ").or_else(|| text.strip_prefix("- ")) {
            Some(rest) => text = rest,
            None => return text,
        }
    }
}

/// `03:29` is hours and minutes, `00:12:03` has seconds too, `4:04:14:10` days as well. Fractions of a second are cut.
fn clock(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != ':').unwrap_or(text.len());
    let (clock, rest) = text.split_at(end);
    let fields: Vec<u64> = clock.split(':').map(|field| field.parse().ok()).collect::<Option<_>>()?;
    let (days, hours, minutes, seconds) = match *fields.as_slice() {
        [hours, minutes] => (0, hours, minutes, 0),
        [hours, minutes, seconds] => (0, hours, minutes, seconds),
        [days, hours, minutes, seconds] if hours < 24 => (days, hours, minutes, seconds),
        _ => return None,
    };
    (minutes < 60 && seconds < 60).then_some(())?;
    let whole = days.checked_mul(DAY)?.checked_add(hours.checked_mul(HOUR)?)?;
    Some((whole.checked_add(minutes * MINUTE + seconds)?, without_fraction(rest)))
}

fn without_fraction(text: &str) -> &str {
    text.strip_prefix('.').map_or(text, |rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()))
}

fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let number: u64 = text[..end].parse().ok()?;
    let rest = without_fraction(&text[end..]).trim_start();
    let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(end);
    let unit = match unit {
        "y" | "yr" | "yrs" | "year" | "years" => YEAR,
        "w" | "wk" | "wks" | "week" | "weeks" => WEEK,
        "d" | "day" | "days" => DAY,
        "h" | "hr" | "hrs" | "hour" | "hours" => HOUR,
        "m" | "min" | "mins" | "minute" | "minutes" => MINUTE,
        "s" | "sec" | "secs" | "second" | "seconds" => 1,
        _ => return None,
    };
    Some((number.checked_mul(unit)?, rest.strip_prefix("(s)").unwrap_or(rest)))
}

#[cfg(test)]
mod tests {
    use super::{DAY, HOUR, MINUTE, WEEK, YEAR, uptime};

    fn seconds(text: &str) -> Option<u64> {
        uptime(text).map(|uptime| uptime.as_secs())
    }

    #[test]
    fn days_before_a_comma_and_a_clock() {
        assert_eq!(seconds("12,03:04:05"), Some(12 * DAY + 3 * HOUR + 4 * MINUTE + 5));
        assert_eq!(seconds("0,00:00:09"), Some(9));
        assert_eq!(seconds("12,03:04:05 or so"), None);
        assert_eq!(seconds("99999999,00:00:00"), None);
    }

    #[test]
    fn words() {
        let text = "2 years, 31 weeks, 6 days, 9 hours, 55 minutes";
        assert_eq!(seconds(text), Some(2 * YEAR + 31 * WEEK + 6 * DAY + 9 * HOUR + 55 * MINUTE));
        assert_eq!(seconds("1 week, 1 day, 1 hour, 1 minute"), Some(WEEK + DAY + HOUR + MINUTE));
        assert_eq!(seconds("6 hours 35 minutes"), Some(6 * HOUR + 35 * MINUTE));
        assert_eq!(
            seconds("3 weeks, 0 days, 20 hours and 45 minutes"),
            Some(3 * WEEK + 20 * HOUR + 45 * MINUTE)
        );
        assert_eq!(seconds("0 day(s), 1 hour(s), 41 minute(s), 37 second(s)"), Some(HOUR + 41 * MINUTE + 37));
    }

    #[test]
    fn short_forms_and_clocks() {
        assert_eq!(seconds("12d3h"), Some(12 * DAY + 3 * HOUR));
        assert_eq!(seconds("5w6d 03:29"), Some(5 * WEEK + 6 * DAY + 3 * HOUR + 29 * MINUTE));
        assert_eq!(seconds("00:12:03"), Some(12 * MINUTE + 3));
        assert_eq!(seconds("12345.67"), Some(12_345));
        assert_eq!(seconds("4:04:14:10"), Some(4 * DAY + 4 * HOUR + 14 * MINUTE + 10));
        assert_eq!(seconds("1d 16h 31m 43.856s"), Some(DAY + 16 * HOUR + 31 * MINUTE + 43));
        assert_eq!(seconds("0:03:44.190000"), Some(3 * MINUTE + 44));
        assert_eq!(seconds("8 days, 11:47:39"), Some(8 * DAY + 11 * HOUR + 47 * MINUTE + 39));
        assert_eq!(seconds("5 day - 1 hour - 0 min - 2 sec"), Some(5 * DAY + HOUR + 2));
        assert_eq!(seconds("2days 21hrs 27mins 54secs"), Some(2 * DAY + 21 * HOUR + 27 * MINUTE + 54));
    }

    #[test]
    fn what_is_not_understood_is_not_guessed() {
        for text in [
            "",
            "3 parsecs",
            "up",
            "3 days, soon",
            "1:2:3:4:5",
            "1:25:03:04",
            "03:99",
            "-5",
            "99999999999999999999 days",
            "400 years",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
