//! Reading a device's answer: a profile and a text in, facts or an honest error out. Pure and bounded.
//!
//! Wrong is worse than unknown: where an answer is truncated, foreign or says two things, nothing is read from it.

use std::sync::Arc;

use crate::facts::{Facts, Reading};
use crate::failure::FailureKind;
use crate::platform::{Field, Pattern, Platforms, Profile};
use crate::text::acts;
use crate::version::Version;
use finds::Finds;

mod clean;
mod finds;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod lists;
mod refusal;
mod uptime;

/// The longest answer that is read, in bytes: all commands together.
pub const INPUT_MAX: usize = 4 * 1024 * 1024;

/// The longest value that is taken from an answer, in characters.
pub const VALUE_MAX: usize = 128;

/// Why an answer could not be read. The text never quotes more than a bounded, printable piece of the answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// There is nothing but white space.
    #[error("the answer is empty: run the command by hand to see what the device says")]
    Empty,
    /// Longer than [`INPUT_MAX`].
    #[error("the answer has {bytes} bytes, at most {INPUT_MAX} are read")]
    TooLong {
        /// How long it is.
        bytes: usize,
    },
    /// The device doesn't know the command.
    #[error("the device doesn't know the command ({said}): check `platform` and the profile's commands")]
    UnknownCommand {
        /// The line that says so, bounded and printable.
        said: String,
    },
    /// The account may not run the command.
    #[error("the account may not run the command ({said}): give it the right to")]
    Denied {
        /// The line that says so, bounded and printable.
        said: String,
    },
    /// A marker of a whole answer is missing.
    #[error("the answer is not whole: `{marker}` is missing; nothing was read from it")]
    Truncated {
        /// The marker's pattern.
        marker: String,
    },
    /// The answer ends within the line that gives the version: it may have been cut there.
    #[error("the answer ends within the line of the version: it may be cut; nothing was read from it")]
    Cut,
    /// No version pattern matched.
    #[error("no version pattern of {platform} matches: check `platform`, or add a pattern to a profile")]
    NoVersion {
        /// The profile.
        platform: String,
    },
    /// No profile recognises the answer, or more than one does.
    #[error("no platform recognises the answer, or more than one does: name the device's `platform`")]
    Unrecognised,
    /// The same pattern matched two different values.
    #[error("the answer names two {field}s, {first} and {second}: is it the answer of one device?")]
    Ambiguous {
        /// Of which field.
        field: &'static str,
        /// The first one.
        first: String,
        /// Another one.
        second: String,
    },
    /// The version read is too long or holds control characters. (Another field is then left out.)
    #[error("the {field} read is too long or not printable")]
    BadValue {
        /// Which field.
        field: &'static str,
    },
}

impl ParseError {
    /// The kind of failure that a visit with this answer ends with.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::UnknownCommand { .. } => FailureKind::Command,
            Self::Denied { .. } => FailureKind::Denied,
            Self::Empty
            | Self::TooLong { .. }
            | Self::Truncated { .. }
            | Self::Cut
            | Self::NoVersion { .. }
            | Self::Unrecognised
            | Self::Ambiguous { .. }
            | Self::BadValue { .. } => FailureKind::Parse,
        }
    }
}

/// Reads an answer through a profile. The outputs of several commands come concatenated, with newlines between.
///
/// # Errors
/// Says why nothing was read; [`ParseError::kind`] tells what that means for the visit.
pub fn parse(profile: &Profile, output: &str) -> Result<Reading, ParseError> {
    if output.len() > INPUT_MAX {
        return Err(ParseError::TooLong { bytes: output.len() });
    }
    let clean = clean::clean(output);
    if clean.trim().is_empty() {
        return Err(ParseError::Empty);
    }
    let answer = answer_of(profile, &clean);
    let finds = Finds::new(profile, answer);
    check_nothing_before(&finds, &clean)?;
    if profile.recognise.refuses(answer) {
        return Err(ParseError::NoVersion { platform: profile.key.to_string() });
    }
    let Some((pattern, version)) = finds.first(Field::Version) else {
        return Err(refusal::refusal(Some(profile), answer)
            .unwrap_or_else(|| ParseError::NoVersion { platform: profile.key.to_string() }));
    };
    if pattern.may_be_cut(version, answer) {
        return Err(ParseError::Cut);
    }
    check_one_version(&finds, pattern, version)?;
    check_nothing_earlier(&finds, version)?;
    check_whole(profile, answer)?;
    let version = printable(version).ok_or(ParseError::BadValue { field: Field::Version.as_str() })?;
    check_one_host(&finds)?;
    let read = |field| finds.first_whole(field).and_then(printable);
    let facts = Facts {
        version: Version::new(version),
        model: read(Field::Model),
        serial: read(Field::Serial),
        hostname: read(Field::Hostname),
        image: read(Field::Image),
        uptime: finds.first_whole(Field::Uptime).and_then(uptime::uptime),
        more: lists::more(&finds, read(Field::NextBoot)),
    };
    let (platform, pattern) = (profile.key.clone(), pattern.name.clone());
    Ok(Reading { platform, revision: profile.revision, pattern, facts })
}

/// Reads an answer of an unknown platform: through the one profile that recognises it.
///
/// # Errors
/// Those of [`parse`]; and where no profile is found, what the answer says of the reason.
pub fn parse_any(platforms: &Platforms, output: &str) -> Result<Reading, ParseError> {
    if output.len() > INPUT_MAX {
        return Err(ParseError::TooLong { bytes: output.len() });
    }
    if let Some(profile) = detect(platforms, output) {
        return parse(profile, output);
    }
    let clean = clean::clean(output);
    if clean.trim().is_empty() {
        return Err(ParseError::Empty);
    }
    Err(refusal::refusal(None, &clean).unwrap_or(ParseError::Unrecognised))
}

