//! `router.db`, the device list of RANCID and of Oxidized: a device a line, in columns.

use std::sync::Arc;

use super::Dropped;
use super::entry::Entry;
use crate::source::{Dialect, RouterDb};

/// Reads the lines. Columns without a name are never looked at: passwords stand in some.
pub(super) fn read(
    text: &str,
    form: &RouterDb,
    file: &Arc<str>,
    entries: &mut Vec<Entry>,
    dropped: &mut Vec<Dropped>,
) {
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let delimiter = form.delimiter.unwrap_or_else(|| usual_delimiter(form.dialect, line));
        let mut entry = Entry::new(file, Some(index + 1));
        for (column, cell) in form.columns.iter().zip(line.split(delimiter)) {
            let cell = cell.trim();
            if !column.is_empty() && !cell.is_empty() {
                entry.push(column, cell);
            }
        }
        // RANCID looks only at those that are up; the word behind it says why others are not.
        let state = entry.text(STATE).map(|state| state.to_ascii_lowercase());
        match (form.dialect, state.as_deref()) {
            (Dialect::Rancid, Some("up")) | (Dialect::Oxidized, _) => entries.push(entry),
            (Dialect::Rancid, state) => {
                let why = format!("its state is {:?}, not \"up\"", state.unwrap_or_default());
                dropped.push(Dropped::asked(&entry, why));
            }
        }
    }
}

/// The column that says whether RANCID looks at a device.
pub(super) const STATE: &str = "__state";

/// RANCID has a semicolon since 3.0, so that addresses of IPv6 fit in, and had a colon before.
fn usual_delimiter(dialect: Dialect, line: &str) -> char {
    match dialect {
        Dialect::Rancid if line.contains(';') => ';',
        Dialect::Rancid | Dialect::Oxidized => ':',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(dialect: Dialect, columns: &[&str]) -> RouterDb {
        RouterDb { dialect, delimiter: None, columns: columns.iter().map(ToString::to_string).collect() }
    }

    #[test]
    fn lines_of_rancid() {
        let text = "# ours\ncore1.ams;cisco-xr;up\n\nold;cisco;down;decommissioned\n2001:db8::1;juniper;up;x\nedge:cisco:up\nhalf;cisco\n";
        let (mut entries, mut dropped) = (Vec::new(), Vec::new());
        let form = form(Dialect::Rancid, &["name", "platform", STATE]);
        read(text, &form, &Arc::from("router.db"), &mut entries, &mut dropped);
        let names: Vec<_> = entries.iter().map(|entry| entry.text("name").unwrap().into_owned()).collect();
        assert_eq!(names, ["core1.ams", "2001:db8::1", "edge"]);
        let told: Vec<_> = dropped.iter().map(|d| format!("{} {}: {}", d.place, d.title, d.why)).collect();
        assert_eq!(
            told,
            [
                "router.db:4 device \"old\": its state is \"down\", not \"up\"",
                "router.db:7 device \"half\": its state is \"\", not \"up\""
            ]
        );
    }

    #[test]
    fn lines_of_oxidized_without_their_passwords() {
        let text = "core1.ams:iosxr:admin:planted:ams\n192.0.2.2:junos:admin:planted\n";
        let (mut entries, mut dropped) = (Vec::new(), Vec::new());
        let form = form(Dialect::Oxidized, &["name", "platform", "", "", "site"]);
        read(text, &form, &Arc::from("router.db"), &mut entries, &mut dropped);
        assert_eq!(entries[0].text("site").as_deref(), Some("ams"));
        assert_eq!((entries.len(), dropped.len()), (2, 0));
        assert!(!format!("{entries:?}").contains("planted"));
    }
}
