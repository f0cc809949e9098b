//! Models by pattern: `C9300*`, `*-48P`, whatever the case.

use std::fmt;

use crate::wildcard;

/// A model's name in which `*` stands for any text and `?` for one character.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelPattern(String);

impl ModelPattern {
    /// A pattern of at most 200 characters; nothing for an empty one or one with control characters.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let good = !text.is_empty() && text.len() <= 200 && !text.chars().any(char::is_control);
        good.then(|| Self(text.to_owned()))
    }

    /// Whether the whole model fits.
    #[must_use]
    pub fn matches(&self, model: &str) -> bool {
        wildcard::matches(self.0.to_lowercase().as_bytes(), model.to_lowercase().as_bytes())
    }
}

impl fmt::Display for ModelPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, model, fits) in [
            ("C9300*", "C9300-48P", true),
            ("C9300*", "c9300", true),
            ("C9300", "C9300-48P", false),
            ("*-48P", "C9300-48P", true),
            ("*-48P", "C9300-48P-A", false),
            ("C9?00-48P", "C9300-48P", true),
        ] {
            assert_eq!(ModelPattern::new(pattern).unwrap().matches(model), fits, "{pattern} {model}");
        }
        assert_eq!(ModelPattern::new(""), None);
    }
}
