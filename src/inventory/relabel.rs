//! Relabelling: what a source's own words become before anybody else sees them.

use std::borrow::Cow;

use super::entry::{Entry, Field, Part, is_key, text_of};
use crate::document::Scalar;
use crate::source::Rule;

/// Fields whose name begins so are a source's own; what no rule took up of them is gone when the rules are done.
const OF_THE_SOURCE: &str = "__";

/// Applies the rules in their order.
///
/// # Errors
/// Why the entry is dropped.
pub(super) fn apply(rules: &[Rule], entry: &mut Entry) -> Result<(), String> {
    for rule in rules {
        step(rule, entry)?;
    }
    entry.fields.retain(|field| !field.key.starts_with(OF_THE_SOURCE));
    Ok(())
}

fn step(rule: &Rule, entry: &mut Entry) -> Result<(), String> {
    match rule {
        Rule::Keep { field, pattern } => {
            let value = value(entry, field);
            if !pattern.matches(&value) {
                return Err(format!("relabel: {field} is {value:?}, which is not kept"));
            }
        }
        Rule::Drop { field, pattern } => {
            let value = value(entry, field);
            if pattern.matches(&value) {
                return Err(format!("relabel: {field} is {value:?}, which is dropped"));
            }
        }
        Rule::Rename { field, to } => rename(entry, field, to),
        Rule::Remove { field } => entry.fields.retain(|other| other.key != *field),
        Rule::Map { field, values } => {
            let to = values.get(value(entry, field).as_ref()).cloned();
            if let Some(to) = to {
                set(entry, field, to);
            }
        }
        Rule::Set { field, from, pattern, value: template } => {
            if let Some(made) = pattern.expand(&value(entry, from), template) {
                set(entry, field, made);
            }
        }
    }
    Ok(())
}

fn value<'e>(entry: &'e Entry, field: &str) -> Cow<'e, str> {
    entry.field(field).and_then(|field| text_of(&field.value)).unwrap_or_default()
}

fn rename(entry: &mut Entry, field: &str, to: &str) {
    let Some(at) = entry.fields.iter().position(|other| other.key == *field) else { return };
    let mut moved = entry.fields.remove(at);
    entry.fields.retain(|other| other.key != *to);
    moved.part = part(to);
    moved.key = Cow::Owned(to.to_owned());
    // A number or a list of another program's is a text under a name of ours.
    if let (Part::Column, Some(text)) = (moved.part, text_of(&moved.value)) {
        moved.value = Scalar::Cell(text.into_owned());
    }
    entry.fields.push(moved);
}

/// Sets a field; an empty text takes it away.
fn set(entry: &mut Entry, field: &str, text: String) {
    if text.is_empty() {
        entry.fields.retain(|other| other.key != *field);
        return;
    }
    let value = Scalar::Cell(text);
    match entry.fields.iter_mut().find(|other| other.key == *field) {
        Some(present) => present.value = value,
        None => {
            let key = Cow::Owned(field.to_owned());
            entry.fields.push(Field { key, part: part(field), line: None, value });
        }
    }
}

fn part(key: &str) -> Part {
    if is_key(key) { Part::Key } else { Part::Column }
}
