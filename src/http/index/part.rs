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
            facts.set_texts(place, state);
            facts.set_numbers(place, state);
        }
        facts
    }

    /// Takes a later snapshot of the same devices.
    pub(super) fn update(&mut self, before: &Snapshot, after: &Snapshot) {
        for (place, (old, new)) in before.devices.iter().zip(&after.devices).enumerate() {
            if !Arc::ptr_eq(old, new) {
                // Most visits find what was known, and cost nothing here but some numbers.
                if !has_same_texts(old, new) {
                    self.set_texts(place, new);
                }
                self.set_numbers(place, new);
            }
        }
    }

    fn set_texts(&mut self, place: usize, state: &DeviceState) {
        let (device, known) = (&state.device, &state.known);
        let read = known.facts.as_ref().map(|known| &known.reading.facts);
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
    }

    /// What moves with every visit, and the state, which is no text that is searched.
    fn set_numbers(&mut self, place: usize, state: &DeviceState) {
        let known = &state.known;
        self.state.set(place, known.reach().as_str());
        let micros = |at: Option<crate::clock::Timestamp>| at.map_or(i64::MIN, |at| at.timestamp_micros());
        self.last_visit[place] = micros(known.visit.as_ref().map(|visit| visit.at));
        self.last_success[place] = micros(known.facts.as_ref().map(|facts| facts.seen_at));
        self.last_version_change[place] = micros(known.last_version_change);
        self.failures[place] = i64::from(known.consecutive_failures);
    }

    /// Whether so many texts went by that it is better made anew.
    pub(super) fn is_worn(&self) -> bool {
        [&self.platform, &self.model, &self.version, &self.serial, &self.address].iter().any(|c| c.is_worn())
    }
}

/// Whether two states of one device read the same in all that is filtered, searched and sorted as text.
fn has_same_texts(a: &DeviceState, b: &DeviceState) -> bool {
    fn texts(state: &DeviceState) -> [Option<&str>; 5] {
        let facts = state.known.facts.as_ref().map(|facts| &facts.reading.facts);
        let failure = state.known.visit.as_ref().and_then(|visit| visit.failure.as_ref());
        [
            Some(platform(state)),
            facts.map(|facts| facts.version.as_str()),
            facts.and_then(|facts| facts.model.as_deref()),
            facts.and_then(|facts| facts.serial.as_deref()),
            failure.map(|failure| failure.kind.as_str()),
        ]
    }
    texts(a) == texts(b)
}

/// Whether both have the same devices in the same places, as the inventory gave them.
pub(super) fn same_devices(a: &Snapshot, b: &Snapshot) -> bool {
    a.devices.len() == b.devices.len()
        && a.devices
            .iter()
            .zip(&b.devices)
            .all(|(a, b)| Arc::ptr_eq(a, b) || Arc::ptr_eq(&a.device, &b.device))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::Timestamp;
    use crate::device::{
        CredentialId, Device, DeviceId, Endpoint, HostKeyPolicy, PlatformChoice, PlatformKey, Route,
        SshAlgorithms, Timeouts,
    };
    use crate::facts::{Facts as Read, Reading};
    use crate::failure::{Failure, FailureKind, Stage};
    use crate::known::{Known, KnownFacts, LastVisit};
    use crate::version::Version;

    fn device() -> Arc<Device> {
        let limit = Duration::from_secs(30);
        Arc::new(Device {
            id: DeviceId::new("r1").unwrap(),
            endpoint: Endpoint { host: "10.0.0.1".into(), port: 22 },
            route: Route::Direct,
            platform: PlatformChoice::Auto,
            credential: CredentialId::new("lab").unwrap(),
            host_keys: HostKeyPolicy::Learn,
            algorithms: SshAlgorithms::Modern,
            timeouts: Timeouts { visit: limit, connect: limit, login: limit, command: limit },
            identity: None,
            labels: [("site".to_owned(), "ams".to_owned())].into_iter().collect(),
        })
    }

    fn answered(minute: i64, platform: &str, texts: [Option<&str>; 3]) -> Known {
        let at = Timestamp::UNIX_EPOCH + chrono::Duration::minutes(minute);
        let [version, model, serial] = texts;
        let facts = Read {
            version: Version::new(version.unwrap_or("1")),
            model: model.map(Into::into),
            serial: serial.map(Into::into),
            hostname: None,
            image: None,
            uptime: None,
            more: None,
        };
        let reading =
            Reading { platform: PlatformKey::new(platform), revision: 1, pattern: "version".into(), facts };
        Known {
            facts: Some(KnownFacts { reading, seen_at: at, version_since: at, boot_time: None }),
            visit: Some(LastVisit { at, took: Duration::from_secs(1), failure: None }),
            ..Known::default()
        }
    }

    fn refused(known: &Known) -> Known {
        let failure = Failure::new(FailureKind::Auth, Stage::Connect, "no");
        let visit = known.visit.clone().map(|visit| LastVisit { failure: Some(failure), ..visit });
        Known { visit, consecutive_failures: 1, ..known.clone() }
    }

    #[test]
    fn an_index_that_follows_is_the_one_that_is_made_anew() {
        let first = answered(1, "linux", [None; 3]);
        let known = [
            Known::default(),
            first.clone(),
            answered(2, "linux", [None; 3]),
            answered(3, "linux", [Some("2"), None, None]),
            answered(4, "linux", [Some("2"), Some("box"), None]),
            answered(5, "linux", [Some("2"), Some("box"), Some("S1")]),
            answered(6, "frr", [Some("2"), Some("box"), Some("S1")]),
            refused(&first),
            Known { unreachable: true, ..refused(&first) },
            Known { last_version_change: Some(Timestamp::UNIX_EPOCH), ..first },
            Known::default(),
        ];
        let device = device();
        let snapshot = |known: &Known| Snapshot {
            devices: vec![Arc::new(DeviceState { device: Arc::clone(&device), known: known.clone() })],
            ..Snapshot::default()
        };
        let mut facts = Facts::of(&snapshot(&known[0]));
        for pair in known.windows(2) {
            facts.update(&snapshot(&pair[0]), &snapshot(&pair[1]));
            let anew = Facts::of(&snapshot(&pair[1]));
            let texts = |facts: &Facts| {
                let columns = [
                    &facts.platform,
                    &facts.model,
                    &facts.version,
                    &facts.serial,
                    &facts.state,
                    &facts.failure,
                    &facts.address,
                ];
                (columns.map(|column| column.text(0).to_string()), facts.search.clone())
            };
            let numbers = |facts: &Facts| {
                [&facts.last_visit, &facts.last_success, &facts.last_version_change, &facts.failures]
                    .map(|numbers| numbers[0])
            };
            assert_eq!(texts(&facts), texts(&anew));
            assert_eq!(numbers(&facts), numbers(&anew));
        }
    }
}
