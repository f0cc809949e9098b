//! A certificate of an RSA key of our own. russh signs for the other types by itself; for these it would sign with SHA-2
//! under the name of SHA-1, which servers refuse.

use std::sync::Arc;

use russh::client::{AuthResult, Handle};
use russh::keys::agent::AgentIdentity;
use russh::keys::signature::Signer as _;
use russh::keys::ssh_encoding::Encode;
use russh::keys::ssh_key::Signature;
use russh::keys::ssh_key::private::KeypairData;
use russh::keys::{Certificate, HashAlg, PrivateKey};
use russh::{Error, SendError};

use super::client::Client;

/// Logs in by the certificate, with signatures of that hash.
pub(super) async fn log_in(
    session: &mut Handle<Client>,
    user: &str,
    key: &Arc<PrivateKey>,
    certificate: Certificate,
    hash: Option<HashAlg>,
) -> Result<AuthResult, Error> {
    let mut signer = Signer(Arc::clone(key));
    let result = session.authenticate_certificate_with(user, certificate, hash, &mut signer).await;
    result.map_err(|Failed(error)| error)
}

struct Signer(Arc<PrivateKey>);

/// Signing failed, or the session has ended.
struct Failed(Error);

impl From<SendError> for Failed {
    fn from(_: SendError) -> Self {
        Self(Error::SendError)
    }
}

impl Signer {
    /// A signature in the form of RFC 4253, section 6.6.
    fn sign(&self, hash: Option<HashAlg>, data: &[u8]) -> Result<Vec<u8>, Error> {
        let signature: Signature = match self.0.key_data() {
            KeypairData::Rsa(key) => (key, hash).try_sign(data)?,
            key => key.try_sign(data)?,
        };
        Ok(Vec::try_from(signature)?)
    }
}

impl russh::Signer for Signer {
    type Error = Failed;

    async fn auth_sign(
        &mut self,
        _: &AgentIdentity,
        hash: Option<HashAlg>,
        mut to_sign: Vec<u8>,
    ) -> Result<Vec<u8>, Failed> {
        let signature = self.sign(hash, &to_sign).map_err(Failed)?;
        // The answer is what was to be signed with the signature behind it.
        signature.encode(&mut to_sign).map_err(|error| Failed(error.into()))?;
        Ok(to_sign)
    }
}
