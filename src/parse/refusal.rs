//! How devices say no. Looked at only where no version was found, so that an error line of a second command does not
//! spoil the answer of the first.

use super::ParseError;
use crate::platform::Profile;

/// As many lines are looked at: a refusal is short.
const LINES_MAX: usize = 100;

/// In lower case. Looked for first: "% Invalid input (privileged mode required)" is about rights.
const DENIED: [&str; 9] = [
    "permission denied",
    "authorization failed",
    "authorization denied",
    "not authorized",
    "not authorised",
    "access denied",
    "privileged mode required",
    "insufficient privilege",
    "not allowed to run",
];

/// In lower case.
const UNKNOWN_COMMAND: [&str; 10] = [
    "% invalid input",
    "% invalid command",
    "% incomplete command",
    "% ambiguous command",
    "% unknown command",
    "unknown command",
    "syntax error",
    "command not found",
    "invalid command",
    "command is not valid",
];

/// The error that the text itself tells of, if it does.
pub(super) fn refusal(profile: Option<&Profile>, text: &str) -> Option<ParseError> {
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty()).take(LINES_MAX);
    let says = |line: &str, phrases: &[&str]| {
        let line = line.to_ascii_lowercase();
        phrases.iter().any(|phrase| line.contains(phrase))
    };
    let denied = lines().find(|line| {
        profile.is_some_and(|profile| profile.denied.iter().any(|regex| regex.is_match(line)))
            || says(line, &DENIED)
    });
    if let Some(line) = denied {
        return Some(ParseError::Denied { said: quoted(line) });
    }
    let unknown = lines().find(|line| {
        profile.is_some_and(|profile| profile.unknown_command.iter().any(|regex| regex.is_match(line)))
            || says(line, &UNKNOWN_COMMAND)
            || line.ends_with(": not found")
    });
    unknown.map(|line| ParseError::UnknownCommand { said: quoted(line) })
}

/// A bounded, printable piece of the answer.
pub(super) fn quoted(line: &str) -> String {
    line.chars().filter(|c| !c.is_control()).take(super::VALUE_MAX).collect()
}
