//! An inventory in TOML: one `[[device]]` each.

use std::sync::Arc;

use super::entry::{Entry, OWN_KEYS, Part};
use crate::document::{Document, Section};
use crate::settings::DEVICE_KEYS;

/// The keys that a device may have.
pub(super) fn keys() -> Vec<&'static str> {
    OWN_KEYS.into_iter().chain(["labels"]).chain(DEVICE_KEYS).collect()
}

pub(super) fn read(document: &Document<'_>, file: &Arc<str>, entries: &mut Vec<Entry>) {
    let Some(table) = document.parse() else { return };
    let root = document.root(Some(&table));
    root.only(&["device"]);
    let keys = keys();
    for (index, device) in root.sections("device").into_iter().enumerate() {
        device.only(&keys);
        entries.push(entry(&device, file, index + 1));
    }
}

fn entry(device: &Section<'_>, file: &Arc<str>, number: usize) -> Entry {
    let mut entry = Entry { number: Some(number), ..Entry::new(file, device.line()) };
    for (key, item) in device.items() {
        if super::entry::is_key(key) {
            entry.add(Part::Key, key, Some(item.line()), item.scalar());
        }
    }
    for (key, item) in device.section("labels").items() {
        entry.add(Part::Label, key, Some(item.line()), item.scalar());
    }
    entry
}
