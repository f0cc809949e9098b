//! Text from devices and inventories on its way to people: bounded, with nothing left in it that acts.

use std::borrow::Cow;

/// What stands in the place of a character that is not shown.
const REPLACEMENT: char = '\u{fffd}';

/// `text` cut to `max` characters, with every control character and every character that turns the direction of
/// writing replaced by U+FFFD. It does not escape: HTML, JSON and label values have their own escaping beside it.
#[must_use]
pub fn tamed(text: &str, max: usize) -> Cow<'_, str> {
    // Printable ASCII, which most of it is, is told by its bytes, which is cheaper.
    let plain = |text: &str| text.bytes().all(|byte| matches!(byte, b' '..=b'~')) || !text.contains(acts);
    if text.len() <= max && plain(text) {
        return Cow::Borrowed(text);
    }
    let mut tame: String = text.chars().take(max).map(|c| if acts(c) { REPLACEMENT } else { c }).collect();
    if text.chars().nth(max).is_some() {
        tame.pop();
        tame.push('…');
    }
    Cow::Owned(tame)
}

/// Whether a terminal, a log or a page would do something on this character instead of showing it: controls (C0, DEL,
/// C1), line and paragraph separators, and Unicode's bidirectional and zero-width formatting characters.
pub(crate) fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_borrowed_as_it_is() {
        assert!(matches!(tamed("15.2(4)M7", 64), Cow::Borrowed("15.2(4)M7")));
        assert_eq!(tamed("Zürich", 6), "Zürich");
    }

    #[test]
    fn what_acts_is_replaced() {
        assert_eq!(tamed("\u{1b}[31mred\r\n", 64), "\u{fffd}[31mred\u{fffd}\u{fffd}");
        assert_eq!(tamed("a\u{202e}b\u{9b}c", 64), "a\u{fffd}b\u{fffd}c");
    }

    #[test]
    fn long_text_is_cut_and_says_so() {
        assert_eq!(tamed("abcdef", 4), "abc…");
        assert_eq!(tamed("abcd", 4), "abcd");
    }
}
