//! What API and pages show of a device, in the same words.

use chrono::TimeDelta;

use crate::clock::Timestamp;
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

/// How long ago that was, in the largest unit that fits. `script.js` says the same while time goes on.
pub(super) fn age(now: Timestamp, at: Timestamp) -> String {
    let span = now - at;
    let (future, span) = if span < TimeDelta::zero() { (true, -span) } else { (false, span) };
    let text = lasted(span);
    if future { format!("in {text}") } else { format!("{text} ago") }
}

/// How long something took, in the largest unit that fits.
pub(super) fn lasted(span: TimeDelta) -> String {
    match span.num_seconds() {
        s @ ..120 => format!("{s} s"),
        s @ ..7200 => format!("{} min", s / 60),
        s @ ..172_800 => format!("{} h", s / 3600),
        s => format!("{} d", s / 86_400),
    }
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
