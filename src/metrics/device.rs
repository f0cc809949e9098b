//! The device part: what is known of each device, and how many devices there are of a kind.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::known::{DeviceState, Reach, Snapshot};
use crate::metrics::family::{self, Family, InPieces, flag, number, seconds, seconds_or_zero};
use crate::metrics::page::{Part, PartWriter};
use crate::metrics::{Cut, RenderError, policy};
use crate::text::tamed;

/// The longest label value from a device, in characters. Versions and models are shorter; what is longer came from a
/// broken answer.
const LABEL_VALUE_MAX: usize = 128;

/// So many devices are taken at a time, through all families with a series per device: what is known of them is read from
/// memory once, and a large fleet's samples are never there all at once.
const PIECE: usize = 256;

/// Label names of `versweep_device_info` that are not free for inventory labels.
const TAKEN: [&str; 5] = ["address", "device", "platform", "role", "site"];

/// What the device part shows.
#[derive(Debug)]
pub(super) struct View {
    /// Inventory labels of the info series with the metric label names that they get.
    info_labels: Vec<(String, String)>,
    per_device: bool,
}

impl View {
    pub(super) fn new(info_labels: &[String], per_device: bool) -> Self {
        let mut taken: BTreeSet<String> = TAKEN.map(str::to_owned).into();
        let named = info_labels.iter().map(|label| (label.clone(), label_name(label)));
        Self { info_labels: named.filter(|(_, name)| taken.insert(name.clone())).collect(), per_device }
    }

    /// Renders and deflates the devices that the cut holds.
    pub(super) fn render(&self, snapshot: &Snapshot, cut: &Cut) -> Result<Part, RenderError> {
        let devices: Vec<&DeviceState> =
            snapshot.devices.iter().map(AsRef::as_ref).filter(|state| cut.holds(state)).collect();
        let mut part = if self.per_device { self.each(&devices)? } else { Part::default() };
        let mut out = PartWriter::new();
        policy::counts(snapshot, &devices).write(&mut out)?;
        counts(&devices).write(&mut out)?;
        versions(&devices).write(&mut out)?;
        part.append(&out.finish()?);
        Ok(part)
    }

    /// Renders the series of one device, also where the page has none per device.
    pub(super) fn render_one(&self, device: &DeviceState) -> Result<Part, RenderError> {
        self.each(&[device])
    }

    /// The families with a series per device. Each is deflated on its own, for their texts grow side by side.
    fn each(&self, devices: &[&DeviceState]) -> Result<Part, RenderError> {
        let mut families: Vec<_> = self.families(&[]).map(|_| InPieces::new(PartWriter::new())).collect();
        for piece in devices.chunks(PIECE) {
            for (piece, family) in self.families(piece).zip(&mut families) {
                family.write(piece)?;
            }
        }
        let mut part = Part::default();
        for family in families {
            part.append(&family.into_inner().finish()?);
        }
        Ok(part)
    }

    /// The families of these devices, always as many and in this order.
    fn families(&self, devices: &[&DeviceState]) -> impl Iterator<Item = Family> {
        let infos = [self.info(devices), version_info(devices), failure_info(devices)];
        let values = EACH_DEVICE.iter().map(|each| each.of(devices));
        infos.into_iter().chain(values).chain([policy::compliant(devices)])
    }

    fn info(&self, devices: &[&DeviceState]) -> Family {
        let mut family = family::gauge(
            "versweep_device_info",
            "The device as the inventory has it; always 1. It does not depend on the last visit.",
        );
        for state in devices {
            let device = &state.device;
            let of = |label: &str| value(device.labels.get(label).unwrap_or(""));
            let (address, site, role) = (value(&device.endpoint.host), of("site"), of("role"));
            let more: Vec<_> =
                self.info_labels.iter().map(|(label, name)| (name.as_str(), of(label))).collect();
            let mut labels = vec![
                ("device", device.id.as_str()),
                ("address", &address),
                ("platform", device.platform.as_str()),
                ("site", &site),
                ("role", &role),
            ];
            labels.extend(more.iter().map(|(name, value)| (*name, value.as_ref())));
            family.sample(&labels, 1.0);
        }
        family
    }
}

/// A family with one unlabelled value per device.
struct EachDevice {
    name: &'static str,
    help: &'static str,
    family: fn(&str, &str) -> Family,
    /// The value; `None` leaves the device out.
    value: fn(&DeviceState) -> Option<f64>,
}

impl EachDevice {
    fn of(&self, devices: &[&DeviceState]) -> Family {
        let mut family = (self.family)(self.name, self.help);
        for state in devices {
            if let Some(value) = (self.value)(state) {
                family.sample(&[("device", state.device.id.as_str())], value);
            }
        }
        family
    }
}

