//! Why a look at a source brought nothing that can be used.

use std::fmt;

use crate::document::{Problem, Problems};
use crate::source::Source;
use crate::status::RefreshFailure;
use crate::text::tamed;

/// The longest detail in characters: it may repeat what a server said.
const DETAIL_MAX: usize = 500;

/// Why a look at a source brought nothing that can be used. It never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// The kind, which is a metric label.
    pub kind: RefreshFailure,
    detail: String,
    problems: Problems,
}

impl Trouble {
    pub(super) fn new(kind: RefreshFailure, detail: impl AsRef<str>) -> Self {
        let detail = tamed(detail.as_ref(), DETAIL_MAX).into_owned();
        Self { kind, detail, problems: Problems::default() }
    }

    /// A file that can't be read.
    /// It could not be read at all.
    #[must_use]
    pub fn unreadable(detail: impl AsRef<str>) -> Self {
        Self::new(RefreshFailure::Unreadable, detail)
    }

    /// What was read is not an inventory of that form.
    pub(super) fn garbage(detail: impl AsRef<str>) -> Self {
        Self::new(RefreshFailure::Garbage, detail)
    }

    /// Something is wrong with what is written for versweep by hand.
    #[must_use]
    pub fn invalid(problems: Problems) -> Self {
        Self { kind: RefreshFailure::Invalid, detail: String::new(), problems }
    }

    /// The trouble as problems of a configuration.
    #[must_use]
    pub fn problems(&self, source: &Source) -> Problems {
        if !self.problems.is_empty() {
            return self.problems.clone();
        }
        Problems(vec![Problem {
            file: source.file.clone(),
            line: Some(source.line),
            key: source.key.clone(),
            value: Some(format!("{:?}", source.name)),
            problem: "can't be read".to_owned(),
            allowed: self.detail.clone(),
            ..Problem::default()
        }])
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.problems.is_empty() { f.write_str(&self.detail) } else { self.problems.fmt(f) }
    }
}
