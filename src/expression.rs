//! The patterns of platform profiles, over the text of devices. What devices print is ASCII but for names that people
//! gave, so that a pattern's classes are of ASCII: a digit is one of ten and not one of 760, which is what a pattern means,
//! and compiles and matches in a fraction of the time. `regex` is named here and in `source` only.

use std::ops::Range;

use memchr::memmem::Finder;
use memchr::{memchr, memrchr};
use regex::bytes::{self, Regex, RegexBuilder};

mod needs;

use needs::Needs;

/// A compiled pattern. `^` and `$` match at lines; `\d`, `\w`, `\s`, `\b` and `(?i)` know ASCII only; what is no class, or stands
/// in `(?u:...)`, may be any text.
#[derive(Debug, Clone)]
pub struct Expression {
    written: Box<str>,
    regex: Regex,
    place: Place,
}

/// Where matches can be. Most patterns of a profile don't match most answers, and to look for a piece of text costs a
/// fraction of what a match does.
#[derive(Debug, Clone)]
enum Place {
    /// At the beginning of a line that holds this text, and within it: `regex` is anchored, and sees one line.
    Line(Finder<'static>),
    /// Wherever this text follows.
    Text(Finder<'static>),
    Anywhere,
}

/// Where a pattern matches, with the text that it matches in.
#[derive(Debug)]
pub(crate) struct Captures<'t> {
    text: &'t str,
    /// Where in the text the places are counted from.
    from: usize,
    places: bytes::Captures<'t>,
}

/// All places where a pattern matches, looked for as they are asked for.
pub(crate) struct Matches<'p, 't> {
    pattern: &'p Expression,
    text: &'t str,
    /// What was looked at: up to the end of the last match, or of its line.
    from: usize,
    /// Of a pattern that isn't matched line by line, once there may be one.
    places: Option<bytes::CaptureMatches<'p, 't>>,
}

impl Expression {
    /// Compiles a pattern that takes no more than so many bytes once compiled.
    ///
    /// # Errors
    /// What is wrong with the pattern, in one line.
    pub fn new(pattern: &str, size_max: usize) -> Result<Self, String> {
        let build = |pattern: &str| {
            RegexBuilder::new(pattern).unicode(false).multi_line(true).size_limit(size_max).build()
        };
        let Needs { text, line } = Needs::of(pattern);
        let written = pattern.into();
        let text = text.map(|text| Finder::new(&text).into_owned());
        let place = match text {
            Some(text) if line => {
                // A comment at its end, with `(?x)`, would take the parenthesis in.
                if let Ok(regex) = build(&format!(r"\A(?:{pattern})")) {
                    return Ok(Self { written, regex, place: Place::Line(text) });
                }
                Place::Text(text)
            }
            Some(text) => Place::Text(text),
            None => Place::Anywhere,
        };
        build(pattern).map(|regex| Self { written, regex, place }).map_err(|error| {
            let said = error.to_string();
            let problem = said.lines().last().unwrap_or_default().trim_start_matches("error: ");
            let way_out = if problem.contains("Unicode") { "; write (?u:...) around it" } else { "" };
            format!("{problem}{way_out}")
        })
    }

    /// Whether it matches anywhere.
    #[must_use]
    pub fn is_match(&self, text: &str) -> bool {
        let bytes = text.as_bytes();
        match &self.place {
            Place::Line(piece) => {
                let (mut from, regex) = (0, &self.regex);
                std::iter::from_fn(|| next_line(piece, bytes, &mut from))
                    .any(|(_, line)| regex.is_match(line))
            }
            Place::Text(piece) => piece.find(bytes).is_some() && self.regex.is_match(bytes),
            Place::Anywhere => self.regex.is_match(bytes),
        }
    }

    /// The pattern as it was written.
    pub(crate) fn as_str(&self) -> &str {
        &self.written
    }

    /// The names of its groups.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.regex.capture_names().flatten()
    }

