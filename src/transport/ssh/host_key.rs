//! The check of a server's host key, before any secret is sent (rule 15).

use std::sync::Arc;

use russh::keys::{Certificate, HashAlg, PublicKey};

use crate::clock::{Clock, SystemClock};
use crate::device::HostKeyPolicy;
use crate::failure::{FailureKind, HostKeyTrouble, Stage};
use crate::transport::TransportError;

use super::known_hosts::{Known, KnownHosts, PinError, Verdict, judge, revoked};
use super::text::{DETAIL_MAX, plain};

/// One visit's check.
#[derive(Debug)]
pub(super) struct HostKeyCheck {
    pub(super) policy: HostKeyPolicy,
    /// The server's name in known_hosts.
    pub(super) name: String,
    /// The server's host name, without a port: what a certificate is for.
    pub(super) host: String,
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
            // Somebody has said by name that it is in wrong hands: no policy is careless enough.
            (_, Verdict::Revoked(known)) => Err(self.revoked(&known)),
            (HostKeyPolicy::Off, verdict) => {
                let note =
                    format!("host key {shown} taken unchecked (host_keys = \"off\"): {}", word(&verdict));
                tracing::warn!(server = %self.name, "{note}");
                Ok(Some(note))
            }
            (_, Verdict::Changed(known)) => Err(self.changed(&shown, &known)),
            (HostKeyPolicy::Strict, Verdict::Unknown) => Err(refuse(
                HostKeyTrouble::Unknown,
                &format!(
                    "the host key {shown} of {} is unknown and the policy is strict: verify it, then add it to known_hosts",
                    self.name
                ),
            )),
            (HostKeyPolicy::Learn, Verdict::Unknown) => self.learn(key, &shown).await,
        }
    }

    /// Whether to go on with a key that a certificate vouches for. Servers are asked for one only where an authority is
    /// known, so that one that isn't good is a failure, not a key to be learned; unless the key itself is known as well.
    pub(super) fn check_certificate(
        &self,
        certificate: &Certificate,
    ) -> Result<Option<String>, TransportError> {
        let key = PublicKey::from(certificate.public_key().clone());
        let verdict = judge(&self.known, &key);
        let keys = [certificate.public_key(), certificate.signature_key()];
        if let Some(known) = keys.into_iter().find_map(|key| revoked(&self.known, key)) {
            return Err(self.revoked(&known));
        }
        let now = u64::try_from(SystemClock.now().timestamp()).unwrap_or_default();
        match (certificate_problem(certificate, &self.known, &self.host, now), verdict) {
            (None, _) => Ok(Some(format!("host certificate \"{}\"", plain(certificate.key_id(), 80)))),
            (Some(problem), Verdict::Known) => {
                Ok(Some(format!("host certificate not good ({problem}), but the key is known")))
            }
            (Some(problem), _) if self.policy == HostKeyPolicy::Off => {
                let note = format!("host certificate taken unchecked (host_keys = \"off\"): {problem}");
                tracing::warn!(server = %self.name, "{note}");
                Ok(Some(note))
            }
            (Some(problem), _) => {
                let detail = format!("the host certificate of {} is not good: {problem}", self.name);
                Err(refuse(HostKeyTrouble::Certificate, &detail))
            }
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

    fn revoked(&self, known: &Known) -> TransportError {
        let (name, place) = (&self.name, known.place());
        let detail = format!("the host key of {name} is revoked: {place}; give the device a new key");
        refuse(HostKeyTrouble::Revoked, &detail)
    }

    fn changed(&self, shown: &str, known: &Known) -> TransportError {
        let detail = format!(
            "the host key changed: {} now shows {shown}; no login was tried. if that is right, remove the known {} and reload",
            self.name,
            known.place()
        );
        refuse(HostKeyTrouble::Changed, &detail)
    }
}

/// What is wrong with a host certificate, if anything is (OpenSSH's PROTOCOL.certkeys).
fn certificate_problem(certificate: &Certificate, known: &[Known], host: &str, now: u64) -> Option<String> {
    let authorities: Vec<_> = known.iter().filter(|k| k.is_authority()).map(Known::fingerprint).collect();
    let by = certificate.signature_key().fingerprint(HashAlg::Sha256);
    if !certificate.cert_type().is_host() {
        return Some("it is one of a user".to_owned());
    }
    if !authorities.contains(&by) {
        return Some(format!("no @cert-authority line has the key that signed it, {by}"));
    }
    if now < certificate.valid_after() || now >= certificate.valid_before() {
        return Some("its time is not now; renew it, or check the clocks".to_owned());
    }
    if !certificate.valid_principals().iter().any(|name| name.eq_ignore_ascii_case(host)) {
        return Some(format!("it is not for the name {host}"));
    }
    if certificate.critical_options().iter().next().is_some() {
        return Some("it has critical options, which host certificates have none of".to_owned());
    }
    certificate.validate_at(now, &authorities).err().map(|error| format!("its signature is wrong ({error})"))
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Known => "known",
        Verdict::Unknown => "unknown",
        Verdict::Changed(_) => "CHANGED",
        Verdict::Revoked(_) => "REVOKED",
    }
}

fn refuse(trouble: HostKeyTrouble, detail: &str) -> TransportError {
    let error = TransportError::new(FailureKind::HostKey, Stage::Kex, plain(detail, DETAIL_MAX));
    TransportError { host_key: Some(trouble), ..error }
}
