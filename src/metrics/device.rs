//! The device part: what is known of each device, and how many devices there are of a kind.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::known::{DeviceState, Reach, Snapshot};
use crate::metrics::family::{self, Family, flag, number, seconds, seconds_or_zero};
use crate::metrics::lines::Label;
use crate::metrics::page::{Part, PartWriter};
use crate::metrics::{Cut, RenderError, policy};
use crate::text::tamed;

/// The longest label value from a device, in characters. Versions and models are shorter; what is longer came from a
/// broken answer.
const LABEL_VALUE_MAX: usize = 128;

/// So many devices are drawn before their lines are deflated: what is deflated at once is far more than a line, and a large
/// fleet's lines are never there all at once.
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

    /// The families with series per device. Each is deflated on its own, for their texts grow side by side.
    fn each(&self, devices: &[&DeviceState]) -> Result<Part, RenderError> {
        let begun =
            |each: &'static EachDevice| (each, (each.family)(each.name, each.help), PartWriter::new());
        let mut families: Vec<_> = EACH_DEVICE.iter().map(begun).collect();
        for piece in devices.chunks(PIECE) {
            for state in piece {
                let device = Label::new("device", state.device.id.as_str());
                for (each, family, _) in &mut families {
                    each.draw(self, state, &device, family);
                }
            }
            for (_, family, out) in &mut families {
                family.write(out)?;
            }
        }
        let mut part = Part::default();
        for (_, _, out) in families {
            part.append(&out.finish()?);
        }
        Ok(part)
    }

    fn info(&self, state: &DeviceState, label: &Label, family: &mut Family) {
        let device = &state.device;
        let of = |label: &str| value(device.labels.get(label).unwrap_or(""));
        let line = family.line().known(label).label("address", &value(&device.endpoint.host));
        let line = line.label("platform", device.platform.as_str());
        let line = line.label("site", &of("site")).label("role", &of("role"));
        let more = self.info_labels.iter();
        more.fold(line, |line, (label, name)| line.label(name, &of(label))).value(1.0);
    }
}

