//! Credentials made ready to log in with: private keys are decoded once, since a passphrase costs a tenth of a second.

use std::fmt;
use std::sync::Arc;

use russh::keys::{self, PrivateKey};
use secrecy::{ExposeSecret, SecretString};

use crate::credential::{Credential, KeyMaterial};
use crate::device::CredentialId;

/// Why a credential can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("credential {credential}: {problem}")]
pub struct SshSetupError {
    /// Which credential.
    pub credential: CredentialId,
    /// What is wrong with it.
    pub problem: SetupProblem,
}

/// What can be wrong with a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SetupProblem {
    /// There is nothing to log in with.
    #[error("it has neither a password nor a private key: give one of them")]
    Nothing,
    /// The key is encrypted and no passphrase is given.
    #[error("the private key is encrypted: give its passphrase")]
    PassphraseMissing,
    /// The passphrase doesn't unlock the key.
    #[error("the passphrase doesn't unlock the private key")]
    WrongPassphrase,
    /// The key's text is none that can be read.
    #[error("the private key can't be read: it must be an OpenSSH, PKCS#8, PKCS#1 or PuTTY private key")]
    UnknownFormat,
}

/// A credential, ready for use.
pub(super) struct Login {
    pub(super) username: String,
    pub(super) key: Option<Arc<PrivateKey>>,
    pub(super) password: Option<SecretString>,
    pub(super) enable: Option<SecretString>,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("username", &self.username).finish_non_exhaustive()
    }
}

impl Login {
    /// Decodes the credential's key.
    pub(super) fn prepare(credential: &Credential) -> Result<Self, SshSetupError> {
        let refuse = |problem| SshSetupError { credential: credential.id.clone(), problem };
        if credential.password.is_none() && credential.private_key.is_none() {
            return Err(refuse(SetupProblem::Nothing));
        }
        let key = credential.private_key.as_ref().map(decode).transpose().map_err(refuse)?;
        Ok(Self {
            username: credential.username.clone(),
            key: key.map(Arc::new),
            password: credential.password.clone(),
            enable: credential.enable.clone(),
        })
    }
}

fn decode(material: &KeyMaterial) -> Result<PrivateKey, SetupProblem> {
    let passphrase = material.passphrase.as_ref().map(ExposeSecret::expose_secret);
    let text = material.text.expose_secret();
    keys::decode_secret_key(text, passphrase).map_err(|error| match (error, passphrase) {
        (keys::Error::KeyIsEncrypted, None) => SetupProblem::PassphraseMissing,
        // Each format fails in its own way under a wrong passphrase, down to garbage in the decrypted bytes.
        (_, Some(_)) if looks_encrypted(text) => SetupProblem::WrongPassphrase,
        (_, None) if looks_encrypted(text) => SetupProblem::PassphraseMissing,
        _ => SetupProblem::UnknownFormat,
    })
}

/// Whether the text is an encrypted key as far as can be told without decrypting it.
fn looks_encrypted(text: &str) -> bool {
    const PEM: [&str; 3] =
        ["BEGIN ENCRYPTED PRIVATE KEY", "Proc-Type: 4,ENCRYPTED", "Encryption: aes256-cbc"];
    PEM.iter().any(|sign| text.contains(sign))
        || PrivateKey::from_openssh(text).is_ok_and(|key| key.is_encrypted())
}
