//! Durations as people write them: a number and a unit, never a bare number.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::TimeDelta;

use crate::clock::Timestamp;

/// A duration with its units: `"30s"`, `"500ms"`, `"1h30m"`, `"400d"`. A day is 24 hours and a week 7 days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HumanDuration(pub Duration);

/// The units, longest first, in milliseconds.
const UNITS: [(&str, u64); 6] =
    [("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Why a text is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// A bare number: seconds or minutes, nobody knows.
    #[error("has no unit: write \"{0}s\"")]
    NoUnit(String),
    /// Something else, or more than fits.
    #[error("is not a duration: a number and a unit (ms, s, m, h, d, w), such as \"30s\" or \"1h30m\"")]
    Malformed,
}

impl FromStr for HumanDuration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(DurationError::NoUnit(text.chars().take(12).collect()));
        }
        let mut rest = text;
        let mut total: u64 = 0;
        while !rest.is_empty() {
            let (millis, tail) = first_part(rest).ok_or(DurationError::Malformed)?;
            total = total.checked_add(millis).ok_or(DurationError::Malformed)?;
            rest = tail;
        }
        if text.is_empty() {
            return Err(DurationError::Malformed);
        }
        Ok(Self(Duration::from_millis(total)))
    }
}

/// The milliseconds of the first number and unit, and what follows them.
fn first_part(text: &str) -> Option<(u64, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let number: u64 = text[..digits].parse().ok()?;
    let rest = &text[digits..];
    let unit_end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
    let (_, millis) = UNITS.iter().find(|(unit, _)| *unit == &rest[..unit_end])?;
    Some((number.checked_mul(*millis)?, &rest[unit_end..]))
}

impl fmt::Display for HumanDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.as_millis();
        if rest == 0 {
            return f.write_str("0s");
        }
        // Weeks are understood but not written: "400d" says more than "57w1d".
        for (unit, millis) in UNITS.iter().skip(1) {
            let millis = u128::from(*millis);
            if rest >= millis {
                write!(f, "{}{unit}", rest / millis)?;
                rest %= millis;
            }
        }
        Ok(())
    }
}

/// How long ago that was, in the largest unit that fits. `script.js` says the same while time goes on.
pub(crate) fn age(now: Timestamp, at: Timestamp) -> String {
    let span = now - at;
    let (future, span) = if span < TimeDelta::zero() { (true, -span) } else { (false, span) };
    let text = lasted(span);
    if future { format!("in {text}") } else { format!("{text} ago") }
}

/// How long something took, in the largest unit that fits.
pub(crate) fn lasted(span: TimeDelta) -> String {
    match span.num_seconds() {
        s @ ..120 => format!("{s} s"),
        s @ ..7200 => format!("{} min", s / 60),
        s @ ..172_800 => format!("{} h", s / 3600),
        s => format!("{} d", s / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Duration, DurationError> {
        text.parse::<HumanDuration>().map(|human| human.0)
    }

    #[test]
    fn reads_numbers_with_units() {
        assert_eq!(parsed("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(parsed("0s"), Ok(Duration::ZERO));
        assert_eq!(parsed("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parsed("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(parsed("400d"), Ok(Duration::from_secs(400 * 86_400)));
        assert_eq!(parsed("2w"), Ok(Duration::from_secs(14 * 86_400)));
    }

    #[test]
    fn refuses_all_else() {
        assert_eq!(parsed("30"), Err(DurationError::NoUnit("30".into())));
        for text in [
            "",
            "s",
            "30 s",
            "-1s",
            "1.5s",
            "30S",
            "5y",
            "s30",
            "1h30",
            "99999999999999999999s",
            "9999999999999999999w",
        ] {
            assert_eq!(parsed(text), Err(DurationError::Malformed), "{text:?}");
        }
    }

    #[test]
    fn writes_what_it_reads() {
        for text in ["0s", "30s", "500ms", "1h30m", "400d", "1m30s", "1d1h1m1s1ms"] {
            assert_eq!(text.parse::<HumanDuration>().map(|d| d.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn an_age_takes_its_largest_unit() {
        let now = Timestamp::from_timestamp(1_000_000, 0).unwrap();
        for (seconds, text) in [
            (0, "0 s ago"),
            (119, "119 s ago"),
            (120, "2 min ago"),
            (7200, "2 h ago"),
            (180_000, "2 d ago"),
            (-90, "in 90 s"),
        ] {
            assert_eq!(age(now, now - TimeDelta::seconds(seconds)), text);
        }
    }
}
