//! An ssh-agent: it holds private keys and signs with them; versweep never sees more of them than their public halves.
//!
//! Only one key is ever shown to a device: the one that the credential names, or the only one that the agent has. The
//! agent is asked anew at each login, since its keys come and go; each question has a connection of its own, so that a
//! slow device keeps nobody else from the agent.

use std::fmt;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use russh::SendError;
use russh::client::{AuthResult, Handle};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{self, HashAlg, PublicKey};
use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::credential;

use super::client::Client;
use super::keys::SetupProblem;

/// How many logins ask at the same moment. The agent answers one after the other, and its socket refuses whom it has no
/// room for in its queue.
const TURNS: usize = 8;

/// How long the agent may take for one answer, the waiting for a turn included. Half of the usual login timeout at most:
/// an agent that hangs must not be taken for a device that does.
const PATIENCE: Duration = Duration::from_secs(5);

/// An agent and which of its keys is meant.
pub(super) struct Agent {
    socket: PathBuf,
    key: Option<PublicKey>,
    turns: Semaphore,
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agent").field("socket", &self.socket).finish_non_exhaustive()
    }
}

/// Why nothing was signed.
#[derive(Debug)]
pub(super) enum SignError {
    /// The SSH session has ended.
    SessionEnded,
    /// The agent could not, or would not: in words.
    Agent(String),
}

impl From<SendError> for SignError {
    fn from(_: SendError) -> Self {
        Self::SessionEnded
    }
}

impl Agent {
    /// Reads the public key that the configuration names.
    pub(super) fn prepare(agent: &credential::Agent) -> Result<Self, SetupProblem> {
        let read =
            |text: &String| PublicKey::from_openssh(text.trim()).map_err(|_| SetupProblem::BadPublicKey);
        let key = agent.public_key.as_ref().map(read).transpose()?;
        Ok(Self { socket: agent.socket.clone(), key, turns: Semaphore::new(TURNS) })
    }

    /// The same, for the key of a certificate; refused when another key is named beside it.
    pub(super) fn for_key(self, certified: PublicKey) -> Result<Self, SetupProblem> {
        match &self.key {
            Some(named) if named.key_data() != certified.key_data() => Err(SetupProblem::OtherCertificate),
            _ => Ok(Self { key: Some(certified), ..self }),
        }
    }

    /// The one key that may be shown to a device. The error is in words.
    pub(super) async fn identity(&self) -> Result<AgentIdentity, String> {
        let held = self.in_turn(async { self.connect().await?.request_identities().await }).await?;
        choose(held, self.key.as_ref()).map_err(|problem| self.said(&problem))
    }

    async fn connect(&self) -> Result<AgentClient<UnixStream>, keys::Error> {
        Ok(AgentClient::connect(UnixStream::connect(&self.socket).await?))
    }

    async fn in_turn<T>(
        &self,
        asking: impl Future<Output = Result<T, keys::Error>> + Send,
    ) -> Result<T, String> {
        let asking = async {
            let _turn = self.turns.acquire().await;
            asking.await
        };
        match timeout(PATIENCE, asking).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(self.said(&problem(&error))),
            Err(_) => Err(self.said(&format!("no answer within {PATIENCE:?}"))),
        }
    }

    fn said(&self, problem: &str) -> String {
        format!("ssh-agent at {}: {problem}", self.socket.display())
    }
}

/// Signs a login by one of the agent's keys.
pub(super) struct Signer<'a> {
    pub(super) agent: &'a Agent,
    pub(super) identity: AgentIdentity,
}

impl Signer<'_> {
    /// Logs in by the bare key.
    pub(super) async fn log_in(
        mut self,
        session: &mut Handle<Client>,
        user: &str,
        hash: Option<HashAlg>,
    ) -> Result<AuthResult, SignError> {
        let key = self.identity.public_key().into_owned();
        session.authenticate_publickey_with(user, key, hash, &mut self).await
    }

    /// Logs in by a certificate of that key.
    pub(super) async fn log_in_certified(
        mut self,
        session: &mut Handle<Client>,
        user: &str,
        certificate: keys::Certificate,
        hash: Option<HashAlg>,
    ) -> Result<AuthResult, SignError> {
        session.authenticate_certificate_with(user, certificate, hash, &mut self).await
    }
}

