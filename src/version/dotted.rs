//! Everybody else: numbers and words between punctuation.

use super::key::{Key, Part, Reader, without_trailing_zeros};

/// `8.4.4`, `12`, `22.04.4`, `10.0-rc1`, `6.1.0-18-amd64`, `1:2.3~beta2+dfsg-1`.
pub(super) fn dotted(text: &str) -> Option<Key> {
    text.chars().any(|c| c.is_ascii_digit()).then_some(())?;
    let (epoch, text) = epoch_of(text);
    let mut tail = Vec::new();
    let mut reader = Reader(text);
    while !reader.is_done() {
        if let Some(number) = reader.number() {
            tail.push(number);
        } else if reader.eat("~") {
            tail = without_trailing_zeros(tail);
            tail.push(Part::Tilde);
        } else {
            let letters = reader.letters();
            match (letters, is_before(letters)) {
                ("", _) => reader.0 = after_first(reader.0),
                (_, true) => {
                    tail = without_trailing_zeros(tail);
                    tail.push(Part::Before(letters.to_ascii_lowercase()));
                }
                (_, false) => tail.push(Part::word(letters)),
            }
        }
    }
    let mut tail = without_trailing_zeros(tail);
    tail.push(Part::End);
    Some(Key { family: String::new(), head: vec![epoch], train: String::new(), tail })
}

/// Debian's epoch: a number before a colon; without one it is zero.
fn epoch_of(text: &str) -> (Part, &str) {
    match text.split_once(':') {
        Some((epoch, rest)) if !epoch.is_empty() && epoch.bytes().all(|b| b.is_ascii_digit()) => {
            (Part::number(epoch), rest)
        }
        _ => (Part::number("0"), text),
    }
}

fn is_before(letters: &str) -> bool {
    const WORDS: [&str; 8] = ["alpha", "beta", "dev", "pre", "preview", "rc", "snapshot", "test"];
    WORDS.iter().any(|word| word.eq_ignore_ascii_case(letters))
}

fn after_first(text: &str) -> &str {
    let mut chars = text.chars();
    chars.next();
    chars.as_str()
}
