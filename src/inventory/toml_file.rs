//! An inventory in TOML: one `[[device]]` each.

use super::row::{Reader, Row};
use crate::document::{Document, Section};
use crate::settings::DEVICE_KEYS;

/// The keys of a device besides its settings.
const OWN_KEYS: [&str; 3] = ["name", "address", "labels"];

pub(super) fn read<'d>(document: &Document<'d>, reader: &mut Reader<'_>) {
    let Some(table) = document.parse() else { return };
    let root = document.root(Some(&table));
    root.only(&["device"]);
    let keys: Vec<&str> = OWN_KEYS.into_iter().chain(DEVICE_KEYS).collect();
    for device in root.sections("device") {
        device.only(&keys);
        reader.take(&row(&device));
    }
}

fn row<'s>(device: &'s Section<'s>) -> Row<'s, impl Fn(&str) -> Option<crate::document::Item<'s>>> {
    Row {
        document: device.document(),
        line: device.line().unwrap_or_default(),
        path: device.path().to_owned(),
        get: |key: &str| device.get(key),
        labels: device.section("labels").items(),
    }
}
