//! Credentials made ready to log in with: private keys are decoded once, since a passphrase costs a tenth of a second.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use russh::keys::{self, Certificate, PrivateKey, PublicKey};
use secrecy::{ExposeSecret, SecretString};

use crate::credential::{Credential, KeyMaterial};
use crate::device::CredentialId;
use crate::transport::secrets::Secrets;

use super::agent::Agent;

/// Why no transport can be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SshSetupError {
    /// A credential can't be used.
    #[error("credential {credential}: {problem}")]
    Credential {
        /// Which credential.
        credential: CredentialId,
        /// What is wrong with it.
        problem: SetupProblem,
    },
    /// A known_hosts file is there and can't be read. Going on without it would learn anew whatever key a server shows.
    #[error("{}: can't be read ({problem}): check its owner and mode, or name another file", file.display())]
    KnownHosts {
        /// Which file.
        file: PathBuf,
        /// What the operating system says.
        problem: String,
    },
}

/// What can be wrong with a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SetupProblem {
    /// There is nothing to log in with.
    #[error("it has neither a password nor a private key nor an agent: give one of them")]
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
    /// The certificate's text is none that can be read.
    #[error("the certificate can't be read: it must be what ssh-keygen -s writes, id-cert.pub")]
    BadCertificate,
    /// The certificate belongs to another key.
    #[error("the certificate is not of this private key: give the two that belong together")]
    OtherCertificate,
    /// The public key's text is none that can be read.
    #[error("the public_key can't be read: it must be a line as in id_ed25519.pub")]
    BadPublicKey,
}

/// What signs a login.
#[derive(Debug)]
pub(super) enum Key {
    /// A key of our own.
    Own(Arc<PrivateKey>),
    /// One that an ssh-agent holds.
    OfAgent(Arc<Agent>),
}

/// A credential, ready for use.
pub(super) struct Login {
    pub(super) username: String,
    pub(super) key: Option<Key>,
    /// Of that key.
    pub(super) certificate: Option<Certificate>,
    pub(super) password: Option<SecretString>,
    pub(super) enable: Option<SecretString>,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("username", &self.username).finish_non_exhaustive()
    }
}

impl Login {
    /// What may be sent and must not be told.
    pub(super) fn secrets(&self) -> Secrets {
        let mut secrets = Secrets::default();
        self.password.iter().chain(&self.enable).for_each(|secret| secrets.hide(secret.clone()));
        secrets
    }

    /// Decodes the credential's key.
    pub(super) fn prepare(credential: &Credential) -> Result<Self, SshSetupError> {
        let refuse = |problem| SshSetupError::Credential { credential: credential.id.clone(), problem };
        let own = credential.private_key.as_ref().map(decode).transpose().map_err(refuse)?;
        let agent = credential.agent.as_ref().map(Agent::prepare).transpose().map_err(refuse)?;
        let certificate = credential.certificate.as_deref().map(certificate).transpose().map_err(refuse)?;
        let certified = certificate.as_ref().map(|c| PublicKey::from(c.public_key().clone()));
        let key = match (own, agent, certified) {
            (Some(own), _, Some(certified)) if own.public_key().key_data() != certified.key_data() => {
                return Err(refuse(SetupProblem::OtherCertificate));
            }
            (Some(own), ..) => Some(Key::Own(Arc::new(own))),
            (None, Some(agent), Some(certified)) => {
                Some(Key::OfAgent(Arc::new(agent.for_key(certified).map_err(refuse)?)))
            }
            (None, Some(agent), None) => Some(Key::OfAgent(Arc::new(agent))),
            (None, None, _) => None,
        };
        if credential.password.is_none() && key.is_none() {
            return Err(refuse(SetupProblem::Nothing));
        }
        Ok(Self {
            certificate,
            username: credential.username.clone(),
            key,
            password: credential.password.clone(),
            enable: credential.enable.clone(),
        })
    }
}

fn certificate(text: &str) -> Result<Certificate, SetupProblem> {
    Certificate::from_openssh(text.trim()).map_err(|_| SetupProblem::BadCertificate)
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
