//! What went wrong, in versweep's words.

use russh::{AlgorithmKind, Error};

use crate::device::SshAlgorithms;
use crate::failure::{FailureKind, Stage};
use crate::transport::TransportError;

use super::algorithms;
use super::connect::io_failure;
use super::facts::{End, Ended, Facts, SharedFacts};
use super::peer::Peer;
use super::text::{DETAIL_MAX, plain};

/// An error whose detail is made printable and bounded.
pub(super) fn fail(kind: FailureKind, stage: Stage, detail: &str) -> TransportError {
    TransportError::new(kind, stage, plain(detail, DETAIL_MAX))
}

/// The key exchange came to nothing.
pub(super) fn kex_failure(error: &Error, facts: &SharedFacts, peer: &Peer<'_>) -> TransportError {
    facts.with(|facts| {
        facts.refused_key.take().or_else(|| not_our_protocol(facts, peer)).unwrap_or_else(|| {
            match (&facts.ended, error) {
                (Some(ended), _) => kex_ended(ended, peer),
                (None, error) => kex_error(error, facts, peer),
            }
        })
    })
}

/// The login timeout passed before the key exchange was done.
pub(super) fn kex_timeout(facts: &SharedFacts, peer: &Peer<'_>) -> TransportError {
    let limit = peer.timeouts.login;
    facts.with(|facts| {
        not_our_protocol(facts, peer).unwrap_or_else(|| {
            let came =
                if facts.server.is_some() { "the key exchange wasn't done" } else { "no SSH banner came" };
            let detail =
                format!("{came} within the login timeout of {limit:?}; is {} overloaded?", peer.endpoint);
            fail(FailureKind::Timeout, Stage::Kex, &detail)
        })
    })
}

/// Something answers, but not with the second version of SSH.
fn not_our_protocol(facts: &Facts, peer: &Peer<'_>) -> Option<TransportError> {
    let at = peer.endpoint;
    let detail = match &facts.server {
        Some(server) if server.starts_with("SSH-2.0-") || server.starts_with("SSH-1.99-") => return None,
        Some(server) => format!("{at} speaks only SSH protocol 1 ({server}): enable version 2 on the device"),
        None if begins_with_ssh(&facts.opening) => return None,
        None if turns_away(&facts.opening) => {
            let said = facts.quoted(String::from_utf8_lossy(&facts.opening).trim(), 80);
            let detail =
                format!("{at} turned the connection away: \"{said}\"; lower the cap on workers, or wait");
            return Some(fail(FailureKind::Disconnected, Stage::Kex, &detail));
        }
        None => {
            let began = facts.quoted(&String::from_utf8_lossy(&facts.opening), 60);
            format!("what answers at {at} is no SSH server, it began with \"{began}\": check the port")
        }
    };
    Some(fail(FailureKind::Kex, Stage::Kex, &detail))
}

/// Whether this is as much of an identification line as has come so far.
fn begins_with_ssh(opening: &[u8]) -> bool {
    opening.starts_with(b"SSH-") || b"SSH-".starts_with(opening)
}

/// Whether what stands in place of an identification line says that there is no room now: sshd at its `MaxStartups` and
/// under its penalties, and what devices say whose lines are all taken.
fn turns_away(opening: &[u8]) -> bool {
    const SIGNS: [&str; 6] =
        ["exceeded maxstartups", "not allowed at this time", "too many", "maximum", "busy", "try again"];
    let said = String::from_utf8_lossy(opening).to_lowercase();
    !said.starts_with("http") && SIGNS.iter().any(|sign| said.contains(sign))
}

fn kex_ended(ended: &Ended, peer: &Peer<'_>) -> TransportError {
    let kind = match ended.how {
        End::ServerGaveUp => FailureKind::Kex,
        _ => FailureKind::Disconnected,
    };
    fail(kind, Stage::Kex, &format!("{} during key exchange with {}", ended.detail, peer.endpoint))
}

fn kex_error(error: &Error, facts: &Facts, peer: &Peer<'_>) -> TransportError {
    let at = peer.endpoint;
    let (kind, detail) = match error {
        Error::NoCommonAlgo { kind, ours, theirs } => {
            (FailureKind::Kex, no_common(kind, ours, theirs, peer.algorithms))
        }
        Error::IO(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => {
            return io_failure(Stage::Kex, error, &format!("key exchange with {at}"));
        }
        Error::IO(_) | Error::Disconnect | Error::HUP => {
            let when = if facts.server.is_some() { "during key exchange" } else { "before its SSH banner" };
            let detail = format!("{at} closed the connection {when}; too many sessions, or an access list?");
            (FailureKind::Disconnected, detail)
        }
        Error::InactivityTimeout | Error::ConnectionTimeout | Error::KeepaliveTimeout | Error::Elapsed(_) => {
            (FailureKind::Timeout, format!("{at} fell silent during key exchange"))
        }
        Error::Join(error) => (FailureKind::Internal, format!("the SSH session's task failed: {error}")),
        error => (FailureKind::Kex, format!("key exchange with {at} failed: {error}")),
    };
    fail(kind, Stage::Kex, &detail)
}

/// The two lists that have nothing in common, and what to do about it.
fn no_common(kind: &AlgorithmKind, ours: &[String], theirs: &[String], offered: SshAlgorithms) -> String {
    let what = match kind {
        AlgorithmKind::Kex => "key exchange",
        AlgorithmKind::Key => "host key type",
        AlgorithmKind::Cipher => "cipher",
        AlgorithmKind::Compression => "compression",
        AlgorithmKind::Mac => "MAC",
    };
    let hint = match offered {
        SshAlgorithms::Modern if theirs.iter().any(|name| algorithms::is_legacy(name)) => {
            "set legacy_ssh = true for this device"
        }
        SshAlgorithms::Modern => "enable a newer one on the device",
        SshAlgorithms::Legacy => "versweep has none of these: enable another on the device",
    };
    // The device's list is the one that nobody knows by heart; ours is in the documentation as well.
    let (ours, theirs) = (plain(&ours.join(","), 80), plain(&theirs.join(","), 110));
    format!("no common {what}: we offer {ours}, device offers {theirs}; {hint}")
}

/// The connection was lost at a later stage.
pub(super) fn lost(stage: Stage, facts: &SharedFacts, doing: &str) -> TransportError {
    let ended = facts.with(|facts| facts.ended.clone());
    let how = ended.map_or_else(|| "the connection was lost".to_owned(), |ended| ended.detail);
    fail(FailureKind::Disconnected, stage, &format!("{how} {doing}"))
}

#[cfg(test)]
mod tests {
    use super::{begins_with_ssh, turns_away};

    /// A device that drips its identification was said to be no SSH server.
    #[test]
    fn the_beginning_of_an_identification_is_one() {
        for opening in [&b""[..], b"S", b"SSH", b"SSH-2.0-Cis"] {
            assert!(begins_with_ssh(opening), "{opening:?}");
        }
        assert!(!begins_with_ssh(b"SMTP") && !begins_with_ssh(b"220 SSH-"));
    }

    #[test]
    fn no_room_is_told_from_no_ssh() {
        assert!(turns_away(b"Exceeded MaxStartups\r\n"));
        assert!(turns_away(b"Not allowed at this time\r\n"));
        assert!(turns_away(b"Sorry, maximum number of sessions reached\r\n"));
        assert!(!turns_away(b"HTTP/1.1 429 Too Many Requests\r\n"));
        assert!(!turns_away(b"220 mail.example.net ESMTP\r\n"));
    }
}
