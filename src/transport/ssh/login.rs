//! Authentication (rule 2): the key first, then the password, by whichever method the server offers, each once. A server
//! that grants `none` is content with less.

use std::sync::Arc;

use russh::client::{AuthResult, Handle};
use russh::keys::agent::AgentIdentity;
use russh::keys::{HashAlg, PrivateKey, PrivateKeyWithHashAlg};
use russh::{Error, MethodKind, MethodSet};
use secrecy::ExposeSecret;
use tokio::time::{Instant, timeout_at};

use crate::device::SshAlgorithms;
use crate::failure::{FailureKind, Stage};
use crate::transport::TransportError;

use super::agent::{Agent, SignError, Signer};
use super::certified;
use super::client::Client;
use super::errors::{fail, lost};
use super::facts::{End, SharedFacts};
use super::keys::{Key, Login};
use super::offers::{Offer, Offers};
use super::peer::Peer;

mod keyboard;

/// One login: whom to, with what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attempt<'a> {
    pub(super) login: &'a Login,
    pub(super) peer: Peer<'a>,
    pub(super) facts: &'a SharedFacts,
    pub(super) offers: &'a Offers,
}

/// Logs in before the deadline.
pub(super) async fn log_in(
    session: &mut Handle<Client>,
    attempt: Attempt<'_>,
    deadline: Instant,
) -> Result<(), TransportError> {
    let result = timeout_at(deadline, attempt.run(session)).await.unwrap_or_else(|_| {
        let limit = attempt.peer.timeouts.login;
        let detail = format!(
            "no answer to the login within the login timeout of {limit:?}; does its AAA server answer?"
        );
        Err(fail(FailureKind::Timeout, Stage::Auth, &detail))
    });
    if result.is_err() {
        attempt.offers.forget(&attempt.peer);
    }
    result
}

/// What the server said to one method.
enum Answer {
    LoggedIn,
    /// Not with this one; it would go on with those. True when the method was right but is not enough.
    Refused(MethodSet, bool),
    /// Nothing was shown: the ssh-agent could not sign, for this reason.
    NotSigned(String),
}

