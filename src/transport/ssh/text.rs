//! Text from devices, made fit to be shown: bounded, in one line, nothing in it that moves a cursor.

use crate::text::acts;

/// The most characters of a failure's detail.
pub(super) const DETAIL_MAX: usize = 300;

/// `text` with control and invisible characters escaped, cut to at most `max` characters.
pub(super) fn plain(text: &str, max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(max));
    let mut room = max;
    for c in text.chars() {
        let escaped = acts(c).then(|| c.escape_default().to_string());
        let width = escaped.as_ref().map_or(1, String::len);
        if width >= room {
            out.push('…');
            break;
        }
        room -= width;
        match escaped {
            Some(escaped) => out.push_str(&escaped),
            None => out.push(c),
        }
    }
    out
}

/// The last bytes of a text, at most so many.
pub(super) fn tail(text: &str, max: usize) -> &str {
    let from = text.ceil_char_boundary(text.len().saturating_sub(max));
    text.get(from..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{plain, tail};

    #[test]
    fn escapes_and_bounds() {
        assert_eq!(plain("a\u{1b}[2Jb\r\n", 80), "a\\u{1b}[2Jb\\r\\n");
        assert_eq!(plain("\u{202e}evil", 80), "\\u{202e}evil");
        assert_eq!(plain("\u{61c}evil", 80), "\\u{61c}evil");
        assert_eq!(plain("abcdef", 4), "abc…");
        assert_eq!(plain(&"\u{1b}".repeat(1000), 300).chars().count(), 295);
        assert_eq!(plain("abc", 4), "abc");
    }

    #[test]
    fn a_tail_is_whole_characters() {
        assert_eq!(tail("Zürich", 5), "rich");
        assert_eq!(tail("r1#", 80), "r1#");
    }
}
