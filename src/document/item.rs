//! One value with its place: asked for as what it should be, noted as a problem when it isn't.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use toml::Spanned;
use toml::de::{DeInteger, DeValue};

use super::{Document, Problem, Section, kind};
use crate::clock::{self, Timestamp};
use crate::duration::{DurationError, HumanDuration};

/// The most characters of a wrong value that a message repeats.
const SHOWN_MAX: usize = 60;

/// A value that was taken out of its document, as it stood there: what inventories of all formats are read into.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scalar {
    /// A text.
    Text(String),
    /// A whole number.
    Number(i64),
    /// `true` or `false`.
    Boolean(bool),
    /// A list.
    List(Vec<Self>),
    /// A cell of a table of text: it is read as whatever is asked for.
    Cell(String),
    /// Nothing that a setting can be.
    Other {
        /// What it is, for messages.
        kind: String,
        /// What a message may repeat of it.
        shown: Option<String>,
    },
}

impl From<&DeValue<'_>> for Scalar {
    fn from(value: &DeValue<'_>) -> Self {
        let other = |shown| Self::Other { kind: kind(value).to_owned(), shown };
        match value {
            DeValue::String(text) => Self::Text(text.as_ref().to_owned()),
            DeValue::Integer(number) => Self::Number(i64::try_from(whole(number)).unwrap_or(i64::MAX)),
            DeValue::Float(number) => other(Some(number.to_string())),
            DeValue::Boolean(yes) => Self::Boolean(*yes),
            DeValue::Datetime(time) => other(Some(time.to_string())),
            DeValue::Array(array) => {
                Self::List(array.iter().map(|value| Self::from(value.get_ref())).collect())
            }
            DeValue::Table(_) => other(None),
        }
    }
}

impl Scalar {
    /// What it is, for messages.
    fn kind(&self) -> &str {
        match self {
            Self::Text(_) | Self::Cell(_) => "a text",
            Self::Number(_) => "a whole number",
            Self::Boolean(_) => "true or false",
            Self::List(_) => "a list",
            Self::Other { kind, .. } => kind,
        }
    }

    /// What a message repeats of it; a list is named, not shown.
    fn shown(&self) -> Option<String> {
        match self {
            Self::Text(text) | Self::Cell(text) => Some(shown_text(text)),
            Self::Number(number) => Some(number.to_string()),
            Self::Boolean(yes) => Some(yes.to_string()),
            Self::List(_) => None,
            Self::Other { shown, .. } => shown.clone(),
        }
    }
}

/// A number that is too large is the largest there is.
fn whole(number: &DeInteger<'_>) -> i128 {
    i128::from_str_radix(number.as_str(), number.radix()).unwrap_or(i128::MAX)
}

/// A value of a TOML file, or a cell of a CSV file, with its place. Each question notes a problem when the value
/// isn't what was asked for, and then answers nothing.
#[derive(Debug, Clone)]
pub struct Item<'d> {
    document: &'d Document<'d>,
    path: String,
    /// Absent where there are no lines, as in an answer of another program.
    line: Option<usize>,
    value: Value<'d>,
}

