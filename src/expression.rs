//! The patterns of platform profiles, over the text of devices. What devices print is ASCII but for names that people
//! gave, so that a pattern's classes are of ASCII: a digit is one of ten and not one of 760, which is what a pattern means,
//! and compiles and matches in a fraction of the time. `regex` is named here and in `source` only.

use std::ops::Range;

use memchr::memmem::Finder;
use regex::bytes::{self, Regex, RegexBuilder};
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Hir, HirKind};

/// A compiled pattern. `^` and `$` match at lines; `\d`, `\w`, `\s`, `\b` and `(?i)` know ASCII only; what is no class, or stands
/// in `(?u:...)`, may be any text.
#[derive(Debug, Clone)]
pub struct Expression {
    regex: Regex,
    /// What every match holds, where there is such a piece: looking for it costs a fraction of a match, and most patterns
    /// of a profile don't match most answers.
    holds: Option<Finder<'static>>,
}

/// Where a pattern matches, with the text that it matches in.
#[derive(Debug)]
pub(crate) struct Captures<'t> {
    text: &'t str,
    places: bytes::Captures<'t>,
}

/// All places where a pattern matches, looked for as they are asked for.
pub(crate) struct Matches<'p, 't> {
    pattern: &'p Expression,
    text: &'t str,
    /// The end of the last match.
    from: usize,
    places: bytes::CaptureMatches<'p, 't>,
}

impl Expression {
    /// Compiles a pattern that takes no more than so many bytes once compiled.
    ///
    /// # Errors
    /// What is wrong with the pattern, in one line.
    pub fn new(pattern: &str, size_max: usize) -> Result<Self, String> {
        let built = RegexBuilder::new(pattern).unicode(false).multi_line(true).size_limit(size_max).build();
        let holds = held(pattern);
        built.map(|regex| Self { regex, holds }).map_err(|error| {
            let said = error.to_string();
            let problem = said.lines().last().unwrap_or_default().trim_start_matches("error: ");
            let way_out = if problem.contains("Unicode") { "; write (?u:...) around it" } else { "" };
            format!("{problem}{way_out}")
        })
    }

    /// Whether it matches anywhere.
    #[must_use]
    pub fn is_match(&self, text: &str) -> bool {
        self.may_match(text.as_bytes()) && self.regex.is_match(text.as_bytes())
    }

    /// False where it can't.
    fn may_match(&self, text: &[u8]) -> bool {
        self.holds.as_ref().is_none_or(|holds| holds.find(text).is_some())
    }

    /// The pattern as it was written.
    pub(crate) fn as_str(&self) -> &str {
        self.regex.as_str()
    }

    /// The names of its groups.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.regex.capture_names().flatten()
    }

    /// The first place where it matches.
    pub(crate) fn captures<'t>(&self, text: &'t str) -> Option<Captures<'t>> {
        self.regex.captures(text.as_bytes()).map(|places| Captures { text, places })
    }

    /// All places, from the first to the last.
    pub(crate) fn captures_iter<'p, 't>(&'p self, text: &'t str) -> Matches<'p, 't> {
        Matches { pattern: self, text, from: 0, places: self.regex.captures_iter(text.as_bytes()) }
    }
}

impl<'t> Captures<'t> {
    /// What a group of that name took; nothing where it took a part of a character or of a word.
    pub(crate) fn name(&self, name: &str) -> Option<&'t str> {
        self.whole(self.places.name(name)?.range())
    }

    /// What the nth group took, likewise; the whole match is group 0.
    pub(crate) fn group(&self, nth: usize) -> Option<&'t str> {
        self.whole(self.places.get(nth)?.range())
    }

    /// The text there, unless it ends within a character, or within a word by a letter that isn't ASCII: `\w+` would read
    /// `Z` where a device says `Zürich`.
    fn whole(&self, range: Range<usize>) -> Option<&'t str> {
        let value = self.text.get(range.clone())?;
        let (before, after) = (self.text.get(..range.start)?, self.text.get(range.end..)?);
        let is_cut = |inside: Option<char>, outside: Option<char>| {
            inside.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_')
                && outside.is_some_and(|c| !c.is_ascii() && c.is_alphanumeric())
        };
        let is_whole = !is_cut(value.chars().next(), before.chars().next_back())
            && !is_cut(value.chars().next_back(), after.chars().next());
        is_whole.then_some(value)
    }
}

