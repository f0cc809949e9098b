//! The patterns of platform profiles, over the text of devices. What devices print is ASCII but for names that people
//! gave, so that a pattern's classes are of ASCII: a digit is one of ten and not one of 760, which is what a pattern means,
//! and compiles and matches in a fraction of the time. `regex` is named here and in `source` only.

use regex::bytes::{self, Regex, RegexBuilder};

/// A compiled pattern. `^` and `$` match at lines; `\d`, `\w`, `\s`, `\b` and `(?i)` know ASCII only; what is no class, or stands
/// in `(?u:...)`, may be any text.
#[derive(Debug, Clone)]
pub struct Expression(Regex);

/// Where a pattern matches, with the text that it matches in.
#[derive(Debug)]
pub(crate) struct Captures<'t> {
    text: &'t str,
    places: bytes::Captures<'t>,
}

/// All places where a pattern matches, looked for as they are asked for.
pub(crate) struct Matches<'p, 't> {
    text: &'t str,
    places: bytes::CaptureMatches<'p, 't>,
}

impl Expression {
    /// Compiles a pattern that takes no more than so many bytes once compiled.
    ///
    /// # Errors
    /// What is wrong with the pattern, in one line.
    pub fn new(pattern: &str, size_max: usize) -> Result<Self, String> {
        let built = RegexBuilder::new(pattern).unicode(false).multi_line(true).size_limit(size_max).build();
        built.map(Self).map_err(|error| {
            let said = error.to_string();
            said.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
        })
    }

    /// Whether it matches anywhere.
    #[must_use]
    pub fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text.as_bytes())
    }

    /// The pattern as it was written.
    pub(crate) fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The names of its groups.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.capture_names().flatten()
    }

    /// The first place where it matches.
    pub(crate) fn captures<'t>(&self, text: &'t str) -> Option<Captures<'t>> {
        self.0.captures(text.as_bytes()).map(|places| Captures { text, places })
    }

    /// All places, from the first to the last.
    pub(crate) fn captures_iter<'p, 't>(&'p self, text: &'t str) -> Matches<'p, 't> {
        Matches { text, places: self.0.captures_iter(text.as_bytes()) }
    }
}

impl<'t> Captures<'t> {
    /// What a group of that name took; nothing where it took a part of a character.
    pub(crate) fn name(&self, name: &str) -> Option<&'t str> {
        self.places.name(name).and_then(|place| self.text.get(place.range()))
    }

    /// What the nth group took; the whole match is group 0.
    pub(crate) fn group(&self, nth: usize) -> Option<&'t str> {
        self.places.get(nth).and_then(|place| self.text.get(place.range()))
    }
}

impl<'t> Iterator for Matches<'_, 't> {
    type Item = Captures<'t>;

    fn next(&mut self) -> Option<Captures<'t>> {
        let text = self.text;
        self.places.next().map(|places| Captures { text, places })
    }
}
