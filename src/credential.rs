//! What versweep logs in with. Secrets stay inside `SecretString`, whose Debug shows nothing.

use secrecy::SecretString;

use crate::device::CredentialId;

/// One `[credentials.NAME]` table with its secrets read.
#[derive(Debug, Clone)]
pub struct Credential {
    /// Its name, which devices refer to.
    pub id: CredentialId,
    /// The user to log in as.
    pub username: String,
    /// The password, where one is configured.
    pub password: Option<SecretString>,
    /// The private key, where one is configured.
    pub private_key: Option<KeyMaterial>,
    /// An OpenSSH certificate of that key, as it was read.
    pub certificate: Option<String>,
    /// The login budget, all devices and sweeps together; none is no limit beside the workers.
    pub logins_per_second: Option<u32>,
}

/// A private key as it was read: decoded by the transport, which knows the formats.
#[derive(Debug, Clone)]
pub struct KeyMaterial {
    /// The key file's text: OpenSSH or PEM.
    pub text: SecretString,
    /// What unlocks it.
    pub passphrase: Option<SecretString>,
}
