//! What API and pages show of a device, in the same words.

pub(super) use crate::duration::{age, lasted};
use crate::known::DeviceState;
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
