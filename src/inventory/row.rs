//! One device, from a table or a row: the checks that do not depend on the format.

use std::collections::btree_map::Entry;
use std::sync::Arc;

use super::{Found, host_from};
use crate::device::{DeviceId, Labels};
use crate::document::{Document, Item, Problem};
use crate::duration::HumanDuration;
use crate::settings::{DeviceSettings, Layers, RESERVED_LABELS, References, check_label_name};

/// The longest value of a label: it stands on every series of the device.
const LABEL_VALUE_MAX: usize = 256;

/// What rows are read with, and where the devices go.
pub(super) struct Reader<'a> {
    pub(super) layers: &'a Layers,
    pub(super) references: &'a References<'a>,
    pub(super) found: &'a mut Found,
}

/// One device as it stands in a file.
pub(super) struct Row<'d, F: Fn(&str) -> Option<Item<'d>>> {
    pub(super) document: &'d Document<'d>,
    /// The line it begins on.
    pub(super) line: usize,
    /// What it is called in messages: its name, or its number.
    pub(super) path: String,
    /// The value of a key.
    pub(super) get: F,
    pub(super) labels: Vec<(&'d str, Item<'d>)>,
}

impl<'d, F: Fn(&str) -> Option<Item<'d>>> Row<'d, F> {
    fn refuse(&self, problem: &str, allowed: &str) {
        self.document.note(Problem {
            line: Some(self.line),
            key: self.path.clone(),
            problem: problem.to_owned(),
            allowed: allowed.to_owned(),
            ..Problem::default()
        });
    }

    fn name(&self) -> Option<DeviceId> {
        let Some(item) = (self.get)("name") else {
            self.refuse("has no name", "a name of its own, which stays the same for ever");
            return None;
        };
        match DeviceId::new(item.text()?) {
            Ok(id) => Some(id),
            Err(error) => {
                item.refuse("is not a name", &error.to_string());
                None
            }
        }
    }

    /// Where to connect: the address, or the name where there is none.
    fn host(&self) -> Option<String> {
        let item = (self.get)("address").or_else(|| (self.get)("name"))?;
        match host_from(item.text()?) {
            Ok(host) => Some(host),
            Err(problem) => {
                item.refuse(problem, "a host name or an IP address; a port is given as port");
                None
            }
        }
    }

    fn labels(&self) -> Labels {
        let good = |(name, item): &(&str, Item<'_>)| {
            let value = item.text()?;
            if value.len() > LABEL_VALUE_MAX || value.chars().any(char::is_control) {
                item.refuse("can't be a label", "at most 256 bytes without control characters");
                return None;
            }
            check_label(name, item).then(|| ((*name).to_owned(), value.to_owned()))
        };
        self.labels.iter().filter_map(good).collect()
    }
}

/// Whether a label may have this name; a problem is noted otherwise.
pub(super) fn check_label(name: &str, item: &Item<'_>) -> bool {
    if let Err(rule) = check_label_name(name) {
        item.refuse_hidden("is not a label name", &rule.to_string());
        return false;
    }
    if RESERVED_LABELS.contains(&name) {
        item.refuse_hidden("can't be a label", "another name: this one stands for the device itself");
        return false;
    }
    true
}

impl Reader<'_> {
    /// Resolves a row and takes its device in, unless something is wrong with it.
    pub(super) fn take<'d, F: Fn(&str) -> Option<Item<'d>>>(&mut self, row: &Row<'d, F>) {
        let name = row.name();
        // Without a name, the name can't stand in for the address; that would be told twice.
        let host = if name.is_some() || (row.get)("address").is_some() { row.host() } else { None };
        let labels = row.labels();
        let before = row.document.problem_count();
        let own = DeviceSettings::read(&row.get, self.references, None);
        let broken = row.document.problem_count() > before;

        let Some(id) = name else { return };
        let here = format!("{}:{}", row.document.name(), row.line);
        match self.found.places.entry(id.clone()) {
            Entry::Occupied(first) => {
                row.refuse("is named twice", &format!("the first one stands at {}", first.get()));
                return;
            }
            Entry::Vacant(place) => drop(place.insert(here)),
        }
        let Some(host) = host else { return };
        match self.layers.resolve(id.clone(), host, labels, own.clone()) {
            Ok(device) => {
                if let Some(item) = own.longer_than(device.timeouts.visit).and_then(&row.get)
                    && own.timeout.is_none()
                {
                    let allowed =
                        format!("at most \"{}\", or a longer timeout", HumanDuration(device.timeouts.visit));
                    item.refuse("is longer than the timeout of the whole visit", &allowed);
                }
                self.found.devices.insert(id, Arc::new(device));
            }
            Err(_) if self.layers.incomplete || broken => {}
            Err(missing) => {
                row.refuse(&missing.to_string(), missing.remedy());
            }
        }
    }
}
