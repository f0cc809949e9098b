//! What can be said of a pattern's matches without matching.

use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind, Look};

/// What every match needs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Needs {
    /// The longest piece of text that is known to be in it.
    pub(super) text: Option<Vec<u8>>,
    /// To begin where a line does, and to end before the line does; nothing that the pattern asks of its surroundings is
    /// beyond the line.
    pub(super) line: bool,
}

impl Needs {
    /// Those of a pattern; of one that can't be read, nothing.
    pub(super) fn of(pattern: &str) -> Self {
        let parser = &mut ParserBuilder::new();
        match parser.unicode(false).utf8(false).multi_line(true).build().parse(pattern) {
            Ok(pattern) => Self {
                text: text(&pattern).map(<[u8]>::to_vec),
                line: begins_a_line(&pattern) && stays_in_the_line(&pattern),
            },
            Err(_) => Self { text: None, line: false },
        }
    }
}

fn text(pattern: &Hir) -> Option<&[u8]> {
    match pattern.kind() {
        HirKind::Literal(literal) => Some(&literal.0),
        HirKind::Capture(group) => text(&group.sub),
        HirKind::Repetition(repeated) if repeated.min > 0 => text(&repeated.sub),
        HirKind::Concat(parts) => parts.iter().filter_map(text).max_by_key(|text| text.len()),
        _ => None,
    }
}

fn begins_a_line(pattern: &Hir) -> bool {
    match pattern.kind() {
        HirKind::Look(look) => *look == Look::StartLF,
        HirKind::Capture(group) => begins_a_line(&group.sub),
        HirKind::Concat(parts) => parts.first().is_some_and(begins_a_line),
        HirKind::Alternation(ways) => ways.iter().all(begins_a_line),
        _ => false,
    }
}

fn stays_in_the_line(pattern: &Hir) -> bool {
    const END: u8 = b'\n';
    match pattern.kind() {
        HirKind::Empty => true,
        HirKind::Literal(literal) => !literal.0.contains(&END),
        HirKind::Class(Class::Bytes(class)) => {
            !class.ranges().iter().any(|range| (range.start()..=range.end()).contains(&END))
        }
        HirKind::Class(Class::Unicode(class)) => {
            !class.ranges().iter().any(|range| (range.start()..=range.end()).contains(&char::from(END)))
        }
        // Those of a line, and those of words, for which a line's end is no letter, as the end of the text.
        HirKind::Look(look) => !matches!(look, Look::Start | Look::End | Look::StartCRLF | Look::EndCRLF),
        HirKind::Repetition(repeated) => stays_in_the_line(&repeated.sub),
        HirKind::Capture(group) => stays_in_the_line(&group.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().all(stays_in_the_line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needs(pattern: &str) -> (Option<String>, bool) {
        let Needs { text, line } = Needs::of(pattern);
        (text.map(|text| String::from_utf8_lossy(&text).into_owned()), line)
    }

    #[test]
    fn the_longest_piece_that_no_match_is_without() {
        let text = |pattern| needs(pattern).0;
        assert_eq!(text(r"^[ \t]*(?:NXOS|system):[ \t]+version (?<v>\d\S*)").as_deref(), Some("version "));
        assert_eq!(text("(?:serial (?:number)?){1,2}x*").as_deref(), Some("serial "));
        for nothing in ["(?i)serial", "one|two", "(?:serial)?", r"\d+", "(?:serial){0,3}", "^$", "("] {
            assert_eq!(text(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn of_one_line() {
        for pattern in [r"^[ \t]*v (?<v>\d\S*)$", r"(^v [^\n]+)", "^v|^w.*", r"^(?i)v\b", "^v(?:w|)x*"] {
            assert!(needs(pattern).1, "{pattern}");
        }
        for pattern in
            ["v", "^v|w", r"^v\s", "^v[^w]", "^v\nw", r"^v\z", r"\Av", "^v(?s:.)", "(?R)^v$", r"^v\D", "("]
        {
            assert!(!needs(pattern).1, "{pattern}");
        }
    }
}
