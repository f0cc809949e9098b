//! What API and page show of a device, and how both choose devices.

use chrono::TimeDelta;

use crate::clock::Timestamp;
use crate::known::{DeviceState, Reach};
use crate::text::tamed;

/// The longest text from a device that is shown, in characters.
const SHOWN_MAX: usize = 256;

/// A text from outside as people get to see it.
pub(super) fn shown(text: &str) -> String {
    tamed(text, SHOWN_MAX).into_owned()
}

/// The platform that read the device, or the configured one where nothing has been read yet.
pub(super) fn platform(state: &DeviceState) -> &str {
    let read = state.known.facts.as_ref().map(|facts| facts.reading.platform.as_str());
    read.unwrap_or(state.device.platform.as_str())
}

/// Chooses devices for a reader.
#[derive(Debug, Default)]
pub(super) struct Filter {
    needle: String,
    reach: Option<Reach>,
}

impl Filter {
    /// A filter by a part of any shown text, whatever its case, and by state; empty texts choose all.
    ///
    /// # Errors
    /// Says which states there are.
    pub(super) fn new(needle: Option<&str>, state: Option<&str>) -> Result<Self, String> {
        let reach = match state {
            None | Some("") => None,
            Some(name) => {
                Some(Reach::from_name(name).ok_or("unknown state: up, failing, unreachable, unvisited")?)
            }
        };
        Ok(Self { needle: needle.unwrap_or("").trim().to_lowercase(), reach })
    }

    /// Whether it chooses all devices.
    pub(super) fn is_empty(&self) -> bool {
        self.needle.is_empty() && self.reach.is_none()
    }

    /// Whether it chooses this one.
    pub(super) fn holds(&self, state: &DeviceState) -> bool {
        self.reach.is_none_or(|reach| state.known.reach() == reach)
            && (self.needle.is_empty()
                || self.texts(state).any(|text| text.to_lowercase().contains(&self.needle)))
    }

    fn texts<'a>(&self, state: &'a DeviceState) -> impl Iterator<Item = &'a str> {
        let facts = state.known.facts.as_ref().map(|facts| &facts.reading.facts);
        let failure = state.known.visit.as_ref().and_then(|visit| visit.failure.as_ref());
        let own = [state.device.id.as_str(), state.device.endpoint.host.as_str(), platform(state)];
        own.into_iter()
            .chain(facts.map(|facts| facts.version.as_str()))
            .chain(facts.and_then(|facts| facts.model.as_deref()))
            .chain(failure.map(|failure| failure.kind.as_str()))
            .chain(state.device.labels.iter().map(|(_, value)| value))
    }
}

/// How long ago that was, in the largest unit that fits.
pub(super) fn age(now: Timestamp, at: Timestamp) -> String {
    let span = now - at;
    let (future, span) = if span < TimeDelta::zero() { (true, -span) } else { (false, span) };
    let text = match span.num_seconds() {
        s @ ..120 => format!("{s} s"),
        s @ ..7200 => format!("{} min", s / 60),
        s @ ..172_800 => format!("{} h", s / 3600),
        s => format!("{} d", s / 86_400),
    };
    if future { format!("in {text}") } else { format!("{text} ago") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_takes_its_largest_unit() {
        let now = Timestamp::from_timestamp(1_000_000, 0).unwrap();
        for (seconds, text) in [
            (0, "0 s ago"),
            (119, "119 s ago"),
            (120, "2 min ago"),
            (7200, "2 h ago"),
            (180_000, "2 d ago"),
            (-90, "in 90 s"),
        ] {
            assert_eq!(age(now, now - TimeDelta::seconds(seconds)), text);
        }
    }
}
