//! Models by pattern: `C9300*`, `*-48P`, whatever the case.

use std::fmt;

/// A model's name in which `*` stands for any text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelPattern(String);

impl ModelPattern {
    /// A pattern of at most 200 characters; nothing for an empty one or one with control characters.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let good = !text.is_empty() && text.len() <= 200 && !text.chars().any(char::is_control);
        good.then(|| Self(text.to_owned()))
    }

    /// Whether the whole model fits. Linear: a star that took too little is the only one ever tried again.
    #[must_use]
    pub fn matches(&self, model: &str) -> bool {
        let (pattern, text) = (self.0.as_bytes(), model.as_bytes());
        let (mut p, mut t) = (0, 0);
        let mut star: Option<(usize, usize)> = None;
        while t < text.len() {
            match pattern.get(p) {
                Some(b'*') => {
                    star = Some((p, t));
                    p += 1;
                }
                Some(byte) if byte.eq_ignore_ascii_case(&text[t]) => {
                    p += 1;
                    t += 1;
                }
                _ => {
                    let Some((behind, taken)) = star else { return false };
                    star = Some((behind, taken + 1));
                    p = behind + 1;
                    t = taken + 1;
                }
            }
        }
        pattern[p..].iter().all(|byte| *byte == b'*')
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
            ("*48*A", "C9300-48P-48-A", true),
            ("*", "", true),
            ("a*b", "ab", true),
            ("a*b", "aXbX", false),
        ] {
            assert_eq!(ModelPattern::new(pattern).unwrap().matches(model), fits, "{pattern} {model}");
        }
        assert_eq!(ModelPattern::new(""), None);
    }
}