    /// Whether it finds in the text what the pattern finds by itself, looked for everywhere.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn agrees(&self, text: &str) -> bool {
        let plain = RegexBuilder::new(&self.written).unicode(false).multi_line(true).build();
        plain.is_ok_and(|regex| {
            let groups = |found: Captures<'_>| {
                (0..found.places.len()).map(|nth| found.group(nth).map(str::to_owned)).collect::<Vec<_>>()
            };
            let places = regex.captures_iter(text.as_bytes());
            let plainly = places.map(|places| groups(Captures { text, from: 0, places }));
            let found: Vec<_> = self.captures_iter(text).map(groups).collect();
            self.is_match(text) != found.is_empty() && plainly.eq(found)
        })
    }

    /// The first place where it matches.
    pub(crate) fn captures<'t>(&self, text: &'t str) -> Option<Captures<'t>> {
        self.captures_iter(text).next()
    }

    /// All places, from the first to the last.
    pub(crate) fn captures_iter<'p, 't>(&'p self, text: &'t str) -> Matches<'p, 't> {
        Matches { pattern: self, text, from: 0, places: None }
    }
}

/// The next line from there on that holds the piece, and where it begins. `from` is the beginning of a line, and then of
/// the one behind.
fn next_line<'t>(piece: &Finder<'_>, text: &'t [u8], from: &mut usize) -> Option<(usize, &'t [u8])> {
    let found = *from + piece.find(text.get(*from..)?)?;
    let start = memrchr(b'\n', text.get(..found)?).map_or(0, |end| end + 1);
    let end = memchr(b'\n', text.get(found..)?).map_or(text.len(), |behind| found + behind);
    *from = end + 1;
    Some((start, text.get(start..end)?))
}

impl<'t> Captures<'t> {
    /// What a group of that name took; nothing where it took a part of a character or of a word.
    pub(crate) fn name(&self, name: &str) -> Option<&'t str> {
        self.whole(&self.places.name(name)?)
    }

    /// What the nth group took, likewise; the whole match is group 0.
    pub(crate) fn group(&self, nth: usize) -> Option<&'t str> {
        self.whole(&self.places.get(nth)?)
    }

    /// The text there, unless it ends within a character, or within a word by a letter that isn't ASCII: `\w+` would read
    /// `Z` where a device says `Zürich`.
    fn whole(&self, place: &bytes::Match<'t>) -> Option<&'t str> {
        let Range { start, end } = self.from + place.start()..self.from + place.end();
        let value = self.text.get(start..end)?;
        let (before, after) = (self.text.get(..start)?, self.text.get(end..)?);
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
        let (text, bytes) = (self.text, self.text.as_bytes());
        match (&self.pattern.place, &mut self.places) {
            (Place::Line(piece), _) => loop {
                let (from, line) = next_line(piece, bytes, &mut self.from)?;
                if let Some(places) = self.pattern.regex.captures(line) {
                    return Some(Captures { text, from, places });
                }
            },
            (Place::Text(piece), _) if piece.find(bytes.get(self.from..)?).is_none() => None,
            (_, places) => {
                let places = places.get_or_insert_with(|| self.pattern.regex.captures_iter(bytes)).next()?;
                self.from = places.get_match().end();
                Some(Captures { text, from: 0, places })
            }
        }
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
    fn where_it_is_looked_for_hides_no_match() {
        let texts = [
            "v 1\nx v 22\nv 333\nw\nü v 4",
            "\n\nv 1 v 2\n v 3\n",
            "v 1",
            "v \n1\nv 2 2",
            "",
            "\n",
            "a v 1\nv\u{fc} 1\nv 12",
            "v 1 w\nw v 1\nv 1",
        ];
        let patterns = [
            r"^v (\d+)",
            r"^[ \t]*v (\d+)$",
            r"^(?:v|x) ?v? (\d+)\b",
            r"^.*v (?<n>\d+)",
            r"^v (\d+)\s*$",
            r"^v (\d+)[^w]*",
            r"^v (\d+)\z",
            r"v (\d+)$",
            "(v |w)",
            "^v |^w",
            r"(?i)^V (\d+)",
            r"^(?i:V) (\d+)",
            r"v (\d+)\n",
            r"^v \n?(\d+)",
            r"^(v (?:\d )?){1,2}",
            r"(?x)^v\ (\d+) # a number",
            "^",
            "()",
            r"^\W*v (\S+)",
        ];
        for written in patterns {
            let pattern = pattern(written);
            for text in texts {
                assert!(pattern.agrees(text), "{written} in {text:?}");
            }
            assert_eq!(pattern.as_str(), written);
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
