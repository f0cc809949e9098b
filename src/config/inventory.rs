//! `[[inventory]]`: where devices come from.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::Surroundings;
use super::relabel::rules;
use super::sweeps::non_empty;
use crate::document::{Item, Section};
use crate::source::{Source, SourceKind};

/// The keys of every source.
const COMMON: [&str; 6] = ["type", "name", "interval", "timeout", "max_shrink", "relabel"];

const KINDS: &str = "\"file\" or \"folder\"";

/// A watched file is looked at when it changes; this is for file systems that don't tell, such as NFS.
const FILE_INTERVAL: Duration = Duration::from_secs(300);

/// A second is a test's; a list that may be a month old is nobody's inventory.
const INTERVALS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(30 * 86_400);

const TIMEOUT: Duration = Duration::from_secs(30);
const TIMEOUTS: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(3600);

/// The part of a list that may be missing at once, in percent (rule 18).
const MAX_SHRINK: u8 = 20;

/// Each `[[inventory]]`; each name once.
pub(super) fn sources(
    root: &Section<'_>,
    around: &Surroundings<'_>,
    _warnings: &mut Vec<String>,
) -> Vec<Source> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut sources = Vec::new();
    for table in root.sections("inventory") {
        let Some((source, item)) = source(&table, around) else { continue };
        match seen.get(&source.name) {
            Some(first) => {
                item.refuse(
                    "is named twice",
                    &format!("the first one stands on line {first}; name tells them apart"),
                );
            }
            None => {
                seen.insert(source.name.clone(), source.line);
                sources.push(source);
            }
        }
    }
    sources
}

/// A source, and the value that it is called by.
fn source<'d>(table: &Section<'d>, around: &Surroundings<'_>) -> Option<(Source, Item<'d>)> {
    let kind = table.require("type", KINDS)?;
    let (kind, item, own) = match kind.text()? {
        "file" => {
            let (path, item) = path(table, around, "path = \"devices.toml\" or \"devices.csv\"")?;
            if !path.extension().is_some_and(|ending| OWN_FORM.iter().any(|own| ending == *own)) {
                item.refuse("is of no known format", "a file that ends in .toml, .csv, .json, .yaml or .yml");
                return None;
            }
            (SourceKind::File { path }, item, &["path"][..])
        }
        "folder" => {
            let (path, item) = path(table, around, "path = \"devices.d\"")?;
            (SourceKind::Folder { path }, item, &["path"][..])
        }
        _ => {
            kind.refuse("is not a kind of inventory", KINDS);
            return None;
        }
    };
    let keys: Vec<&str> = COMMON.into_iter().chain(own.iter().copied()).collect();
    table.only(&keys);
    let named = table.get("name");
    let name = match &named {
        Some(item) => non_empty(item)?,
        None => item.as_text()?,
    };
    let duration =
        |key: &str, range, default| table.get(key).and_then(|item| item.duration(range)).unwrap_or(default);
    let shrink = table.get("max_shrink").and_then(|item| item.number(0..=100));
    let source = Source {
        name: name.to_owned(),
        kind,
        interval: duration("interval", &INTERVALS, FILE_INTERVAL),
        timeout: duration("timeout", &TIMEOUTS, TIMEOUT),
        max_shrink: shrink.and_then(|percent| u8::try_from(percent).ok()).unwrap_or(MAX_SHRINK),
        relabel: rules(table),
        file: table.document().name().to_owned(),
        line: item.line(),
        key: item.path().to_owned(),
    };
    Some((source, named.unwrap_or(item)))
}

/// The endings of versweep's own form.
const OWN_FORM: [&str; 5] = ["toml", "csv", "json", "yaml", "yml"];

fn path<'d>(table: &Section<'d>, around: &Surroundings<'_>, allowed: &str) -> Option<(PathBuf, Item<'d>)> {
    let item = table.require("path", allowed)?;
    let text = non_empty(&item)?;
    Some((around.folder.join(text), item))
}
