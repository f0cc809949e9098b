//! As whom a request is made.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretString};

/// What the `Authorization` header says. Shown nowhere.
#[derive(Clone)]
pub enum Login {
    /// `Bearer SECRET` (RFC 6750).
    Bearer(SecretString),
    /// `Token SECRET`, as NetBox and Nautobot want it.
    Token(SecretString),
    /// `Basic`, a name and a password (RFC 7617).
    Basic {
        /// The name; without a colon, which ends it on the wire.
        username: String,
        /// The password.
        password: SecretString,
    },
}

impl Login {
    /// The header's value.
    pub(super) fn value(&self) -> SecretString {
        match self {
            Self::Bearer(secret) => format!("Bearer {}", secret.expose_secret()),
            Self::Token(secret) => format!("Token {}", secret.expose_secret()),
            Self::Basic { username, password } => {
                format!("Basic {}", STANDARD.encode(format!("{username}:{}", password.expose_secret())))
            }
        }
        .into()
    }
}

/// Whether a reload changes it.
impl PartialEq for Login {
    fn eq(&self, other: &Self) -> bool {
        self.value().expose_secret() == other.value().expose_secret()
    }
}

impl Eq for Login {}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bearer(_) => "Bearer",
            Self::Token(_) => "Token",
            Self::Basic { .. } => "Basic",
        })
    }
}
