//! The two parts of an index: what the inventory says, which changes at a refresh, and what is known, which changes with
//! every visit.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::column::Column;
use crate::http::view::{platform, shown};
use crate::known::{DeviceState, Snapshot};

/// What stands between the texts of a device: nothing that is shown holds it.
const BETWEEN: char = '\0';

/// The devices that have a label, by its name and value.
#[derive(Debug, Default)]
pub(super) struct Labels(BTreeMap<String, HashMap<String, Vec<u32>>>);

impl Labels {
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        let mut labels = Self::default();
        for (place, state) in (0..).zip(&snapshot.devices) {
            for (name, value) in state.device.labels.iter() {
                let values = match labels.0.get_mut(name) {
                    Some(values) => values,
                    None => labels.0.entry(name.to_owned()).or_default(),
                };
                match values.get_mut(value) {
                    Some(places) => places.push(place),
                    None => drop(values.insert(value.to_owned(), vec![place])),
                }
            }
        }
        labels
    }

    /// The places of the devices that have the label with that value.
    pub(super) fn places(&self, name: &str, value: &str) -> &[u32] {
        self.0.get(name).and_then(|values| values.get(value)).map_or(&[], Vec::as_slice)
    }
}

/// What is known, by place.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) platform: Column,
    pub(super) model: Column,
    pub(super) version: Column,
    pub(super) serial: Column,
    pub(super) state: Column,
    pub(super) failure: Column,
    pub(super) address: Column,
    /// Microseconds since 1970, or the lowest number where there was none.
    pub(super) last_visit: Vec<i64>,
    pub(super) last_success: Vec<i64>,
    pub(super) last_version_change: Vec<i64>,
    pub(super) failures: Vec<i64>,
    /// All that a search looks at, in lower case.
    pub(super) search: Vec<Arc<str>>,
}

impl Facts {
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        let places = snapshot.devices.len();
        let (column, numbers) = (|| Column::new(places), || vec![i64::MIN; places]);
        let nothing: Arc<str> = "".into();
        let mut facts = Self {
            platform: column(),
            model: column(),
            version: column(),
            serial: column(),
            state: column(),
            failure: column(),
            address: column(),
            last_visit: numbers(),
            last_success: numbers(),
            last_version_change: numbers(),
            failures: numbers(),
            search: vec![nothing; places],
        };
        for (place, state) in snapshot.devices.iter().enumerate() {
            facts.set(place, state);
        }
        facts
    }

    /// Takes a later snapshot of the same devices.
    pub(super) fn update(&mut self, before: &Snapshot, after: &Snapshot) {
        for (place, (old, new)) in before.devices.iter().zip(&after.devices).enumerate() {
            if !Arc::ptr_eq(old, new) {
                self.set(place, new);
            }
        }
    }

    fn set(&mut self, place: usize, state: &DeviceState) {
        let (device, known) = (&state.device, &state.known);
        let facts = known.facts.as_ref();
        let read = facts.map(|known| &known.reading.facts);
        let failure = known.visit.as_ref().and_then(|visit| visit.failure.as_ref());
        let text = |text: Option<&String>| text.map(|text| shown(text)).unwrap_or_default();
        let texts = [
            (&mut self.platform, shown(platform(state))),
            (&mut self.model, text(read.and_then(|facts| facts.model.as_ref()))),
            (&mut self.version, read.map(|facts| shown(facts.version.as_str())).unwrap_or_default()),
            (&mut self.serial, text(read.and_then(|facts| facts.serial.as_ref()))),
            (&mut self.address, shown(&device.endpoint.host)),
            (&mut self.failure, failure.map_or("", |failure| failure.kind.as_str()).to_owned()),
        ];
        let mut search = String::from(device.id.as_str());
        for (column, text) in texts {
            column.set(place, &text);
            search.push(BETWEEN);
            search.push_str(&text);
        }
        for (_, value) in device.labels.iter() {
            search.push(BETWEEN);
            search.push_str(&shown(value));
        }
        self.search[place] = search.to_lowercase().into();
        self.state.set(place, known.reach().as_str());
        let micros = |at: Option<crate::clock::Timestamp>| at.map_or(i64::MIN, |at| at.timestamp_micros());
        self.last_visit[place] = micros(known.visit.as_ref().map(|visit| visit.at));
        self.last_success[place] = micros(facts.map(|facts| facts.seen_at));
        self.last_version_change[place] = micros(known.last_version_change);
        self.failures[place] = i64::from(known.consecutive_failures);
    }

    /// Whether so many texts went by that it is better made anew.
    pub(super) fn is_worn(&self) -> bool {
        [&self.platform, &self.model, &self.version, &self.serial, &self.address].iter().any(|c| c.is_worn())
    }
}

/// Whether both have the same devices in the same places, as the inventory gave them.
pub(super) fn same_devices(a: &Snapshot, b: &Snapshot) -> bool {
    a.devices.len() == b.devices.len()
        && a.devices
            .iter()
            .zip(&b.devices)
            .all(|(a, b)| Arc::ptr_eq(a, b) || Arc::ptr_eq(&a.device, &b.device))
}
