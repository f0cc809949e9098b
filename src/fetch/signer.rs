//! Signatures that a webhook's receiver checks, as Standard Webhooks describe them: `v1,` and the base64 of an HMAC-SHA256
//! over identity, time and body.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretBox, SecretString};
use sha2::{Digest as _, Sha256};

/// What secrets of this kind begin with.
const PREFIX: &str = "whsec_";

/// The shortest and the longest key, in bytes, by the specification.
const KEY: std::ops::RangeInclusive<usize> = 24..=64;

/// A key that messages are signed with. Shown nowhere.
pub struct Signer(SecretBox<Vec<u8>>);

/// Why a text is no key. It never repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no webhook secret: whsec_ and the base64 of 24 to 64 bytes")]
pub struct BadKey;

impl Signer {
    /// Reads a secret such as `whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw`.
    ///
    /// # Errors
    /// [`BadKey`].
    pub fn parse(secret: &SecretString) -> Result<Self, BadKey> {
        let text = secret.expose_secret().trim();
        let key = STANDARD.decode(text.strip_prefix(PREFIX).unwrap_or(text)).map_err(|_| BadKey)?;
        if !KEY.contains(&key.len()) {
            return Err(BadKey);
        }
        Ok(Self(SecretBox::new(Box::new(key))))
    }

    /// The signature of one message; `timestamp` is in seconds since 1970.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.0.expose_secret()) else {
            // HMAC takes keys of any length.
            return String::new();
        };
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

/// Whether a reload changes it.
impl PartialEq for Signer {
    fn eq(&self, other: &Self) -> bool {
        self.0.expose_secret() == other.0.expose_secret()
    }
}

impl Eq for Signer {}

impl Clone for Signer {
    fn clone(&self) -> Self {
        Self(SecretBox::new(Box::new(self.0.expose_secret().clone())))
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer")
    }
}

/// The identity of a message for `webhook-id`: as stable as the event's own, and without the full stops that the signed
/// text is put together with.
#[must_use]
pub fn message_id(event: &str) -> String {
    let digest = Sha256::digest(event.as_bytes());
    let hex = digest.iter().take(16).map(|byte| format!("{byte:02x}"));
    std::iter::once("msg_".to_owned()).chain(hex).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification and of its libraries.
    #[test]
    fn a_signature_is_that_of_the_specification() {
        let signer = Signer::parse(&"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned().into()).unwrap();
        let signature =
            signer.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn what_is_no_key_is_refused_without_being_shown() {
        for text in
            ["", "whsec_", "planted", "whsec_cGxhbnRlZA==", "whsec_not base64 planted!!!!!!!!!!!!!!!!!!!!!"]
        {
            let error = Signer::parse(&text.to_owned().into()).unwrap_err();
            assert!(!error.to_string().contains("planted"), "{text}");
        }
        let key = Signer::parse(&"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned().into()).unwrap();
        assert_eq!(format!("{key:?}"), "Signer");
    }

    #[test]
    fn an_identity_has_no_full_stop_and_stays_the_same() {
        let id = message_id("019a:upgrade:core1.ams");
        assert_eq!(id, message_id("019a:upgrade:core1.ams"));
        assert_ne!(id, message_id("019a:upgrade:core2.ams"));
        assert!(id.len() == 36 && !id.contains('.'), "{id}");
    }
}