#[derive(Debug, Clone, Copy)]
enum Value<'d> {
    Toml(&'d DeValue<'d>),
    Cell(&'d str),
    Given(&'d Scalar),
}

impl<'d> Item<'d> {
    pub(super) fn toml(document: &'d Document<'d>, path: String, value: &'d Spanned<DeValue<'d>>) -> Self {
        let line = Some(document.line(value.span().start));
        Self { document, path, line, value: Value::Toml(value.get_ref()) }
    }

    /// A cell of a table of text. It can be read as a text, a number or a duration.
    #[must_use]
    pub fn cell(document: &'d Document<'d>, path: String, line: usize, text: &'d str) -> Self {
        Self { document, path, line: Some(line), value: Value::Cell(text) }
    }

    /// A value that was taken out of its document before.
    #[must_use]
    pub fn given(document: &'d Document<'d>, path: String, line: Option<usize>, value: &'d Scalar) -> Self {
        let value = match value {
            Scalar::Cell(text) => Value::Cell(text),
            other => Value::Given(other),
        };
        Self { document, path, line, value }
    }

    /// The value, to be taken out of its document.
    #[must_use]
    pub fn scalar(&self) -> Scalar {
        match self.value {
            Value::Toml(value) => Scalar::from(value),
            Value::Cell(text) => Scalar::Cell(text.to_owned()),
            Value::Given(value) => value.clone(),
        }
    }

    /// The key, with the tables that lead to it.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The line it stands on; zero where there are no lines.
    #[must_use]
    pub fn line(&self) -> usize {
        self.line.unwrap_or_default()
    }

    /// A text.
    #[must_use]
    pub fn text(&self) -> Option<&'d str> {
        let text = self.as_text();
        if text.is_none() {
            self.refuse_kind("a text in quotes");
        }
        text
    }

    /// The text, if it is one; nothing is noted otherwise.
    #[must_use]
    pub fn as_text(&self) -> Option<&'d str> {
        match self.value {
            Value::Toml(value) => value.as_str(),
            Value::Cell(text) => Some(text),
            Value::Given(Scalar::Text(text)) => Some(text),
            Value::Given(_) => None,
        }
    }

    /// A whole number within a range.
    #[must_use]
    pub fn number(&self, range: RangeInclusive<u64>) -> Option<u64> {
        let allowed = format!("a number from {} to {}", range.start(), range.end());
        let Some(number) = self.as_number() else {
            self.refuse_kind(&allowed);
            return None;
        };
        let within = u64::try_from(number).ok().filter(|number| range.contains(number));
        if within.is_none() {
            self.refuse("is out of range", &allowed);
        }
        within
    }

    /// The whole number, if it is one; nothing is noted otherwise. One that is too large is the largest there is.
    #[must_use]
    pub fn as_number(&self) -> Option<i128> {
        match self.value {
            Value::Toml(DeValue::Integer(number)) => Some(whole(number)),
            Value::Given(Scalar::Number(number)) => Some((*number).into()),
            Value::Toml(_) | Value::Given(_) => None,
            Value::Cell(text) => text.parse().ok(),
        }
    }

    /// `true` or `false`, if it is one; nothing is noted otherwise.
    #[must_use]
    pub fn as_boolean(&self) -> Option<bool> {
        match self.value {
            Value::Toml(value) => value.as_bool(),
            Value::Cell(text) => text.parse().ok(),
            Value::Given(Scalar::Boolean(yes)) => Some(*yes),
            Value::Given(_) => None,
        }
    }

    /// `true` or `false`.
    #[must_use]
    pub fn boolean(&self) -> Option<bool> {
        let answer = self.as_boolean();
        if answer.is_none() {
            self.refuse_kind("true or false");
        }
        answer
    }

    /// A duration with its unit, within a range.
    #[must_use]
    pub fn duration(&self, range: &RangeInclusive<Duration>) -> Option<Duration> {
        let (from, to) = (HumanDuration(*range.start()), HumanDuration(*range.end()));
        let written = match (self.as_text(), self.as_number()) {
            (Some(text), _) => text.parse::<HumanDuration>(),
            (None, Some(number)) => Err(DurationError::NoUnit(number.to_string())),
            (None, None) => {
                self.refuse_kind(&format!("a duration from \"{from}\" to \"{to}\""));
                return None;
            }
        };
        match written {
            Ok(HumanDuration(duration)) if range.contains(&duration) => Some(duration),
            Ok(_) => {
                self.refuse("is out of range", &format!("a duration from \"{from}\" to \"{to}\""));
                None
            }
            Err(error) => {
                self.refuse(&error.to_string(), "");
                None
            }
        }
    }

    /// An instant: a date and time with its offset, or a date, as TOML's own or as a text.
    #[must_use]
    pub fn instant(&self) -> Option<Timestamp> {
        let written = match self.value {
            Value::Toml(DeValue::Datetime(time)) => Some(time.to_string()),
            _ => self.as_text().map(str::to_owned),
        };
        let instant = written.as_deref().and_then(clock::instant);
        if instant.is_none() {
            self.refuse(
                "is not an instant",
                "a date, or a date and time with its offset, such as 2026-10-01T00:00:00Z",
            );
        }
        instant
    }

    /// One text, or a list of texts that is not empty: each with its own place.
    #[must_use]
    pub fn texts(&self) -> Option<Vec<(Self, &'d str)>> {
        let elements = match self.value {
            Value::Toml(DeValue::Array(_)) | Value::Given(Scalar::List(_)) => self.elements("")?,
            _ => vec![self.clone()],
        };
        if elements.is_empty() {
            self.refuse("is empty", "a text, or a list with at least one text");
            return None;
        }
        elements.into_iter().map(|element| element.text().map(|text| (element, text))).collect()
    }

    /// The elements of a list.
    #[must_use]
    pub fn elements(&self, wanted: &str) -> Option<Vec<Self>> {
        match self.value {
            Value::Toml(DeValue::Array(array)) => {
                let element = |value| Self::toml(self.document, self.path.clone(), value);
                Some(array.iter().map(element).collect())
            }
            Value::Given(Scalar::List(list)) => {
                let element = |value| Self::given(self.document, self.path.clone(), self.line, value);
                Some(list.iter().map(element).collect())
            }
            _ => {
                self.refuse_kind(wanted);
                None
            }
        }
    }

    /// A table.
    #[must_use]
    pub fn section(&self) -> Option<Section<'d>> {
        let table = match self.value {
            Value::Toml(DeValue::Table(table)) => table,
            // Not shown: what stands in place of a table of credentials may be one.
            Value::Toml(value) => {
                self.refuse_hidden(&format!("is {}", kind(value)), "must be a table");
                return None;
            }
            Value::Cell(_) | Value::Given(_) => return None,
        };
        Some(Section {
            document: self.document,
            path: self.path.clone(),
            line: self.line,
            table: Some(table),
        })
    }

    /// Whether it is a table.
    #[must_use]
    pub fn is_table(&self) -> bool {
        matches!(self.value, Value::Toml(DeValue::Table(_)))
    }

    /// Notes that the value is wrong, and shows it.
    pub fn refuse(&self, problem: &str, allowed: &str) {
        self.note(self.shown(), problem, allowed);
    }

    /// Notes that the value is wrong without showing it: for whatever may be a secret.
    pub fn refuse_hidden(&self, problem: &str, allowed: &str) {
        self.note(None, problem, allowed);
    }

    fn note(&self, value: Option<String>, problem: &str, allowed: &str) {
        self.document.note(Problem {
            line: self.line,
            key: self.path.clone(),
            value,
            problem: problem.to_owned(),
            allowed: allowed.to_owned(),
            ..Problem::default()
        });
    }

    fn refuse_kind(&self, wanted: &str) {
        let must = format!("must be {wanted}");
        match self.value {
            // A list or a table is named, not shown: something secret may be inside.
            Value::Toml(value @ (DeValue::Array(_) | DeValue::Table(_))) => {
                self.refuse_hidden(&format!("is {}", kind(value)), &must);
            }
            Value::Toml(value) => self.refuse(&format!("is {}", kind(value)), &must),
            Value::Cell(_) => self.refuse("is not valid", &must),
            Value::Given(value) => match (value.kind(), value.shown()) {
                (kind, None) => self.refuse_hidden(&format!("is {kind}"), &must),
                (kind, Some(_)) => self.refuse(&format!("is {kind}"), &must),
            },
        }
    }

    /// The value as a message repeats it: shortened, without control characters; nothing for lists and tables.
    fn shown(&self) -> Option<String> {
        match self.value {
            Value::Toml(DeValue::Array(_) | DeValue::Table(_)) => None,
            Value::Toml(DeValue::String(text)) => Some(shown_text(text)),
            Value::Toml(DeValue::Integer(number)) => Some(number.to_string()),
            Value::Toml(DeValue::Float(number)) => Some(number.to_string()),
            Value::Toml(DeValue::Boolean(yes)) => Some(yes.to_string()),
            Value::Toml(DeValue::Datetime(time)) => Some(time.to_string()),
            Value::Cell(text) => Some(shown_text(text)),
            Value::Given(value) => value.shown(),
        }
    }
}

/// A text as messages repeat it: in quotes, escaped and shortened.
#[must_use]
pub fn shown_text(text: &str) -> String {
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{:?}...", &text[..end]),
        None => format!("{text:?}"),
    }
}
