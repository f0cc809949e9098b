//! Which versions a policy means: one by name, all that begin alike, or a range by the platform's own ordering.

use std::cmp::Ordering;
use std::fmt;

use crate::version::{Scheme, Version};

/// The longest text of a pattern; a version is shorter.
const TEXT_MAX: usize = 200;

/// A choice of versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pattern {
    /// `17.9.4`: this one, in whichever spelling the platform takes for the same release.
    Exact(Version),
    /// `17.9.*`: every version whose text begins so.
    Prefix(String),
    /// `>=17.9.4, <17.13`: every version that keeps all bounds. At least one.
    Range(Vec<Bound>),
}

/// One end of a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// On which side of the version.
    pub side: Side,
    /// The version.
    pub version: Version,
}

/// The sides of a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// `>=`
    AtLeast,
    /// `>`
    Above,
    /// `<=`
    AtMost,
    /// `<`
    Below,
}

/// What a pattern says of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It is one of those meant.
    Yes,
    /// It isn't.
    No,
    /// It can't be ordered against a bound, so nobody knows: never taken for a yes.
    Unordered,
}

/// Why a text is no pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPattern {
    /// Nothing there, or too long.
    #[error("it is empty, too long or has control characters")]
    Length,
    /// A `*` elsewhere than at the end.
    #[error("a * stands at the end only")]
    Star,
    /// A bound without a version, or something else than a bound behind a comma.
    #[error("a bound is >=, >, <= or < with a version")]
    Bound,
}

impl Side {
    const ALL: [(&'static str, Self); 4] =
        [(">=", Self::AtLeast), ("<=", Self::AtMost), (">", Self::Above), ("<", Self::Below)];

    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::AtLeast => ordering.is_ge(),
            Self::Above => ordering.is_gt(),
            Self::AtMost => ordering.is_le(),
            Self::Below => ordering.is_lt(),
        }
    }
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// Says what a pattern looks like.
    pub fn parse(text: &str) -> Result<Self, BadPattern> {
        let text = text.trim();
        if text.is_empty() || text.len() > TEXT_MAX || text.chars().any(char::is_control) {
            return Err(BadPattern::Length);
        }
        if text.starts_with(['<', '>']) {
            return pieces(text).into_iter().map(Bound::parse).collect::<Result<_, _>>().map(Self::Range);
        }
        match text.split_once('*') {
            None => Ok(Self::Exact(Version::new(text))),
            Some((beginning, "")) if !beginning.is_empty() => Ok(Self::Prefix(beginning.to_owned())),
            Some(_) => Err(BadPattern::Star),
        }
    }

    /// This version and all that come after it.
    #[must_use]
    pub fn at_least(version: Version) -> Self {
        Self::Range(vec![Bound { side: Side::AtLeast, version }])
    }

    /// What it says of a version; without a scheme no two texts have an order.
    #[must_use]
    pub fn answer(&self, version: &Version, scheme: Option<Scheme>) -> Answer {
        let compare = |other: &Version| {
            if version == other { Some(Ordering::Equal) } else { scheme?.compare(version, other) }
        };
        match self {
            Self::Exact(exact) => yes(compare(exact) == Some(Ordering::Equal)),
            Self::Prefix(beginning) => yes(version.as_str().starts_with(beginning.as_str())),
            Self::Range(bounds) => {
                let answers = bounds.iter().map(|bound| compare(&bound.version).map(|o| bound.side.holds(o)));
                answers.fold(Answer::Yes, |so_far, kept| match (so_far, kept) {
                    // A bound that is surely broken decides, whatever the others would say.
                    (Answer::No, _) | (_, Some(false)) => Answer::No,
                    (_, None) => Answer::Unordered,
                    (so_far, Some(true)) => so_far,
                })
            }
        }
    }

    /// The versions in its bounds that a scheme can't read: with them nothing is ever in the range.
    pub fn unreadable(&self, scheme: Scheme) -> impl Iterator<Item = &Version> {
        let bounds = if let Self::Range(bounds) = self { bounds.as_slice() } else { &[] };
        bounds.iter().map(|bound| &bound.version).filter(move |version| !scheme.reads(version))
    }
}

fn yes(yes: bool) -> Answer {
    if yes { Answer::Yes } else { Answer::No }
}

/// A version may have commas of its own; a new bound begins behind one only with its sign.
fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let (mut begin, mut from) = (0, 0);
    while let Some(comma) = text[from..].find(',').map(|at| from + at) {
        from = comma + 1;
        if text[from..].trim_start().starts_with(['<', '>']) {
            pieces.push(&text[begin..comma]);
            begin = from;
        }
    }
    pieces.push(&text[begin..]);
    pieces
}

impl Bound {
    fn parse(text: &str) -> Result<Self, BadPattern> {
        let text = text.trim();
        let (sign, side) =
            Side::ALL.into_iter().find(|(sign, _)| text.starts_with(sign)).ok_or(BadPattern::Bound)?;
        let version = text[sign.len()..].trim();
        if version.is_empty() || version.starts_with(['<', '>', '=']) || version.contains('*') {
            return Err(BadPattern::Bound);
        }
        Ok(Self { side, version: Version::new(version) })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(version) => version.fmt(f),
            Self::Prefix(beginning) => write!(f, "{beginning}*"),
            Self::Range(bounds) => {
                for (place, bound) in bounds.iter().enumerate() {
                    let comma = if place > 0 { ", " } else { "" };
                    let sign = Side::ALL.into_iter().find(|(_, side)| *side == bound.side);
                    write!(f, "{comma}{}{}", sign.map_or("", |(sign, _)| sign), bound.version)?;
                }
                Ok(())
            }
        }
    }
}
