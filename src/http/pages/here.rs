//! Addresses: every state of a page is one, and every link is the present one with something changed.

use std::fmt::Write as _;

use crate::http::api::Query;

/// A page's path and query.
#[derive(Debug, Clone)]
pub(super) struct Here {
    path: String,
    pairs: Vec<(String, String)>,
}

impl Here {
    /// The address that was asked for.
    pub(super) fn new(path: impl Into<String>, query: &Query) -> Self {
        Self { path: path.into(), pairs: query.pairs().to_vec() }
    }

    /// An address without a query.
    pub(super) fn at(path: impl Into<String>) -> Self {
        Self { path: path.into(), pairs: Vec::new() }
    }

    /// A device's own page.
    pub(super) fn device(name: &str) -> Self {
        Self::at(format!("/devices/{}", encoded(name)))
    }

    /// The address with this value as the only one of its key.
    pub(super) fn with(&self, key: &str, value: &str) -> Self {
        let mut here = self.without(&[key]);
        here.pairs.push((key.to_owned(), value.to_owned()));
        here
    }

    /// The address with one more value of a key.
    pub(super) fn and(mut self, key: &str, value: &str) -> Self {
        self.pairs.push((key.to_owned(), value.to_owned()));
        self
    }

    /// The address without these keys.
    pub(super) fn without(&self, keys: &[&str]) -> Self {
        let mut here = self.clone();
        here.pairs.retain(|(key, _)| !keys.contains(&key.as_str()));
        here
    }

    /// The address without one pair.
    pub(super) fn without_pair(&self, pair: &(String, String)) -> Self {
        let mut here = self.clone();
        here.pairs.retain(|one| one != pair);
        here
    }

    /// The first value of a key.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.pairs.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// The pairs of the query.
    pub(super) fn pairs(&self) -> &[(String, String)] {
        &self.pairs
    }

    /// As it stands in a link.
    pub(super) fn href(&self) -> String {
        let mut href = self.path.clone();
        for (number, (key, value)) in self.pairs.iter().enumerate() {
            href.push(if number == 0 { '?' } else { '&' });
            // Writing to a String can't fail.
            let _ = write!(href, "{}={}", encoded(key), encoded(value));
        }
        href
    }
}

/// Percent-encoded, all but the unreserved characters of RFC 3986.
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            // Writing to a String can't fail.
            _ => drop(write!(out, "%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_stands_in_a_text_stays_within_its_place() {
        let here = Here::at("/devices").and("q", "a&b=c#d é").with("sort", "-version").with("sort", "state");
        assert_eq!(here.href(), "/devices?q=a%26b%3Dc%23d%20%C3%A9&sort=state");
        assert_eq!(here.without(&["q", "sort"]).href(), "/devices");
        assert_eq!(Here::device("a/b?\"<").href(), "/devices/a%2Fb%3F%22%3C");
    }
}