impl russh::Signer for Signer<'_> {
    type Error = SignError;

    async fn auth_sign(
        &mut self,
        _: &AgentIdentity,
        hash: Option<HashAlg>,
        to_sign: Vec<u8>,
    ) -> Result<Vec<u8>, SignError> {
        // The key is asked to sign also where its certificate is shown: not every agent knows that.
        let asking = async { self.agent.connect().await?.sign_request(&self.identity, hash, to_sign).await };
        self.agent.in_turn(asking).await.map_err(SignError::Agent)
    }
}

/// The identity that is meant. A key and its certificate are one key; the bare one is taken where both are held.
fn choose(held: Vec<AgentIdentity>, wanted: Option<&PublicKey>) -> Result<AgentIdentity, String> {
    let is_wanted = |held: &AgentIdentity| wanted.is_none_or(|key| same_key(&held.public_key(), key));
    let count = held.len();
    let mut meant: Vec<_> = held.into_iter().filter(is_wanted).collect();
    let bare = meant.iter().position(|held| matches!(held, AgentIdentity::PublicKey { .. })).unwrap_or(0);
    let Some(first) = meant.get(bare) else {
        return Err(match wanted {
            Some(key) if count > 0 => {
                format!("it does not hold the key {}: ssh-add it", key.fingerprint(HashAlg::Sha256))
            }
            _ => "it holds no key, or is locked: ssh-add one".to_owned(),
        });
    };
    if meant.iter().any(|other| !same_key(&other.public_key(), &first.public_key())) {
        return Err(format!("it holds {count} keys: name the one that is meant by public_key"));
    }
    Ok(meant.swap_remove(bare))
}

fn same_key(one: &PublicKey, other: &PublicKey) -> bool {
    one.key_data() == other.key_data()
}

fn problem(error: &keys::Error) -> String {
    match error {
        keys::Error::IO(error) => match error.kind() {
            io::ErrorKind::NotFound => "no such socket: is it running?".to_owned(),
            io::ErrorKind::ConnectionRefused => "nobody listens there: is it running?".to_owned(),
            io::ErrorKind::PermissionDenied => "this user may not ask it: check its owner".to_owned(),
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => {
                "it hung up: is it an ssh-agent?".to_owned()
            }
            _ => error.to_string(),
        },
        keys::Error::AgentFailure => {
            "it refused to sign: is it locked, was a confirmation denied?".to_owned()
        }
        keys::Error::AgentProtocolError => "its answer makes no sense: is it an ssh-agent?".to_owned(),
        error => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use russh::keys::{Algorithm, PrivateKey, key::safe_rng};

    use super::*;

    fn key() -> PublicKey {
        PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).unwrap().public_key().clone()
    }

    #[test]
    fn only_a_key_that_is_meant_is_chosen() {
        let (one, other) = (key(), key());
        let held = |keys: &[&PublicKey]| keys.iter().map(|key| AgentIdentity::from((*key).clone())).collect();
        let chosen = choose(held(&[&one]), None).unwrap();
        assert!(same_key(&chosen.public_key(), &one));
        let chosen = choose(held(&[&one, &other]), Some(&other)).unwrap();
        assert!(same_key(&chosen.public_key(), &other));
        assert!(choose(held(&[&one, &other]), None).unwrap_err().contains("2 keys: name the one"));
        assert!(choose(held(&[&one]), Some(&other)).unwrap_err().contains("does not hold the key SHA256:"));
        assert!(choose(Vec::new(), None).unwrap_err().contains("holds no key"));
    }

    /// With the device's own limit only, an agent that hangs would be taken for a device that does.
    #[tokio::test(start_paused = true)]
    async fn a_silent_agent_is_told_in_time() {
        let configured = credential::Agent { socket: "/run/agent".into(), public_key: None };
        let agent = Agent::prepare(&configured).unwrap();
        let error = agent.in_turn(std::future::pending::<Result<(), keys::Error>>()).await.unwrap_err();
        assert_eq!(error, "ssh-agent at /run/agent: no answer within 5s");
    }
}
