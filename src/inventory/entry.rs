//! One device as its source gives it, before anybody has judged it: named values, each with its place.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::document::{Scalar, shown_text};
use crate::settings::DEVICE_KEYS;

/// The keys of an entry besides a device's settings and its labels.
pub(super) const OWN_KEYS: [&str; 3] = ["name", "address", "id"];

/// One entry of a source. It is kept, so that a later refresh can be compared with it and a restart can go on with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The file, or the server, that it came from.
    #[serde(rename = "f")]
    pub(super) file: Arc<str>,
    /// The line it begins on; absent where there are no lines.
    #[serde(rename = "l", skip_serializing_if = "Option::is_none", default)]
    pub(super) line: Option<usize>,
    /// Its number in messages, for one without a name; absent where its line is enough.
    #[serde(rename = "n", skip_serializing_if = "Option::is_none", default)]
    pub(super) number: Option<usize>,
    /// What it says, in the order in which it stands there.
    #[serde(rename = "v")]
    pub(super) fields: Vec<Field>,
}

/// One named value of an entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Field {
    #[serde(rename = "k")]
    pub(super) key: Cow<'static, str>,
    /// What it is.
    #[serde(rename = "p")]
    pub(super) part: Part,
    #[serde(rename = "l", skip_serializing_if = "Option::is_none", default)]
    pub(super) line: Option<usize>,
    #[serde(rename = "v")]
    pub(super) value: Scalar,
}

/// What a field is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Part {
    /// The name, the address, the identity, or a setting.
    #[serde(rename = "k")]
    Key,
    /// A label that stands in a table of labels.
    #[serde(rename = "l")]
    Label,
    /// A label that stands beside the keys, as in a column of its own.
    #[serde(rename = "c")]
    Column,
}

impl Entry {
    pub(super) fn new(file: &Arc<str>, line: Option<usize>) -> Self {
        Self { file: Arc::clone(file), line, number: None, fields: Vec::new() }
    }

    /// Adds a text under a name: a key where it is one, else a label.
    pub(super) fn push(&mut self, key: &str, text: impl Into<String>) {
        let part = if is_key(key) { Part::Key } else { Part::Column };
        self.add(part, key, None, Scalar::Cell(text.into()));
    }

    pub(super) fn add(&mut self, part: Part, key: &str, line: Option<usize>, value: Scalar) {
        self.fields.push(Field { key: known(key), part, line, value });
    }

    /// The field of that name; a key goes before a label.
    pub(super) fn field(&self, key: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.key == key)
    }

    /// The text of a field, where it is one text.
    pub(super) fn text(&self, key: &str) -> Option<Cow<'_, str>> {
        self.field(key).and_then(|field| text_of(&field.value))
    }

    /// The value of a key.
    pub(super) fn key(&self, key: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.part == Part::Key && field.key == key)
    }

    /// What it is called in messages: by its name, or by its number.
    pub(super) fn title(&self) -> String {
        match (self.text("name"), self.number) {
            (Some(name), _) => format!("device {}", shown_text(&name)),
            (None, Some(number)) => format!("device #{number}"),
            (None, None) => "device".to_owned(),
        }
    }

    /// Its place in messages.
    pub(super) fn place(&self) -> String {
        match self.line {
            Some(line) => format!("{}:{line}", self.file),
            None => self.file.to_string(),
        }
    }
}

impl Field {
    /// What it is called in messages, behind the title of its entry.
    pub(super) fn path(&self, title: &str) -> String {
        let bare = |b: u8| b.is_ascii_alphanumeric() || b"_-".contains(&b);
        let key = if !self.key.is_empty() && self.key.bytes().all(bare) {
            Cow::Borrowed(self.key.as_ref())
        } else {
            Cow::Owned(shown_text(&self.key))
        };
        match self.part {
            Part::Label => format!("{title}: labels.{key}"),
            Part::Key | Part::Column => format!("{title}: {key}"),
        }
    }
}

/// The text of a value where it is one text, also of numbers and of `true` and `false`.
pub(super) fn text_of(value: &Scalar) -> Option<Cow<'_, str>> {
    match value {
        Scalar::Text(text) | Scalar::Cell(text) => Some(Cow::Borrowed(text)),
        Scalar::Number(number) => Some(Cow::Owned(number.to_string())),
        Scalar::Boolean(yes) => Some(Cow::Borrowed(if *yes { "true" } else { "false" })),
        Scalar::List(_) | Scalar::Other { .. } => None,
    }
}

/// Whether a name is a key of an entry, not a label.
pub(super) fn is_key(name: &str) -> bool {
    OWN_KEYS.contains(&name) || DEVICE_KEYS.contains(&name)
}

/// The key without an allocation where it is one that every inventory has: there are hundreds of thousands of them.
fn known(key: &str) -> Cow<'static, str> {
    const COMMON: [&str; 6] = ["site", "role", "rack", "region", "tenant", "status"];
    let all = OWN_KEYS.iter().chain(&DEVICE_KEYS).chain(&COMMON);
    all.copied().find(|name| *name == key).map_or_else(|| Cow::Owned(key.to_owned()), Cow::Borrowed)
}
