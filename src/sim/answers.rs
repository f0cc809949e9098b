//! What simulated devices say. The text is our own, in the shape of what the real platforms print, so that the same
//! profiles read both.

use std::time::Duration;

use super::platform::SimPlatform;
use crate::clock::Timestamp;

mod cisco;
mod unix;
mod vendors;

/// A device at the moment it is asked.
#[derive(Debug, Clone)]
pub(super) struct Subject<'a> {
    pub(super) platform: SimPlatform,
    pub(super) hostname: &'a str,
    pub(super) model: &'static str,
    pub(super) serial: &'a str,
    pub(super) version: String,
    pub(super) uptime: Duration,
    /// The wall clock, for platforms that print it.
    pub(super) now: Timestamp,
}

/// The answer to one command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    /// What goes to standard output.
    pub(super) output: String,
    /// What goes to standard error, on platforms that have one.
    pub(super) error: String,
    /// The exit status, on platforms that send one.
    pub(super) status: u32,
}

impl Answer {
    fn said(output: impl Into<String>) -> Self {
        Self { output: output.into(), error: String::new(), status: 0 }
    }

    fn refused(output: impl Into<String>) -> Self {
        Self { output: output.into(), error: String::new(), status: 1 }
    }
}

/// What this device answers to this command.
pub(super) fn answer(subject: &Subject<'_>, command: &str) -> Answer {
    match subject.platform {
        SimPlatform::CiscoIos | SimPlatform::CiscoXe | SimPlatform::CiscoNxos | SimPlatform::CiscoXr => {
            let mut answer = cisco::answer(subject, command);
            answer.output = answer.output.replace('\n', "\r\n");
            answer
        }
        SimPlatform::JuniperJunos | SimPlatform::AristaEos => vendors::answer(subject, command),
        SimPlatform::Frr | SimPlatform::Linux => unix::answer(subject, command),
    }
}

/// Whether `command` means `wanted`, allowing for abbreviated words and for a filter that only turns the pager off.
fn means(command: &str, wanted: &str) -> bool {
    let bare = command.split('|').next().unwrap_or_default();
    let filters_only_the_pager = command.split('|').skip(1).all(|filter| filter.trim() == "no-more");
    let given: Vec<_> = bare.split_whitespace().collect();
    let wanted: Vec<_> = wanted.split_whitespace().collect();
    filters_only_the_pager
        && given.len() == wanted.len()
        && given.iter().zip(&wanted).all(|(given, wanted)| given.len() > 1 && wanted.starts_with(given))
}

/// Splits an uptime into its parts, largest first: years, weeks, days, hours, minutes.
fn parts(uptime: Duration) -> [(u64, &'static str); 5] {
    let minutes = uptime.as_secs() / 60;
    let (hours, days) = (minutes / 60, minutes / 1_440);
    [
        (days / 365, "year"),
        (days % 365 / 7, "week"),
        (days % 365 % 7, "day"),
        (hours % 24, "hour"),
        (minutes % 60, "minute"),
    ]
}

/// `3 weeks, 1 day, 4 hours, 0 minutes`, without the leading parts that are zero.
fn in_words(uptime: Duration) -> Vec<String> {
    let all = parts(uptime);
    let first = all.iter().position(|(count, _)| *count > 0).unwrap_or(all.len() - 1);
    all[first..]
        .iter()
        .map(|(count, unit)| format!("{count} {unit}{}", if *count == 1 { "" } else { "s" }))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(platform: SimPlatform) -> Subject<'static> {
        Subject {
            platform,
            hostname: "edge-0042",
            model: platform.models().first().copied().unwrap_or_default(),
            serial: "FOC2412ABCD",
            version: platform.versions()[3].to_owned(),
            uptime: Duration::from_secs(8 * 86_400 + 3_600 + 120),
            now: "2026-11-23T21:55:00Z".parse().unwrap(),
        }
    }

    #[test]
    fn every_platform_answers_its_version_command_and_refuses_another() {
        for platform in SimPlatform::ALL {
            let subject = subject(platform);
            let command = if platform == SimPlatform::Linux { "cat /etc/os-release" } else { "show version" };
            let said = answer(&subject, command);
            assert!(said.output.contains(&subject.version), "{platform}: {}", said.output);
            assert_eq!(said.status, 0);
            let refused = answer(&subject, "show frobnication");
            assert!(!(refused.output + &refused.error).contains(&subject.version), "{platform}");
            assert_ne!(refused.status, 0, "{platform}");
        }
    }

    #[test]
    fn abbreviations_and_a_pager_filter_mean_the_same() {
        for same in ["show version", "sh ver", " show  version ", "show version | no-more"] {
            assert!(means(same, "show version"), "{same}");
        }
        for other in ["show", "show version detail", "show running", "s v", "show version | json"] {
            assert!(!means(other, "show version"), "{other}");
        }
    }

    #[test]
    fn uptime_is_told_from_the_largest_part_on() {
        assert_eq!(in_words(Duration::from_secs(59)), ["0 minutes"]);
        assert_eq!(in_words(Duration::from_secs(3_660)), ["1 hour", "1 minute"]);
        let long = Duration::from_secs((365 + 14 + 3) * 86_400);
        assert_eq!(in_words(long), ["1 year", "2 weeks", "3 days", "0 hours", "0 minutes"]);
    }
}
