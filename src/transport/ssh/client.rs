//! This side of a session, as russh calls it: the host key check, and notes of what happens.

use std::future::Future;

use russh::client::{DisconnectReason, Handler, Session};
use russh::keys::{HashAlg, PublicKeyOrCertificate};
use russh::{ChannelId, ChannelOpenFailure, Disconnect, Error, Names};

use super::facts::{End, Ended, SharedFacts};
use super::host_key::HostKeyCheck;
use super::text::plain;

/// The handler of one session.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) facts: SharedFacts,
    pub(super) check: HostKeyCheck,
}

impl Handler for Client {
    type Error = Error;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, Error> {
        let certificate = key.certificate();
        let key = key.public_key();
        let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
        self.facts.with(|facts| facts.host_key = Some(format!("{} {fingerprint}", key.algorithm())));
        let checked = match certificate {
            Some(certificate) => self.check.check_certificate(certificate),
            None => self.check.check(&key).await,
        };
        match checked {
            Ok(note) => {
                self.facts.with(|facts| facts.notes.extend(note));
                Ok(true)
            }
            Err(refusal) => {
                self.facts.with(|facts| facts.refused_key = Some(refusal));
                Ok(false)
            }
        }
    }

    async fn kex_done(&mut self, _: Option<&[u8]>, names: &Names, _: &mut Session) -> Result<(), Error> {
        let (kex, cipher, mac): (&str, &str, &str) =
            (names.kex.as_ref(), names.cipher.as_ref(), names.client_mac.as_ref());
        let algorithms = format!("{kex}, {}, {cipher}, {mac}", names.key);
        let old = super::algorithms::legacy_among(&[kex, names.key.as_ref(), cipher, mac]);
        self.facts.with(|facts| {
            facts.algorithms = Some(algorithms);
            if !old.is_empty() {
                facts.notes.push(format!("legacy SSH was needed: {}", old.join(", ")));
            }
        });
        Ok(())
    }

    async fn auth_banner(&mut self, banner: &str, _: &mut Session) -> Result<(), Error> {
        self.facts.with(|facts| facts.hear_banner(banner));
        Ok(())
    }

    async fn channel_open_failure(
        &mut self,
        _: ChannelId,
        _: ChannelOpenFailure,
        description: &str,
        _: &str,
        _: &mut Session,
    ) -> Result<(), Error> {
        self.facts.with(|facts| facts.refused_channel = Some(facts.quoted(description, 100)));
        Ok(())
    }

    fn disconnected(
        &mut self,
        reason: DisconnectReason<Error>,
    ) -> impl Future<Output = Result<(), Error>> + Send {
        let ended = match reason {
            DisconnectReason::ReceivedDisconnect(info) => {
                farewell(info.reason_code, &self.facts.quoted(&info.message, 120))
            }
            DisconnectReason::Error(error) => broken(&error),
        };
        self.facts.with(|facts| facts.ended = Some(ended));
        async { Ok(()) }
    }
}

fn farewell(reason: Disconnect, said: &str) -> Ended {
    let over_auth = said.to_ascii_lowercase().contains("authentication fail");
    let how = match reason {
        Disconnect::NoMoreAuthMethodsAvailable
        | Disconnect::AuthCancelledByUser
        | Disconnect::IllegalUserName => End::TooManyAuthFailures,
        _ if over_auth => End::TooManyAuthFailures,
        Disconnect::TooManyConnections
        | Disconnect::ServiceNotAvailable
        | Disconnect::HostNotAllowedToConnect => End::Busy,
        Disconnect::ByApplication => End::Farewell,
        _ => End::ServerGaveUp,
    };
    Ended { how, detail: format!("the server disconnected ({reason:?}: \"{said}\")") }
}

fn broken(error: &Error) -> Ended {
    let closed = match error {
        Error::Disconnect | Error::HUP => true,
        Error::IO(error) => error.kind() == std::io::ErrorKind::UnexpectedEof,
        _ => false,
    };
    if closed {
        return Ended { how: End::Closed, detail: "the server closed the connection".to_owned() };
    }
    if matches!(error, Error::NoAuthMethod) {
        let detail = "the server offers no further method".to_owned();
        return Ended { how: End::TooManyAuthFailures, detail };
    }
    Ended { how: End::Broken, detail: plain(&format!("the connection broke: {error}"), 200) }
}
