//! What versweep logs in with. Secrets stay inside `SecretString`, whose Debug shows nothing.

use std::path::PathBuf;

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
    /// What raises the user's rights on devices whose profile asks for it, where one is configured.
    pub enable: Option<SecretString>,
    /// The private key, where one is configured.
    pub private_key: Option<KeyMaterial>,
    /// The ssh-agent that holds the private key, where one is to be asked. Never together with `private_key`.
    pub agent: Option<Agent>,
    /// The login budget, all devices and sweeps together; none is no limit beside the workers.
    pub logins_per_second: Option<u32>,
    /// An OpenSSH certificate of the private key or of the agent's, as it was read.
    pub certificate: Option<String>,
}

/// A private key as it was read: decoded by the transport, which knows the formats.
#[derive(Debug, Clone)]
pub struct KeyMaterial {
    /// The key file's text: OpenSSH or PEM.
    pub text: SecretString,
    /// What unlocks it.
    pub passphrase: Option<SecretString>,
}

/// An ssh-agent and which of its keys is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// Its socket.
    pub socket: PathBuf,
    /// The key's public half, a line as in `id_ed25519.pub`. Without it the agent must hold one key only: no other one is
    /// ever shown to a device.
    pub public_key: Option<String>,
}
