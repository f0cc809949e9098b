//! Tokens of forms: what a page of this process gave to a user, and no other site's page can know.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// Makes tokens and knows them again. Nothing is kept: a token is a keyed hash of the user's name.
pub(super) struct Tokens {
    /// Of this process: the forms of the one before, or of another, are none of ours.
    key: [u8; 64],
}

impl Tokens {
    pub(super) fn new(key: [u8; 64]) -> Self {
        Self { key }
    }

    /// The token of that user's forms. Whoever has shown neither a password nor a certificate shares it with all others who have
    /// not.
    pub(super) fn token(&self, user: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.mac(user).finalize().into_bytes())
    }

    /// Whether it is that user's token, in the same time wherever the two differ.
    pub(super) fn is_of(&self, user: &str, token: &str) -> bool {
        URL_SAFE_NO_PAD.decode(token).is_ok_and(|given| self.mac(user).verify_slice(&given).is_ok())
    }

    fn mac(&self, user: &str) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new(&self.key.into());
        mac.update(user.as_bytes());
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_of_one_user_and_one_process() {
        let (tokens, others) = (Tokens::new([7; 64]), Tokens::new([8; 64]));
        let token = tokens.token("ops");
        assert!(tokens.is_of("ops", &token));
        for (tokens, user) in [(&tokens, ""), (&tokens, "op"), (&tokens, "opsx"), (&others, "ops")] {
            assert!(!tokens.is_of(user, &token), "{user}");
        }
        for broken in ["", "x", "%", &token[1..], &token[..42], &format!("{token}A"), &format!("{token}=")] {
            assert!(!tokens.is_of("ops", broken), "{broken}");
        }
    }
}
