//! Secrets that were sent, to be taken out of whatever a device prints back before it is kept.

use std::cmp::Reverse;

use secrecy::{ExposeSecret, SecretString};

/// What stands in the place of a secret.
pub(super) const HIDDEN: &str = "********";

/// The secrets of one visit, the longest first: one that holds another is taken out as a whole.
///
/// A text is redacted before it is cut to size: half a secret is found by nobody.
#[derive(Debug, Clone, Default)]
pub(super) struct Secrets(Vec<SecretString>);

impl Secrets {
    pub(super) fn hide(&mut self, secret: SecretString) {
        self.0.push(secret);
        self.0.sort_by_key(|secret| Reverse(secret.expose_secret().len()));
    }

    /// The text without them.
    pub(super) fn redacted(&self, text: String) -> String {
        let secrets = self.0.iter().map(ExposeSecret::expose_secret).filter(|secret| !secret.is_empty());
        secrets.fold(
            text,
            |text, secret| {
                if text.contains(secret) { text.replace(secret, HIDDEN) } else { text }
            },
        )
    }

    /// The text without the beginning of a secret at its end: for a text whose rest was never kept.
    pub(super) fn without_a_torn_one(&self, mut text: String) -> String {
        let torn = |secret: &SecretString| {
            let secret = secret.expose_secret();
            let lengths = (1..secret.len()).rev().filter(|length| secret.is_char_boundary(*length));
            lengths.into_iter().find(|length| text.ends_with(&secret[..*length]))
        };
        if let Some(length) = self.0.iter().filter_map(torn).max() {
            text.truncate(text.len() - length);
        }
        text
    }
}

#[cfg(test)]
impl Secrets {
    pub(super) fn of<const N: usize>(secrets: [&str; N]) -> Self {
        let mut all = Self::default();
        secrets.into_iter().for_each(|secret| all.hide(secret.into()));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rest of a longer secret once stood beside the shorter one's stars.
    #[test]
    fn a_secret_that_holds_another_is_taken_out_as_a_whole() {
        let secrets = Secrets::of(["hunter2", "hunter2-enable"]);
        assert_eq!(secrets.redacted("hunter2-enable, hunter2.".to_owned()), "********, ********.");
    }

    #[test]
    fn the_beginning_of_a_secret_at_the_end_is_dropped() {
        let secrets = Secrets::of(["hünter2"]);
        assert_eq!(secrets.without_a_torn_one("Password: hün".to_owned()), "Password: ");
        assert_eq!(secrets.without_a_torn_one("Password: hünter".to_owned()), "Password: ");
        assert_eq!(secrets.without_a_torn_one("r1#".to_owned()), "r1#");
    }
}
