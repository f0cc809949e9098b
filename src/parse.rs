//! Reading a device's answer: a profile and a text in, facts or an honest error out. Pure and bounded.
//!
//! Wrong is worse than unknown: where an answer is truncated, foreign or says two things, nothing is read from it.

use std::sync::Arc;

use crate::facts::Reading;
use crate::failure::FailureKind;
use crate::platform::{Platforms, Profile};

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
    /// No version pattern matched.
    #[error("no version pattern of {platform} matches: check `platform`, or add a pattern to a profile")]
    NoVersion {
        /// The profile.
        platform: String,
    },
    /// The same pattern matched two different versions.
    #[error("the answer names two versions, {first} and {second}: is it the answer of one device?")]
    Ambiguous {
        /// The first one.
        first: String,
        /// Another one.
        second: String,
    },
    /// A captured value is too long or holds control characters.
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
            | Self::NoVersion { .. }
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
    let _ = output;
    Err(ParseError::NoVersion { platform: profile.key.to_string() })
}

/// Picks the profile from the answer itself; nothing where none, or more than one, recognises it.
#[must_use]
pub fn detect<'a>(platforms: &'a Platforms, output: &str) -> Option<&'a Arc<Profile>> {
    let _ = (platforms, output);
    None
}