impl<'t> Iterator for Matches<'_, 't> {
    type Item = Captures<'t>;

    fn next(&mut self) -> Option<Captures<'t>> {
        let text = self.text;
        if !self.pattern.may_match(text.as_bytes().get(self.from..)?) {
            return None;
        }
        let places = self.places.next()?;
        self.from = places.get_match().end();
        Some(Captures { text, places })
    }
}

/// The longest text that every match of the pattern has in it.
fn held(pattern: &str) -> Option<Finder<'static>> {
    let parsed =
        ParserBuilder::new().unicode(false).utf8(false).multi_line(true).build().parse(pattern).ok()?;
    let held = held_by(&parsed)?;
    Some(Finder::new(held).into_owned())
}

fn held_by(pattern: &Hir) -> Option<&[u8]> {
    match pattern.kind() {
        HirKind::Literal(literal) => Some(&literal.0),
        HirKind::Capture(group) => held_by(&group.sub),
        HirKind::Repetition(repeated) if repeated.min > 0 => held_by(&repeated.sub),
        HirKind::Concat(parts) => parts.iter().filter_map(held_by).max_by_key(|held| held.len()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Expression {
        Expression::new(text, 1 << 20).unwrap()
    }

    #[test]
    fn classes_are_of_ascii_and_everything_else_may_be_any_text() {
        assert!(!pattern(r"^\d$").is_match("\u{663}"), "an Arabic digit");
        assert!(pattern(r"(?u:^\d$)").is_match("\u{663}"));
        assert!(!pattern("(?i)^k$").is_match("\u{212a}"), "the Kelvin sign");
        assert!(pattern("^größe: [^\n]+$").is_match("größe: 3 µm"));
        let refused = Expression::new("[äö]", 1 << 20).unwrap_err();
        assert_eq!(refused, "Unicode not allowed here; write (?u:...) around it");
        assert!(pattern("(?u:[äö])").is_match("ö"));
    }

    #[test]
    fn what_a_pattern_needs_never_hides_a_match() {
        let held = |text: &str| held(text).map(|held| String::from_utf8_lossy(held.needle()).into_owned());
        assert_eq!(held(r"^[ \t]*(?:NXOS|system):[ \t]+version (?<v>\d\S*)").as_deref(), Some("version "));
        assert_eq!(held("(?:serial (?:number)?){1,2}x*").as_deref(), Some("serial "));
        for needs_nothing in ["(?i)serial", "one|two", "(?:serial)?", r"\d+", "(?:serial){0,3}", "^$"] {
            assert_eq!(held(needs_nothing), None, "{needs_nothing}");
        }
        let text = "v 1\nx v 22\nv 333\nw\nü v 4";
        for pattern_text in [r"^v (\d+)", r"v (\d+)$", "(v |w)", r"(?i)V (\d+)", r"v (\d+)\n", "()"] {
            let found: Vec<_> = pattern(pattern_text).captures_iter(text).map(|c| c.group(1)).collect();
            let builder = &mut RegexBuilder::new(pattern_text);
            let plain = builder.unicode(false).multi_line(true).build().unwrap();
            let matches = plain.captures_iter(text.as_bytes());
            let places = matches.map(|c| Captures { text, places: c }.group(1));
            assert_eq!(found, places.collect::<Vec<_>>(), "{pattern_text}");
        }
    }

    #[test]
    fn a_value_is_never_a_part_of_a_character() {
        let text = "name: é1";
        let whole = pattern(r"name: (?<name>\S+)").captures(text).unwrap();
        assert_eq!((whole.name("name"), whole.group(1)), (Some("é1"), Some("é1")));
        let part = pattern(r"name: (?<name>\S)").captures(text).unwrap();
        assert_eq!(part.name("name"), None);
        for (text, name) in
            [("name: Zürich", None), ("name: Zug", Some("Zug")), ("name: C9300™", Some("C9300"))]
        {
            assert_eq!(pattern(r"name: (?<name>\w+)").captures(text).unwrap().name("name"), name);
        }
        let none: Vec<_> = pattern(".").captures_iter("é").map(|found| found.group(0)).collect();
        assert_eq!(none, [None, None]);
    }
}