const EACH_DEVICE: [EachDevice; 9] = [
    EachDevice {
        name: "versweep_device_up",
        help: "Whether the last visit was answered; absent before the first visit.",
        family: family::gauge,
        value: |state| state.known.is_up().map(flag),
    },
    EachDevice {
        name: "versweep_device_last_visit_timestamp_seconds",
        help: "When the last visit ended; absent before the first visit.",
        family: family::gauge,
        value: |state| state.known.visit.as_ref().map(|visit| seconds(visit.at)),
    },
    EachDevice {
        name: "versweep_device_last_success_timestamp_seconds",
        help: "When the last visit that was answered ended, 0 if none was; absent before the first visit.",
        family: family::gauge,
        value: |state| {
            let seen = state.known.facts.as_ref().map(|facts| facts.seen_at);
            (seen.is_some() || state.known.visit.is_some()).then(|| seconds_or_zero(seen))
        },
    },
    EachDevice {
        name: "versweep_device_version_last_change_timestamp_seconds",
        help: "When a visit last found another version than the one before, the last visit included; 0 = never.",
        family: family::gauge,
        value: |state| Some(seconds_or_zero(state.known.last_version_change)),
    },
    EachDevice {
        name: "versweep_device_version_changes_total",
        help: "How often a visit found another version, up to the last visit; kept across restarts.",
        family: family::counter,
        value: |state| Some(number(state.known.version_changes)),
    },
    EachDevice {
        name: "versweep_device_boot_timestamp_seconds",
        help: "When the device booted, by the last visit that was answered; absent where it does not say.",
        family: family::gauge,
        value: |state| state.known.facts.as_ref()?.boot_time.map(seconds),
    },
    EachDevice {
        name: "versweep_device_members_consistent",
        help: "Whether all members ran one version, by the last visit that was answered; absent where none tells its own.",
        family: family::gauge,
        value: |state| state.known.facts.as_ref()?.reading.facts.members_consistent().map(flag),
    },
    EachDevice {
        name: "versweep_device_visit_duration_seconds",
        help: "How long the last visit took; absent before the first visit.",
        family: family::gauge,
        value: |state| state.known.visit.as_ref().map(|visit| visit.took.as_secs_f64()),
    },
    EachDevice {
        name: "versweep_device_consecutive_failures",
        help: "Failed visits in a row, the last visit included; 0 when it was answered.",
        family: family::gauge,
        value: |state| Some(number(state.known.consecutive_failures)),
    },
];

fn version_info(devices: &[&DeviceState]) -> Family {
    let mut family = family::gauge(
        "versweep_device_version_info",
        "The last known version, always 1: from the last visit, or from the last one that was answered.",
    );
    for state in devices {
        if let Some([platform, model, version]) = running(state) {
            let device = state.device.id.as_str();
            let labels =
                [("device", device), ("platform", &platform), ("model", &model), ("version", &version)];
            family.sample(&labels, 1.0);
        }
    }
    family
}

fn failure_info(devices: &[&DeviceState]) -> Family {
    let mut family = family::gauge(
        "versweep_device_failure_info",
        "Why the last visit failed, always 1; absent while the device is up.",
    );
    for state in devices {
        if let Some(failure) = state.known.visit.as_ref().and_then(|visit| visit.failure.as_ref()) {
            family.sample(&[("device", state.device.id.as_str()), ("reason", failure.kind.as_str())], 1.0);
        }
    }
    family
}

fn counts(devices: &[&DeviceState]) -> Family {
    let mut counts: BTreeMap<&str, BTreeMap<Reach, u64>> = BTreeMap::new();
    for state in devices {
        *counts.entry(platform(state)).or_default().entry(state.known.reach()).or_default() += 1;
    }
    let mut family = family::gauge(
        "versweep_devices",
        "Devices by the state their last visit left them in: up, failing (not yet unreachable), unreachable, unvisited.",
    );
    for (platform, by_reach) in &counts {
        for reach in Reach::ALL {
            let count = by_reach.get(&reach).copied().unwrap_or(0);
            family.sample(&[("platform", platform), ("state", reach.as_str())], number(count));
        }
    }
    family
}

fn versions(devices: &[&DeviceState]) -> Family {
    let mut counts: BTreeMap<[Cow<'_, str>; 3], u64> = BTreeMap::new();
    for running in devices.iter().filter_map(|state| running(state)) {
        *counts.entry(running).or_default() += 1;
    }
    let mut family = family::gauge(
        "versweep_device_versions",
        "Devices by last known version: from the last visit, or from the last one that was answered.",
    );
    for ([platform, model, version], count) in &counts {
        let labels = [("platform", platform.as_ref()), ("model", model), ("version", version)];
        family.sample(&labels, number(*count));
    }
    family
}

/// Platform, model and version as last known, fit to be label values before anything is counted by them: two series
/// that become one on the way out would make Prometheus refuse the whole page.
fn running(state: &DeviceState) -> Option<[Cow<'_, str>; 3]> {
    let reading = &state.known.facts.as_ref()?.reading;
    let model = reading.facts.model.as_deref().unwrap_or("");
    Some([value(reading.platform.as_str()), value(model), value(reading.facts.version.as_str())])
}

/// The platform that read the device, or the configured one where nothing has been read yet.
fn platform(state: &DeviceState) -> &str {
    let read = state.known.facts.as_ref().map(|facts| facts.reading.platform.as_str());
    read.unwrap_or(state.device.platform.as_str())
}

/// A text from outside as a label value. The encoder escapes it; what should not reach a reader at all goes here.
fn value(text: &str) -> Cow<'_, str> {
    tamed(text, LABEL_VALUE_MAX)
}

/// An inventory label's name as a metric label name: what is not allowed there becomes `_`.
fn label_name(label: &str) -> String {
    let name: String = label.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    // A leading digit is not allowed, and two leading underscores belong to Prometheus itself.
    match name.starts_with(|c: char| c.is_ascii_digit()) || name.starts_with("__") || name.is_empty() {
        true => format!("label_{name}"),
        false => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inventory_labels_become_label_names() {
        for (label, name) in
            [("rack", "rack"), ("rack-unit", "rack_unit"), ("9k", "label_9k"), ("__name__", "label___name__")]
        {
            assert_eq!(label_name(label), name);
        }
    }

    #[test]
    fn a_label_name_stands_once() {
        let labels = ["site", "rack-unit", "rack_unit", "device"].map(str::to_owned);
        let view = View::new(&labels, true);
        assert_eq!(view.info_labels, [("rack-unit".to_owned(), "rack_unit".to_owned())]);
    }
}
