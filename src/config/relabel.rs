//! `relabel` of an `[[inventory]]`: what is done with its entries.

use std::collections::BTreeMap;

use super::sweeps::non_empty;
use crate::document::{Item, Section};
use crate::settings::{RESERVED_LABELS, check_label_name};
use crate::source::{Pattern, Rule};

const ACTIONS: [&str; 6] = ["keep", "drop", "rename", "remove", "map", "set"];

/// The rules in the order in which they stand.
pub(super) fn rules(table: &Section<'_>) -> Vec<Rule> {
    let steps = table
        .get("relabel")
        .and_then(|item| item.elements("a list of steps, such as { keep = { role = \"core\" } }"));
    let mut rules = Vec::new();
    for step in steps.unwrap_or_default() {
        let Some(step) = step.section() else { continue };
        step.only(&ACTIONS);
        let mut actions = step.items().into_iter();
        match (actions.next(), actions.next()) {
            (Some((action, item)), None) if ACTIONS.contains(&action) => read(action, &item, &mut rules),
            (Some(_), None) => {}
            _ => step.refuse("is not one step", &format!("one of {}", ACTIONS.join(", "))),
        }
    }
    rules
}

fn read(action: &str, item: &Item<'_>, rules: &mut Vec<Rule>) {
    if action == "remove" {
        for (item, field) in item.texts().unwrap_or_default() {
            rules.extend(source_field(&item, field).map(|field| Rule::Remove { field }));
        }
        return;
    }
    let Some(table) = item.section() else { return };
    if action == "set" {
        rules.extend(set(&table));
        return;
    }
    for (field, item) in table.items() {
        let Some(field) = source_field(&item, field) else { continue };
        rules.extend(match action {
            "keep" => pattern(&item).map(|pattern| Rule::Keep { field, pattern }),
            "drop" => pattern(&item).map(|pattern| Rule::Drop { field, pattern }),
            "rename" => item.text().and_then(|to| our_field(&item, to)).map(|to| Rule::Rename { field, to }),
            _ => values(&item).map(|values| Rule::Map { field, values }),
        });
    }
}

fn set(table: &Section<'_>) -> Option<Rule> {
    table.only(&["field", "from", "match", "value"]);
    let field = table.require("field", "the field that is made")?;
    let field = our_field(&field, field.text()?)?;
    let value = table.require("value", "what it becomes; \"\" takes it away")?.text()?.to_owned();
    let from = match table.get("from") {
        Some(item) => source_field(&item, item.text()?)?,
        None => field.clone(),
    };
    let pattern = match table.get("match") {
        Some(item) => pattern(&item)?,
        // Everything, of any number of lines.
        None => Pattern::new("(?s).*").ok()?,
    };
    Some(Rule::Set { field, from, pattern, value })
}

fn pattern(item: &Item<'_>) -> Option<Pattern> {
    match Pattern::new(item.text()?) {
        Ok(pattern) => Some(pattern),
        Err(problem) => {
            item.refuse("is not a regular expression", &problem);
            None
        }
    }
}

fn values(item: &Item<'_>) -> Option<BTreeMap<String, String>> {
    let pairs = item.section()?.items();
    let pairs = pairs.into_iter().map(|(from, to)| Some((from.to_owned(), to.text()?.to_owned())));
    pairs.collect()
}

/// A field as a source may call it.
fn source_field(item: &Item<'_>, name: &str) -> Option<String> {
    if name.is_empty() || name.len() > 128 || name.chars().any(char::is_control) {
        item.refuse("is not the name of a field", "1 to 128 bytes without control characters");
        return None;
    }
    Some(name.to_owned())
}

/// A field as it may be called here: a key of a device, or a label; one with two underscores lasts for later rules only.
pub(super) fn our_field(item: &Item<'_>, name: &str) -> Option<String> {
    let plain = name.trim_start_matches('_');
    let reserved = RESERVED_LABELS.contains(&name) && name != "address" && name != "platform";
    if reserved || check_label_name(plain).is_err() {
        item.refuse("can't be a field", "name, address, id, a key of a device, or the name of a label");
        return None;
    }
    non_empty(item)?;
    Some(name.to_owned())
}