/// Picks the profile from the answer itself; nothing where none, or more than one, recognises it.
#[must_use]
pub fn detect<'a>(platforms: &'a Platforms, output: &str) -> Option<&'a Arc<Profile>> {
    if output.len() > INPUT_MAX {
        return None;
    }
    let clean = clean::clean(output);
    // What stands before an echo counts as well: a log that begins with another device's answer is ambiguous.
    let mut candidates = platforms.iter().filter(|profile| {
        let answer = answer_of(profile, &clean);
        profile.recognise.matches(answer)
            || clean.strip_suffix(answer).is_some_and(|before| profile.recognise.matches(before))
    });
    let found = candidates.next()?;
    candidates.next().is_none().then_some(found)
}

/// Whether this profile alone would recognise the answer as its own.
pub(crate) fn recognises(profile: &Profile, output: &str) -> bool {
    let clean = clean::clean(output);
    profile.recognise.matches(answer_of(profile, &clean))
}

/// Without what stood before the echo of the first of the profile's commands.
fn answer_of<'t>(profile: &Profile, clean: &'t str) -> &'t str {
    let answers = profile.commands.iter().map(|command| clean::after_echo(clean, command));
    answers.filter(|answer| answer.len() < clean.len()).max_by_key(|answer| answer.len()).unwrap_or(clean)
}

impl Pattern {
    /// Whether nothing but blanks follows this piece of the answer: where an answer was cut within a line, its last value
    /// is less than the device said. A line end behind it says that it is whole.
    fn may_be_cut(&self, value: &str, answer: &str) -> bool {
        let end = value.as_ptr().addr() - answer.as_ptr().addr() + value.len();
        let behind = answer.get(end..).unwrap_or_default();
        !self.unterminated && behind.bytes().all(|byte| matches!(byte, b' ' | b'\t'))
    }
}

/// What stands before the echo is cut off as a banner; but where a version can be read there too, it may have been
/// another device's answer.
fn check_nothing_before(finds: &Finds<'_, '_>, clean: &str) -> Result<(), ParseError> {
    let before = clean.strip_suffix(finds.answer).unwrap_or_default();
    if before.is_empty() {
        return Ok(());
    }
    let earlier = Finds::new(finds.profile, before);
    match earlier.first(Field::Version).zip(finds.first(Field::Version)) {
        Some(((_, before), (_, after))) if before != after => Err(ambiguous(Field::Version, before, after)),
        _ => Ok(()),
    }
}

/// Two versions of one pattern come from two devices, or from a device that contradicts itself.
fn check_one_version(finds: &Finds<'_, '_>, pattern: &Pattern, version: &str) -> Result<(), ParseError> {
    let mut patterns = finds.by_pattern(Field::Version);
    let values = patterns.find(|(other, _)| std::ptr::eq(*other, pattern)).map(|(_, values)| values);
    match values.into_iter().flatten().find(|value| *value != version) {
        None => Ok(()),
        Some(other) => Err(ambiguous(Field::Version, version, other)),
    }
}

/// A version that another pattern reads further up may be the device's, and this one that of what was appended to it.
/// One that says the same with fewer parts is no contradiction: os-release has `22.04` and `22.04.4`.
fn check_nothing_earlier(finds: &Finds<'_, '_>, version: &str) -> Result<(), ParseError> {
    let from = |value: &str| value.as_ptr().addr() - finds.answer.as_ptr().addr();
    let contradicts = |value: &str| {
        from(value) < from(version) && !value.starts_with(version) && !version.starts_with(value)
    };
    let mut earlier = finds.by_pattern(Field::Version).filter_map(|(_, mut values)| values.next());
    match earlier.find(|value| contradicts(value)) {
        None => Ok(()),
        Some(other) => Err(ambiguous(Field::Version, other, version)),
    }
}

/// Two host names, by whatever patterns, come from two devices. A domain behind the name makes no other host.
fn check_one_host(finds: &Finds<'_, '_>) -> Result<(), ParseError> {
    let label = |name: &'_ str| name.split('.').next().unwrap_or_default().to_ascii_lowercase();
    let mut names = finds.by_pattern(Field::Hostname).flat_map(|(_, values)| values);
    let Some(first) = names.next() else { return Ok(()) };
    match names.find(|name| label(name) != label(first)) {
        None => Ok(()),
        Some(other) => Err(ambiguous(Field::Hostname, first, other)),
    }
}

fn ambiguous(field: Field, first: &str, second: &str) -> ParseError {
    let (first, second) = (refusal::quoted(first), refusal::quoted(second));
    ParseError::Ambiguous { field: field.as_str(), first, second }
}

fn check_whole(profile: &Profile, answer: &str) -> Result<(), ParseError> {
    let missing = profile.whole.iter().find(|marker| {
        marker.when.as_ref().is_none_or(|when| when.is_match(answer)) && !marker.has.is_match(answer)
    });
    match missing {
        None => Ok(()),
        Some(marker) => Err(ParseError::Truncated { marker: marker.has.as_str().to_owned() }),
    }
}

/// The value, where it is short enough and nothing in it acts: that would make one value look like another.
fn printable(value: &str) -> Option<String> {
    let fits = value.chars().nth(VALUE_MAX).is_none() && !value.contains(acts);
    fits.then(|| value.to_owned())
}
