//! An inventory in JSON or YAML: a list of devices, or a table with one under `device`, each as in TOML.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use serde_saphyr::{Budget, Spanned};

use super::entry::{Entry, Part, is_key};
use super::toml_file::keys;
use crate::document::{Document, Problem, Scalar, shown_text};

/// What a million devices come to; the parser's own limits are for configuration files. Aliases stay as few as it wants
/// them, for they are what small files grow by.
const YAML_NODES: usize = 100_000_000;

const FORM: &str = "a list of devices, or a table with that list under device";

pub(super) fn read_json(document: &Document<'_>, file: &Arc<str>, entries: &mut Vec<Entry>) {
    let text = document.text();
    let raw: Vec<&RawValue> = match serde_json::from_str(text) {
        Ok(list) => list,
        Err(error) => match serde_json::from_str::<Wrapped<'_>>(text) {
            Ok(wrapped) => wrapped.device,
            Err(_) => return refuse_json(document, &error),
        },
    };
    let mut lines = Lines::new(text);
    for (index, raw) in raw.into_iter().enumerate() {
        let line = lines.of(raw.get());
        // A piece of a text that is JSON is JSON itself.
        if let Ok(value) = serde_json::from_str(raw.get()) {
            entries.extend(entry(document, file, line, index + 1, value));
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wrapped<'a> {
    #[serde(borrow)]
    device: Vec<&'a RawValue>,
}

fn refuse_json(document: &Document<'_>, error: &serde_json::Error) {
    let problem = match error.classify() {
        serde_json::error::Category::Data => format!("is not {FORM}"),
        _ => format!("not valid json: {}", plain(error)),
    };
    document.note(Problem {
        line: Some(error.line()),
        column: Some(error.column()),
        problem,
        ..Problem::default()
    });
}

/// The message without the place, which is told beside it.
pub(super) fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or_default().to_owned()
}

/// Finds the lines of pieces of a text that come in its order.
struct Lines<'a> {
    text: &'a str,
    at: usize,
    line: usize,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, at: 0, line: 1 }
    }

    fn of(&mut self, piece: &str) -> usize {
        let at = (piece.as_ptr() as usize).wrapping_sub(self.text.as_ptr() as usize);
        if let Some(between) = self.text.get(self.at..at) {
            self.line += between.bytes().filter(|byte| *byte == b'\n').count();
            self.at = at;
        }
        self.line
    }
}

pub(super) fn read_yaml(document: &Document<'_>, file: &Arc<str>, entries: &mut Vec<Entry>) {
    let list = match yaml::<Option<Yaml>>(document.text()) {
        Ok(Some(Yaml(list))) => list,
        Ok(None) => return,
        Err((line, problem)) => {
            document.note(Problem { line, problem, ..Problem::default() });
            return;
        }
    };
    for (index, device) in list.into_iter().enumerate() {
        let line = usize::try_from(device.referenced.line()).unwrap_or_default();
        entries.extend(entry(document, file, line, index + 1, device.value));
    }
}

/// A list of devices, or a table with one under `device`.
struct Yaml(Vec<Spanned<Value>>);

impl<'de> Deserialize<'de> for Yaml {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;
        impl<'de> serde::de::Visitor<'de> for Form {
            type Value = Yaml;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(FORM)
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<Yaml, A::Error> {
                let mut devices = Vec::new();
                while let Some(device) = list.next_element()? {
                    devices.push(device);
                }
                Ok(Yaml(devices))
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut table: A) -> Result<Yaml, A::Error> {
                let mut devices = Vec::new();
                while let Some(key) = table.next_key::<String>()? {
                    if key != "device" {
                        return Err(serde::de::Error::custom(format!(
                            "unknown key {key:?}: known here: device"
                        )));
                    }
                    devices = table.next_value()?;
                }
                Ok(Yaml(devices))
            }
        }
        deserializer.deserialize_any(Form)
    }
}

/// Reads a YAML document; an error comes with its line.
pub(super) fn yaml<'de, T: Deserialize<'de>>(text: &'de str) -> Result<T, (Option<usize>, String)> {
    let mut budget = Budget::default();
    budget.max_events = YAML_NODES;
    budget.max_nodes = YAML_NODES;
    budget.max_total_scalar_bytes = text.len().saturating_mul(4).max(1 << 20);
    let mut options = serde_saphyr::Options::default();
    options.budget = Some(budget);
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let line =
            error.location().and_then(|place| usize::try_from(place.line()).ok()).filter(|line| *line > 0);
        // The library's own text repeats lines of the file, and a secret may stand there.
        let message = error.without_snippet().to_string();
        let message = message.lines().next().unwrap_or_default();
        (line, format!("not valid yaml: {}", crate::text::tamed(message, 200)))
    })
}

fn entry(
    document: &Document<'_>,
    file: &Arc<str>,
    line: usize,
    number: usize,
    value: Value,
) -> Option<Entry> {
    let mut entry = Entry { number: Some(number), ..Entry::new(file, Some(line)) };
    let refuse = |key: String, problem: &str, allowed: &str| {
        let (problem, allowed) = (problem.to_owned(), allowed.to_owned());
        document.note(Problem { line: Some(line), key, problem, allowed, ..Problem::default() });
    };
    let Value::Object(table) = value else {
        refuse(entry.title(), "is no table", "name, address and the other keys of a device");
        return None;
    };
    // The name first: messages about the others are told by it.
    let (name, others): (Map<_, _>, Map<_, _>) = table.into_iter().partition(|(key, _)| key == "name");
    for (key, value) in name.into_iter().chain(others) {
        match value {
            Value::Null => {}
            Value::Object(labels) if key == "labels" => {
                for (label, value) in labels.into_iter().filter(|(_, value)| !value.is_null()) {
                    entry.add(Part::Label, &label, None, scalar(value));
                }
            }
            value if is_key(&key) => entry.add(Part::Key, &key, None, scalar(value)),
            _ if key == "labels" => refuse(format!("{}: labels", entry.title()), "must be a table", ""),
            _ => {
                let known = format!("known here: {}", keys().join(", "));
                refuse(format!("{}: {}", entry.title(), bare(&key)), "unknown key", &known);
            }
        }
    }
    Some(entry)
}

fn bare(key: &str) -> String {
    let bare = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
    if bare { key.to_owned() } else { shown_text(key) }
}

/// A value as TOML would have it.
pub(super) fn scalar(value: Value) -> Scalar {
    let other = |kind: &str, shown| Scalar::Other { kind: kind.to_owned(), shown };
    match value {
        Value::Null => other("nothing", None),
        Value::Bool(yes) => Scalar::Boolean(yes),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => Scalar::Number(whole),
            None => other("a number with a point", Some(number.to_string())),
        },
        Value::String(text) => Scalar::Text(text),
        Value::Array(list) => Scalar::List(list.into_iter().map(scalar).collect()),
        Value::Object(_) => other("a table", None),
    }
}
