//! A line of a frame: pieces of text with their tones, cut at the terminal's width. Whatever a piece says is tamed here, so
//! that nothing is drawn on which a terminal would act.

use std::borrow::Cow;

use unicode_width::UnicodeWidthChar as _;

use crate::text::tamed;

/// The longest piece in characters: longer than any terminal is wide.
const PIECE_MAX: usize = 1000;

/// What a piece is about. It decides a colour, and nothing is told by colour alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    /// As it is.
    Plain,
    /// A heading.
    Head,
    /// What matters less.
    Dim,
    /// What is as it should be.
    Good,
    /// What somebody should look at.
    Warn,
    /// What is wrong.
    Bad,
}

/// Whether tones are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ink {
    /// By colours.
    Colours,
    /// Not at all.
    None,
}

impl Ink {
    /// Colours, unless `NO_COLOR` says otherwise (no-color.org: set, and not empty).
    pub(super) fn of_environment() -> Self {
        match std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) {
            true => Self::None,
            false => Self::Colours,
        }
    }
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Line(Vec<(Tone, String)>);

impl Line {
    /// A line of one piece.
    pub(super) fn of(tone: Tone, text: &str) -> Self {
        Self::default().and(tone, text)
    }

    /// A piece more.
    pub(super) fn and(mut self, tone: Tone, text: &str) -> Self {
        self.push(tone, text);
        self
    }

    /// A piece more.
    pub(super) fn push(&mut self, tone: Tone, text: &str) {
        if !text.is_empty() {
            self.0.push((tone, tame(text).into_owned()));
        }
    }

    /// Blanks up to this column, one at least.
    pub(super) fn pad(&mut self, column: usize) {
        let blanks = column.saturating_sub(self.width()).max(1);
        self.push(Tone::Plain, &" ".repeat(blanks));
    }

    /// How many columns it takes.
    pub(super) fn width(&self) -> usize {
        self.0.iter().map(|(_, text)| width(text)).sum()
    }

    /// What fits into so many columns.
    pub(super) fn cut(self, columns: usize) -> Self {
        let mut left = columns;
        let mut pieces = Vec::new();
        for (tone, text) in self.0 {
            let fitting = fitting(&text, left);
            left -= width(fitting);
            let is_whole = fitting.len() == text.len();
            pieces.push((tone, fitting.to_owned()));
            if !is_whole {
                break;
            }
        }
        Self(pieces)
    }

    /// Its pieces, each with its tone.
    pub(super) fn pieces(&self) -> impl Iterator<Item = (Tone, &str)> {
        self.0.iter().map(|(tone, text)| (*tone, text.as_str()))
    }

    /// Its text.
    pub(super) fn plain(&self) -> String {
        self.0.iter().map(|(_, text)| text.as_str()).collect()
    }
}

/// A text as it is drawn: measured before, it would seem narrower.
pub(super) fn tame(text: &str) -> Cow<'_, str> {
    tamed(text, PIECE_MAX)
}

/// How many columns a text takes.
pub(super) fn width(text: &str) -> usize {
    text.chars().filter_map(|c| c.width()).sum()
}

/// The head of a text that fits into so many columns. Characters without a width of their own are bounded as well: a device
/// may send a thousand accents for one letter.
pub(super) fn fitting(text: &str, columns: usize) -> &str {
    let (mut taken, mut weightless) = (0, 0);
    for (at, c) in text.char_indices() {
        match c.width().unwrap_or(0) {
            0 => weightless += 1,
            wide => taken += wide,
        }
        if taken > columns || weightless > columns {
            return &text[..at];
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_by_columns_not_by_characters() {
        let line = Line::of(Tone::Good, "ab").and(Tone::Bad, "日本x").and(Tone::Dim, "tail");
        assert_eq!(line.width(), 2 + 5 + 4);
        let cut = |columns| line.clone().cut(columns).plain();
        assert_eq!([cut(0), cut(1), cut(3)], ["", "a", "ab"], "half a wide character is none");
        assert_eq!([cut(4), cut(6), cut(7), cut(8)], ["ab日", "ab日本", "ab日本x", "ab日本xt"]);
        assert_eq!(cut(100), line.plain());
    }

    #[test]
    fn nothing_that_acts_is_drawn_and_accents_are_bounded() {
        let line = Line::of(Tone::Plain, "\u{1b}]0;owned\u{7}\u{202e}\r\n");
        assert_eq!(line.plain(), "\u{fffd}]0;owned\u{fffd}\u{fffd}\u{fffd}\u{fffd}");
        let heavy = format!("e{}", "\u{301}".repeat(500));
        assert_eq!(Line::of(Tone::Plain, &heavy).cut(20).plain().chars().count(), 21);
    }

    #[test]
    fn a_column_is_kept_apart_from_the_one_before() {
        let mut line = Line::of(Tone::Plain, "abc");
        line.pad(6);
        line.push(Tone::Plain, "d");
        line.pad(2);
        line.push(Tone::Plain, "e");
        assert_eq!(line.plain(), "abc   d e");
    }
}