impl Attempt<'_> {
    async fn run(&self, session: &mut Handle<Client>) -> Result<(), TransportError> {
        let mut offer = self.offers.of(&self.peer);
        // With only a key there is nothing to choose: it is tried, and refused at the same price.
        if offer.methods.is_none() && self.login.password.is_some() {
            let result = session.authenticate_none(self.login.username.as_str()).await;
            match self.answer("login without a secret", result)? {
                Answer::LoggedIn => {
                    return self.note("logged in without a secret: the server grants \"none\"");
                }
                Answer::Refused(methods, _) => offer.methods = Some(methods),
                Answer::NotSigned(problem) => return Err(self.not_signed(&problem)),
            }
        }
        let mut offered = offer.methods.clone();
        let mut key_tried = false;
        if let Some(key) = &self.login.key
            && offered.as_ref().is_none_or(|methods| methods.contains(&MethodKind::PublicKey))
        {
            match self.by_key(session, key, &mut offer).await? {
                Answer::LoggedIn => {
                    self.offers.remember(&self.peer, offer);
                    return self.note("logged in by public key");
                }
                Answer::Refused(methods, half) => {
                    if self.login.password.is_none() || secret_method(&methods).is_none() {
                        return Err(self.refused("public key", &methods, half));
                    }
                    key_tried = true;
                    offered = Some(methods);
                }
                Answer::NotSigned(problem) => {
                    if self.login.password.is_none() || offered.as_ref().and_then(secret_method).is_none() {
                        return Err(self.not_signed(&problem));
                    }
                    self.facts.with(|facts| facts.notes.push(format!("{problem}; the password is used")));
                }
            }
        }
        let offered = offered.unwrap_or_else(MethodSet::empty);
        let method = self.by_password(session, &offered).await?;
        self.offers.remember(&self.peer, offer);
        self.note(&if key_tried {
            format!("logged in by {method} after the public key")
        } else {
            format!("logged in by {method}")
        })
    }

    /// The one attempt that sends the password; the name of the method that took it.
    async fn by_password(
        &self,
        session: &mut Handle<Client>,
        offered: &MethodSet,
    ) -> Result<&'static str, TransportError> {
        let (Some(password), Some(method)) = (&self.login.password, secret_method(offered)) else {
            return Err(self.nothing_fits(offered));
        };
        let (name, answer) = match method {
            Secret::Password => {
                let user = self.login.username.as_str();
                let result = session.authenticate_password(user, password.expose_secret()).await;
                ("password", self.answer("password", result)?)
            }
            Secret::Keyboard => ("keyboard-interactive", self.by_keyboard(session, password).await?),
        };
        match answer {
            Answer::LoggedIn => Ok(name),
            Answer::Refused(methods, half) => {
                let what = if name == "password" { "password" } else { "password by keyboard-interactive" };
                Err(self.refused(what, &methods, half))
            }
            Answer::NotSigned(problem) => Err(self.not_signed(&problem)),
        }
    }

    async fn by_key(
        &self,
        session: &mut Handle<Client>,
        key: &Key,
        offer: &mut Offer,
    ) -> Result<Answer, TransportError> {
        match key {
            Key::Own(key) => self.by_own_key(session, key, offer).await,
            Key::OfAgent(agent) => self.by_agent(session, agent, offer).await,
        }
    }

    async fn by_agent(
        &self,
        session: &mut Handle<Client>,
        agent: &Agent,
        offer: &mut Offer,
    ) -> Result<Answer, TransportError> {
        const METHOD: &str = "public key of the ssh-agent";
        let identity = match agent.identity().await {
            Ok(identity) => identity,
            Err(problem) => return Ok(Answer::NotSigned(problem)),
        };
        let user = self.login.username.as_str();
        let key = identity.public_key().into_owned();
        let certificate = match (&self.login.certificate, &identity) {
            (Some(certificate), _) => Some(certificate.clone()),
            (None, AgentIdentity::Certificate { certificate, .. }) => Some(certificate.clone()),
            (None, AgentIdentity::PublicKey { .. }) => None,
        };
        let signer = Signer { agent, identity };
        let hash = if key.algorithm().is_rsa() { self.rsa_hash(session, offer).await } else { None };
        let result = match certificate {
            Some(certificate) => signer.log_in_certified(session, user, certificate, hash).await,
            None => signer.log_in(session, user, hash).await,
        };
        match result {
            Ok(result) => self.answer(METHOD, Ok(result)),
            Err(SignError::SessionEnded) => Err(self.ended(METHOD)),
            Err(SignError::Agent(problem)) => {
                self.facts.with(|facts| facts.tried.push(format!("{METHOD}: not signed")));
                Ok(Answer::NotSigned(problem))
            }
        }
    }

    async fn by_own_key(
        &self,
        session: &mut Handle<Client>,
        key: &Arc<PrivateKey>,
        offer: &mut Offer,
    ) -> Result<Answer, TransportError> {
        let user = self.login.username.as_str();
        let hash = if key.algorithm().is_rsa() { self.rsa_hash(session, offer).await } else { None };
        if let Some(certificate) = &self.login.certificate {
            let certificate = certificate.clone();
            let result = if key.algorithm().is_rsa() {
                certified::log_in(session, user, key, certificate, hash).await
            } else {
                session.authenticate_openssh_cert(user, Arc::clone(key), certificate).await
            };
            return self.answer("certificate", result);
        }
        let key = PrivateKeyWithHashAlg::new(Arc::clone(key), hash);
        let result = session.authenticate_publickey(user, key).await;
        self.answer("public key", result)
    }

    /// The hash that an RSA key signs with.
    async fn rsa_hash(&self, session: &Handle<Client>, offer: &mut Offer) -> Option<HashAlg> {
        // russh waits a second for the announcement; it is waited for in vain once only.
        let announced =
            if offer.silent_on_rsa { None } else { session.best_supported_rsa_hash().await.ok().flatten() };
        offer.silent_on_rsa = announced.is_none();
        if announced.flatten().is_none() && self.peer.algorithms == SshAlgorithms::Modern {
            let note = "the server announces no RSA signatures with SHA-2: legacy_ssh = true allows SHA-1";
            self.facts.with(|facts| facts.notes.push(note.to_owned()));
        }
        signature_hash(announced.flatten(), self.peer.algorithms)
    }

    /// Sorts out what russh gives: a session that ended during authentication also looks like a refusal there.
    fn answer(&self, method: &str, result: Result<AuthResult, Error>) -> Result<Answer, TransportError> {
        match result {
            Ok(AuthResult::Success) => {
                self.facts.with(|facts| facts.tried.push(format!("{method}: taken")));
                Ok(Answer::LoggedIn)
            }
            Ok(AuthResult::Failure { remaining_methods, partial_success })
                if !remaining_methods.is_empty() =>
            {
                let how = if partial_success { "not enough" } else { "refused" };
                self.facts.with(|facts| {
                    facts.offered.get_or_insert_with(|| names(&remaining_methods));
                    facts.tried.push(format!("{method}: {how}"));
                });
                Ok(Answer::Refused(remaining_methods, partial_success))
            }
            Ok(AuthResult::Failure { .. }) | Err(_) => Err(self.ended(method)),
        }
    }

    fn ended(&self, method: &str) -> TransportError {
        let ended = self.facts.with(|facts| {
            facts.tried.push(format!("{method}: the session ended"));
            facts.ended.clone()
        });
        match ended.as_ref().map(|ended| ended.how) {
            // A server that hangs up on a secret has refused it as far as versweep is concerned: taken for a network
            // failure it would be tried again, and each try counts towards a lock-out.
            None | Some(End::TooManyAuthFailures | End::ServerGaveUp | End::Farewell | End::Closed) => {
                let how =
                    ended.map_or_else(|| "it offers no further method".to_owned(), |ended| ended.detail);
                self.auth(&format!("{} refused the {method}: {how}", self.peer.endpoint))
            }
            Some(End::Busy | End::Broken) => lost(Stage::Auth, self.facts, "during the login"),
        }
    }

    fn refused(&self, method: &str, offered: &MethodSet, half: bool) -> TransportError {
        let offered = names(offered);
        let (at, user) = (self.peer.endpoint, &self.login.username);
        self.auth(&if half {
            format!("{at} wants more than the {method} of user {user}; it goes on with: {offered}")
        } else {
            format!("{at} refused the {method} of user {user}; it offers: {offered}")
        })
    }

    /// The agent is the only way in, and it is not to be had. The device has nothing to do with it.
    fn not_signed(&self, problem: &str) -> TransportError {
        let hint =
            format!("{problem}; it is the only way in that credential {} has here", self.peer.credential);
        fail(FailureKind::Internal, Stage::Auth, &hint)
    }

    /// The server offers no method that this credential has anything for: nothing was sent.
    fn nothing_fits(&self, offered: &MethodSet) -> TransportError {
        let has = match (&self.login.key, &self.login.password) {
            (Some(_), Some(_)) => "a key and a password",
            (Some(_), None) => "a key",
            _ => "a password",
        };
        let offered = names(offered);
        self.auth(&format!("{} offers only: {offered}; the credential has {has}", self.peer.endpoint))
    }

    fn auth(&self, what: &str) -> TransportError {
        let hint = format!("{what}; check credential {}", self.peer.credential);
        fail(FailureKind::Auth, Stage::Auth, &hint)
    }

    fn note(&self, how: &str) -> Result<(), TransportError> {
        self.facts.with(|facts| facts.notes.push(how.to_owned()));
        Ok(())
    }
}

