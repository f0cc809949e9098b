//! What versions are compared by.

use std::cmp::Ordering;

/// A version taken apart. Two families have no order. Within one, `head` decides where it differs; where it doesn't,
/// only one `train` can be ordered, by `tail`.
///
/// This is a partial order: head and tail are total orders on their own, family and train equalities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) family: String,
    pub(super) head: Vec<Part>,
    pub(super) train: String,
    pub(super) tail: Vec<Part>,
}

impl Key {
    pub(super) fn compare(&self, other: &Self) -> Option<Ordering> {
        if self.family != other.family {
            return None;
        }
        match self.head.cmp(&other.head) {
            Ordering::Equal if self.train == other.train => Some(self.tail.cmp(&other.tail)),
            Ordering::Equal => None,
            unequal => Some(unequal),
        }
    }
}

/// One piece of a version. The order of the variants is their order: a pre-release comes before the end of the
/// version, the end before anything more.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// Debian's `~`: before everything.
    Tilde,
    /// A word that says that the release is still to come: `rc`, `beta`.
    Before(String),
    /// Nothing more.
    End,
    /// Any other word.
    Word(String),
    /// A number: how many digits, then the digits, so that no number is too long.
    Number(usize, String),
}

impl Part {
    pub(super) fn number(digits: &str) -> Self {
        let digits = digits.trim_start_matches('0');
        Self::Number(digits.len(), digits.to_owned())
    }

    pub(super) fn word(letters: &str) -> Self {
        Self::Word(letters.to_ascii_lowercase())
    }

    fn is_zero(&self) -> bool {
        matches!(self, Self::Number(0, _))
    }
}

/// Takes zeros off the end, so that `7.5` and `7.5.0` are one version.
pub(super) fn without_trailing_zeros(mut parts: Vec<Part>) -> Vec<Part> {
    while parts.last().is_some_and(Part::is_zero) {
        parts.pop();
    }
    parts
}

/// Reads a version from left to right.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a>(pub(super) &'a str);

impl<'a> Reader<'a> {
    fn take_while(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let end = self.0.find(|c| !belongs(c)).unwrap_or(self.0.len());
        let (taken, rest) = self.0.split_at(end);
        self.0 = rest;
        taken
    }

    /// The digits that stand here, possibly none.
    pub(super) fn digits(&mut self) -> &'a str {
        self.take_while(|c| c.is_ascii_digit())
    }

    /// The number that stands here.
    pub(super) fn number(&mut self) -> Option<Part> {
        let digits = self.digits();
        (!digits.is_empty()).then(|| Part::number(digits))
    }

    /// The letters that stand here, possibly none.
    pub(super) fn letters(&mut self) -> &'a str {
        self.take_while(|c| c.is_ascii_alphabetic())
    }

    /// Steps over `literal` if it stands here.
    pub(super) fn eat(&mut self, literal: &str) -> bool {
        match self.0.strip_prefix(literal) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    /// Numbers between dots: `17.9.4`. At least one.
    pub(super) fn numbers(&mut self) -> Option<Vec<Part>> {
        let mut numbers = vec![self.number()?];
        loop {
            let mut ahead = *self;
            if !ahead.eat(".") {
                return Some(numbers);
            }
            let Some(number) = ahead.number() else { return Some(numbers) };
            numbers.push(number);
            *self = ahead;
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.0.is_empty()
    }
}
