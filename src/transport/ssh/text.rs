//! Text from devices, made fit to be shown: bounded, in one line, nothing in it that moves a cursor.

/// The most characters of a failure's detail.
pub(super) const DETAIL_MAX: usize = 300;

/// `text` with control and invisible characters escaped, cut to at most `max` characters.
pub(super) fn plain(text: &str, max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(max));
    let mut room = max;
    for c in text.chars() {
        let escaped = is_hidden(c).then(|| c.escape_default().to_string());
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

/// Control characters, and those that turn the direction of writing or take no room.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn escapes_and_bounds() {
        assert_eq!(plain("a\u{1b}[2Jb\r\n", 80), "a\\u{1b}[2Jb\\r\\n");
        assert_eq!(plain("\u{202e}evil", 80), "\\u{202e}evil");
        assert_eq!(plain("abcdef", 4), "abc…");
        assert_eq!(plain(&"\u{1b}".repeat(1000), 300).chars().count(), 295);
        assert_eq!(plain("abc", 4), "abc");
    }
}
