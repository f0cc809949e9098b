//! Authentication: the key first, then the password, each once (rule 2).

use std::sync::Arc;

use russh::client::{AuthResult, Handle};
use russh::keys::{HashAlg, PrivateKey, PrivateKeyWithHashAlg};
use russh::{Error, MethodKind, MethodSet};
use secrecy::ExposeSecret;
use tokio::time::{Instant, timeout_at};

use crate::device::Device;
use crate::failure::{FailureKind, Stage};
use crate::transport::TransportError;

use super::client::Client;
use super::errors::{fail, lost};
use super::facts::{End, SharedFacts};
use super::keys::Login;

/// Logs in before the deadline.
pub(super) async fn log_in(
    session: &mut Handle<Client>,
    login: &Login,
    device: &Device,
    facts: &SharedFacts,
    deadline: Instant,
) -> Result<(), TransportError> {
    let attempt = Attempt { login, device, facts };
    timeout_at(deadline, attempt.run(session)).await.unwrap_or_else(|_| {
        let limit = device.timeouts.login;
        let detail = format!(
            "no answer to the login within the login timeout of {limit:?}; does its AAA server answer?"
        );
        Err(fail(FailureKind::Timeout, Stage::Auth, &detail))
    })
}

/// What the server said to one method.
enum Answer {
    LoggedIn,
    /// Not with this one; it would go on with those. True when the method was right but is not enough.
    Refused(MethodSet, bool),
}

struct Attempt<'a> {
    login: &'a Login,
    device: &'a Device,
    facts: &'a SharedFacts,
}

impl Attempt<'_> {
    async fn run(&self, session: &mut Handle<Client>) -> Result<(), TransportError> {
        let mut offered = None;
        if let Some(key) = &self.login.key {
            match self.by_key(session, key).await? {
                Answer::LoggedIn => return self.note("logged in by public key"),
                Answer::Refused(methods, half) => {
                    if self.login.password.is_none() || !methods.contains(&MethodKind::Password) {
                        return Err(self.refused("public key", &methods, half));
                    }
                    offered = Some(half);
                }
            }
        }
        if let Some(password) = &self.login.password {
            let user = self.login.username.as_str();
            let result = session.authenticate_password(user, password.expose_secret()).await;
            match self.answer("password", result)? {
                Answer::LoggedIn if offered.is_some() => {
                    return self.note("logged in by password after the public key");
                }
                Answer::LoggedIn => return self.note("logged in by password"),
                Answer::Refused(methods, half) => return Err(self.refused("password", &methods, half)),
            }
        }
        Err(self.refused("nothing", &MethodSet::empty(), false))
    }

    async fn by_key(
        &self,
        session: &mut Handle<Client>,
        key: &Arc<PrivateKey>,
    ) -> Result<Answer, TransportError> {
        let hash = if key.algorithm().is_rsa() { Some(rsa_hash(session).await) } else { None };
        let key = PrivateKeyWithHashAlg::new(Arc::clone(key), hash);
        let result = session.authenticate_publickey(self.login.username.as_str(), key).await;
        self.answer("public key", result)
    }

    /// Sorts out what russh gives: a session that ended during authentication also looks like a refusal there.
    fn answer(&self, method: &str, result: Result<AuthResult, Error>) -> Result<Answer, TransportError> {
        match result {
            Ok(AuthResult::Success) => Ok(Answer::LoggedIn),
            Ok(AuthResult::Failure { remaining_methods, partial_success })
                if !remaining_methods.is_empty() =>
            {
                Ok(Answer::Refused(remaining_methods, partial_success))
            }
            Ok(AuthResult::Failure { .. }) | Err(_) => Err(self.ended(method)),
        }
    }

    fn ended(&self, method: &str) -> TransportError {
        let ended = self.facts.with(|facts| facts.ended.clone());
        match ended.as_ref().map(|ended| ended.how) {
            // A server that hangs up on a secret has refused it as far as versweep is concerned: taken for a network
            // failure it would be tried again, and each try counts towards a lock-out.
            None | Some(End::TooManyAuthFailures | End::ServerGaveUp | End::Farewell | End::Closed) => {
                let how =
                    ended.map_or_else(|| "it offers no further method".to_owned(), |ended| ended.detail);
                self.auth(&format!("{} refused the {method}: {how}", self.device.endpoint))
            }
            Some(End::Busy | End::Broken) => lost(Stage::Auth, self.facts, "during the login"),
        }
    }

    fn refused(&self, method: &str, offered: &MethodSet, half: bool) -> TransportError {
        let offered: Vec<&str> = offered.iter().map(Into::into).collect();
        let offered = offered.join(", ");
        let (at, user) = (&self.device.endpoint, &self.login.username);
        self.auth(&if half {
            format!("{at} wants more than the {method} of user {user}; it goes on with: {offered}")
        } else {
            format!("{at} refused the {method} of user {user}; it offers: {offered}")
        })
    }

    fn auth(&self, what: &str) -> TransportError {
        let hint = format!("{what}; check credential {}", self.device.credential);
        fail(FailureKind::Auth, Stage::Auth, &hint)
    }

    fn note(&self, how: &str) -> Result<(), TransportError> {
        self.facts.with(|facts| facts.notes.push(how.to_owned()));
        Ok(())
    }
}

/// The best hash that the server says it takes. One that says nothing, or only SHA-1, gets SHA-512 all the same: SHA-1
/// signatures are for those who ask for them.
async fn rsa_hash(session: &Handle<Client>) -> HashAlg {
    session.best_supported_rsa_hash().await.ok().flatten().flatten().unwrap_or(HashAlg::Sha512)
}
