//! Secrets that were sent, to be taken out of whatever a device prints back before it is kept.

use secrecy::{ExposeSecret, SecretString};

/// What stands in the place of a secret.
pub(super) const HIDDEN: &str = "********";

/// The secrets of one visit.
#[derive(Debug, Clone, Default)]
pub(super) struct Secrets(Vec<SecretString>);

impl Secrets {
    pub(super) fn hide(&mut self, secret: SecretString) {
        self.0.push(secret);
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
}