/// The best hash that the server says it takes; `None` is SHA-1, which only devices with `legacy_ssh` get: those that
/// announce nothing are older than SHA-2 signatures. Without it SHA-512 is tried all the same.
fn signature_hash(announced: Option<HashAlg>, algorithms: SshAlgorithms) -> Option<HashAlg> {
    match (announced, algorithms) {
        (Some(hash), _) => Some(hash),
        (None, SshAlgorithms::Legacy) => None,
        (None, SshAlgorithms::Modern) => Some(HashAlg::Sha512),
    }
}

/// The methods that carry a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Secret {
    Password,
    Keyboard,
}

/// The method that the password goes by. `password` where both are offered: it asks for nothing else, and it costs a
/// round trip less.
fn secret_method(offered: &MethodSet) -> Option<Secret> {
    if offered.contains(&MethodKind::Password) {
        Some(Secret::Password)
    } else if offered.contains(&MethodKind::KeyboardInteractive) {
        Some(Secret::Keyboard)
    } else {
        None
    }
}

fn names(methods: &MethodSet) -> String {
    if methods.is_empty() {
        return "nothing that versweep knows".to_owned();
    }
    let names: Vec<&str> = methods.iter().map(Into::into).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sha1_signatures_are_for_old_devices_that_announce_nothing_better() {
        use SshAlgorithms::{Legacy, Modern};
        assert_eq!(signature_hash(Some(HashAlg::Sha256), Legacy), Some(HashAlg::Sha256));
        assert_eq!(signature_hash(None, Legacy), None);
        assert_eq!(signature_hash(None, Modern), Some(HashAlg::Sha512));
    }

    #[test]
    fn the_password_has_one_method_at_most() {
        use MethodKind::{KeyboardInteractive, Password, PublicKey};
        let method = |methods: &[MethodKind]| secret_method(&MethodSet::from(methods));
        assert_eq!(method(&[PublicKey, KeyboardInteractive, Password]), Some(Secret::Password));
        assert_eq!(method(&[PublicKey, KeyboardInteractive]), Some(Secret::Keyboard));
        assert_eq!(method(&[PublicKey]), None);
    }
}