/// A family with series per device.
struct EachDevice {
    name: &'static str,
    help: &'static str,
    family: fn(&'static str, &str) -> Family,
    series: Series,
}

/// The series that a device has in a family.
enum Series {
    /// One without further labels; `None` leaves the device out.
    Value(fn(&DeviceState) -> Option<f64>),
    /// Any number of them, with further labels behind the device's.
    Labelled(fn(&DeviceState, &Label, &mut Family)),
    /// One with the labels from the inventory that the view has.
    Inventory,
}

impl EachDevice {
    fn draw(&self, view: &View, state: &DeviceState, device: &Label, family: &mut Family) {
        match self.series {
            Series::Value(value) => {
                if let Some(value) = value(state) {
                    family.line().known(device).value(value);
                }
            }
            Series::Labelled(draw) => draw(state, device, family),
            Series::Inventory => view.info(state, device, family),
        }
    }
}

/// In the order of the page.
const EACH_DEVICE: [EachDevice; 13] = [
    EachDevice {
        name: "versweep_device_info",
        help: "The device as the inventory has it; always 1. It does not depend on the last visit.",
        family: family::gauge,
        series: Series::Inventory,
    },
    EachDevice {
        name: "versweep_device_version_info",
        help: "The last known version, always 1: from the last visit, or from the last one that was answered.",
        family: family::gauge,
        series: Series::Labelled(version_info),
    },
    EachDevice {
        name: "versweep_device_failure_info",
        help: "Why the last visit failed, always 1; absent while the device is up.",
        family: family::gauge,
        series: Series::Labelled(failure_info),
    },
    EachDevice {
        name: "versweep_device_up",
        help: "Whether the last visit was answered; absent before the first visit.",
        family: family::gauge,
        series: Series::Value(|state| state.known.is_up().map(flag)),
    },
    EachDevice {
        name: "versweep_device_last_visit_timestamp_seconds",
        help: "When the last visit ended; absent before the first visit.",
        family: family::gauge,
        series: Series::Value(|state| state.known.visit.as_ref().map(|visit| seconds(visit.at))),
    },
    EachDevice {
        name: "versweep_device_last_success_timestamp_seconds",
        help: "When the last visit that was answered ended, 0 if none was; absent before the first visit.",
        family: family::gauge,
        series: Series::Value(|state| {
            let seen = state.known.facts.as_ref().map(|facts| facts.seen_at);
            (seen.is_some() || state.known.visit.is_some()).then(|| seconds_or_zero(seen))
        }),
    },
    EachDevice {
        name: "versweep_device_version_last_change_timestamp_seconds",
        help: "When a visit last found another version than the one before, the last visit included; 0 = never.",
        family: family::gauge,
        series: Series::Value(|state| Some(seconds_or_zero(state.known.last_version_change))),
    },
    EachDevice {
        name: "versweep_device_version_changes_total",
        help: "How often a visit found another version, up to the last visit; kept across restarts.",
        family: family::counter,
        series: Series::Value(|state| Some(number(state.known.version_changes))),
    },
    EachDevice {
        name: "versweep_device_boot_timestamp_seconds",
        help: "When the device booted, by the last visit that was answered; absent where it does not say.",
        family: family::gauge,
        series: Series::Value(|state| state.known.facts.as_ref()?.boot_time.map(seconds)),
    },
    EachDevice {
        name: "versweep_device_members_consistent",
        help: "Whether all members ran one version, by the last visit that was answered; absent where none tells its own.",
        family: family::gauge,
        series: Series::Value(|state| {
            state.known.facts.as_ref()?.reading.facts.members_consistent().map(flag)
        }),
    },
    EachDevice {
        name: "versweep_device_visit_duration_seconds",
        help: "How long the last visit took; absent before the first visit.",
        family: family::gauge,
        series: Series::Value(|state| state.known.visit.as_ref().map(|visit| visit.took.as_secs_f64())),
    },
    EachDevice {
        name: "versweep_device_consecutive_failures",
        help: "Failed visits in a row, the last visit included; 0 when it was answered.",
        family: family::gauge,
        series: Series::Value(|state| Some(number(state.known.consecutive_failures))),
    },
    EachDevice {
        name: "versweep_device_compliant",
        help: "Whether what the last visit that was answered found complies with the policy; absent where nobody can say.",
        family: family::gauge,
        series: Series::Labelled(policy::compliant),
    },
];

fn version_info(state: &DeviceState, device: &Label, family: &mut Family) {
    if let Some([platform, model, version]) = running(state).map(|raw| raw.map(value)) {
        let line = family.line().known(device).label("platform", &platform);
        line.label("model", &model).label("version", &version).value(1.0);
    }
}

fn failure_info(state: &DeviceState, device: &Label, family: &mut Family) {
    if let Some(failure) = state.known.visit.as_ref().and_then(|visit| visit.failure.as_ref()) {
        family.line().known(device).label("reason", failure.kind.as_str()).value(1.0);
    }
}

fn counts(devices: &[&DeviceState]) -> Family {
    let mut counts: HashMap<(&str, Reach), u64> = HashMap::new();
    for state in devices {
        *counts.entry((platform(state), state.known.reach())).or_default() += 1;
    }
    let platforms: BTreeSet<&str> = counts.keys().map(|(platform, _)| *platform).collect();
    let mut family = family::gauge(
        "versweep_devices",
        "Devices by the state their last visit left them in: up, failing (not yet unreachable), unreachable, unvisited.",
    );
    for platform in platforms {
        for reach in Reach::ALL {
            let count = counts.get(&(platform, reach)).copied().unwrap_or(0);
            family.sample(&[("platform", platform), ("state", reach.as_str())], number(count));
        }
    }
    family
}

/// Counted twice: a fleet has many devices and few versions, so only these are sorted and made fit to be label values.
/// Two that become one by that are one series: if it stood twice, Prometheus would refuse the whole page.
fn versions(devices: &[&DeviceState]) -> Family {
    let mut raw: HashMap<[&str; 3], u64> = HashMap::new();
    for running in devices.iter().filter_map(|state| running(state)) {
        *raw.entry(running).or_default() += 1;
    }
    let mut counts: BTreeMap<[Cow<'_, str>; 3], u64> = BTreeMap::new();
    for (running, count) in raw {
        *counts.entry(running.map(value)).or_default() += count;
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

/// Platform, model and version as last known.
fn running(state: &DeviceState) -> Option<[&str; 3]> {
    let reading = &state.known.facts.as_ref()?.reading;
    let model = reading.facts.model.as_deref().unwrap_or("");
    Some([reading.platform.as_str(), model, reading.facts.version.as_str()])
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
