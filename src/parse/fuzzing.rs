//! What must hold whatever an answer says: checked by the fuzz target, and by a test with its seeds.

use std::sync::LazyLock;

use super::{VALUE_MAX, detect, parse};
use crate::platform::Platforms;

static PLATFORMS: LazyLock<Platforms> = LazyLock::new(Platforms::builtin);

/// Detection, then the profile that it finds and another that the text's bytes choose: nothing panics, nothing comes out
/// unbounded or unprintable, and no pattern finds anything else than it does without its short cuts. Every profile at every
/// text would be thirty times slower and find less in the same time.
///
/// # Panics
/// When that doesn't hold.
pub fn answer(text: &str) {
    let sum = text.bytes().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    let chosen = PLATFORMS.iter().nth(sum % PLATFORMS.iter().count());
    for profile in detect(&PLATFORMS, text).into_iter().chain(chosen) {
        for pattern in &profile.patterns {
            assert!(pattern.regex.agrees(text), "{:?} in {text:?}", pattern.regex);
        }
        let Ok(reading) = parse(profile, text) else { continue };
        let facts = reading.facts;
        let printable = |value: &str| {
            assert!(!value.is_empty() && value.chars().count() <= VALUE_MAX, "{value:?}");
            assert!(!value.chars().any(char::is_control), "{value:?}");
        };
        printable(facts.version.as_str());
        [&facts.model, &facts.serial, &facts.hostname, &facts.image]
            .into_iter()
            .flatten()
            .for_each(|v| printable(v));
    }
}

#[cfg(test)]
mod tests {
    use crate::seeds::replay;

    #[test]
    fn the_seeds_of_answers_hold() {
        replay("parse", |bytes| super::answer(&String::from_utf8_lossy(bytes)));
    }
}
