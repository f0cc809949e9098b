//! The check of a server's host key, before any secret is sent (rule 15).

use std::sync::Arc;

use russh::keys::{HashAlg, PublicKey};

use crate::device::HostKeyPolicy;
use crate::failure::{FailureKind, Stage};
use crate::transport::TransportError;

use super::known_hosts::{Known, KnownHosts, PinError, Verdict, judge};
use super::text::{DETAIL_MAX, plain};

/// One visit's check.
#[derive(Debug)]
pub(super) struct HostKeyCheck {
    pub(super) policy: HostKeyPolicy,
    /// The server's name in known_hosts.
    pub(super) name: String,
    /// What was known under that name when the visit began.
    pub(super) known: Vec<Known>,
    pub(super) hosts: Arc<KnownHosts>,
}

impl HostKeyCheck {
    /// Whether to go on with this key: with a note for the trace where there is something to note.
    pub(super) async fn check(&self, key: &PublicKey) -> Result<Option<String>, TransportError> {
        let shown = key.fingerprint(HashAlg::Sha256).to_string();
        match (self.policy, judge(&self.known, key)) {
            (_, Verdict::Known) => Ok(None),
            (HostKeyPolicy::Off, verdict) => {
                let note =
                    format!("host key {shown} taken unchecked (host_keys = \"off\"): {}", word(&verdict));
                tracing::warn!(server = %self.name, "{note}");
                Ok(Some(note))
            }
            (_, Verdict::Changed(known)) => Err(self.changed(&shown, &known)),
            (_, Verdict::Revoked(known)) => {
                Err(refuse(format!("the host key of {} is revoked: {}", self.name, known.place())))
            }
            (HostKeyPolicy::Strict, Verdict::Unknown) => Err(refuse(format!(
                "the host key {shown} of {} is unknown and the policy is strict: verify it, then add it to known_hosts",
                self.name
            ))),
            (HostKeyPolicy::Learn, Verdict::Unknown) => self.learn(key, &shown).await,
        }
    }

    async fn learn(&self, key: &PublicKey, shown: &str) -> Result<Option<String>, TransportError> {
        match self.hosts.pin(&self.name, key).await {
            Ok(()) => Ok(Some(format!("host key {shown} learned"))),
            Err(PinError::Changed(known)) => Err(self.changed(shown, &known)),
            Err(PinError::File(problem)) => {
                let detail = format!(
                    "the host key of {} can't be pinned, so no login was tried: {problem}",
                    self.name
                );
                Err(TransportError::new(FailureKind::Internal, Stage::Kex, plain(&detail, DETAIL_MAX)))
            }
        }
    }

    fn changed(&self, shown: &str, known: &Known) -> TransportError {
        refuse(format!(
            "the host key changed: {} now shows {shown}; no login was tried. if that is right, remove the known {} and reload",
            self.name,
            known.place()
        ))
    }
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Known => "known",
        Verdict::Unknown => "unknown",
        Verdict::Changed(_) => "CHANGED",
        Verdict::Revoked(_) => "REVOKED",
    }
}

fn refuse(detail: String) -> TransportError {
    TransportError::new(FailureKind::HostKey, Stage::Kex, plain(&detail, DETAIL_MAX))
}
