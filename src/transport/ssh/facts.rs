//! What becomes known about a session while it goes on, shared between the visit and russh's task.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use crate::dialogue::{GREETING_KEPT, Shown};
use crate::transport::secrets::Secrets;
use crate::transport::{Session, Trace, TransportError};

use super::text::plain;

/// The most bytes looked at for the identification line. RFC 4253 allows 255 a line and other lines before it; russh
/// gives up after 20 of them.
const OPENING_MAX: usize = 20 * 255;

/// A session's facts. A lock is held for moments only, never across an await.
#[derive(Debug, Clone, Default)]
pub(super) struct SharedFacts(Arc<Mutex<Facts>>);

impl SharedFacts {
    /// Nothing is known yet, but what must not be told.
    pub(super) fn hiding(secrets: Secrets) -> Self {
        Self(Arc::new(Mutex::new(Facts { secrets, ..Facts::default() })))
    }

    /// What the server said, without secrets.
    pub(super) fn redacted(&self, said: String) -> String {
        self.with(|facts| facts.secrets.redacted(said))
    }

    /// What the server said, fit to be quoted.
    pub(super) fn quoted(&self, said: &str, max: usize) -> String {
        self.with(|facts| facts.quoted(said, max))
    }

    pub(super) fn with<T>(&self, act: impl FnOnce(&mut Facts) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What is known of a session so far.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// The server's first bytes, up to its identification line.
    pub(super) opening: Vec<u8>,
    /// The identification line, made printable.
    pub(super) server: Option<String>,
    /// What the server said before anybody had logged in, bounded.
    pub(super) banner: String,
    /// The algorithms in use.
    pub(super) algorithms: Option<String>,
    /// The fingerprint of the host key.
    pub(super) host_key: Option<String>,
    /// The methods that the server offers for a login, the first time that it named them.
    pub(super) offered: Option<String>,
    /// The methods that were tried, each with how it went.
    pub(super) tried: Vec<String>,
    /// Why the host key was refused, where it was.
    pub(super) refused_key: Option<TransportError>,
    /// What the server said when it refused a channel.
    pub(super) refused_channel: Option<String>,
    /// The server waits for an answer that will never be given, and russh with it: no good-bye can be said.
    pub(super) waits_for_answer: bool,
    /// How the session ended, once it has.
    pub(super) ended: Option<Ended>,
    /// Further notes for the trace.
    pub(super) notes: Vec<String>,
    /// The words of both sides, where they are recorded.
    pub(super) session: Option<Session>,
    /// What is sent and must not be told: a server may print it back.
    secrets: Secrets,
}

/// How a session ended, seen from this side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) how: End,
    /// In words, made printable.
    pub(super) detail: String,
}

/// The ways a session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The server said good-bye in an orderly way.
    Farewell,
    /// The server gave up over authentication.
    TooManyAuthFailures,
    /// The server has no room for this session, or not for this host.
    Busy,
    /// The server gave up for another reason of its own.
    ServerGaveUp,
    /// The server closed the connection without a word.
    Closed,
    /// The connection broke, or what came over it made no sense.
    Broken,
}

impl Facts {
    /// What tells a platform before any channel is open.
    pub(super) fn shown(&self) -> Shown {
        let ident = self.server.clone().unwrap_or_default();
        Shown { ident, banner: self.banner.clone(), ..Shown::default() }
    }

    /// What the server said, fit to be quoted: first without secrets, then cut to size, so that half a secret can't stay.
    pub(super) fn quoted(&self, said: &str, max: usize) -> String {
        plain(&self.secrets.redacted(said.to_owned()), max)
    }

    /// Takes in a banner: a server may send any number.
    pub(super) fn hear_banner(&mut self, banner: &str) {
        if self.banner.is_empty() {
            self.notes.push(format!("banner: {}", self.quoted(banner, 200)));
        }
        let room = GREETING_KEPT.saturating_sub(self.banner.len());
        self.banner += banner.get(..banner.floor_char_boundary(room)).unwrap_or_default();
        if !self.banner.ends_with('\n') {
            self.banner.push('\n');
        }
    }

    /// Takes in the server's first bytes; false when the identification line has come.
    ///
    /// # Errors
    /// `InvalidData` when the server speaks only the first version of SSH, which nothing here does.
    pub(super) fn hear(&mut self, bytes: &[u8]) -> io::Result<bool> {
        let room = OPENING_MAX.saturating_sub(self.opening.len());
        self.opening.extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or_default());
        let Some(line) = identification(&self.opening) else {
            return Ok(self.opening.len() < OPENING_MAX);
        };
        let outdated = !(line.starts_with(b"SSH-2.0-") || line.starts_with(b"SSH-1.99-"));
        let line = String::from_utf8_lossy(line).into_owned();
        self.server = Some(self.quoted(&line, 255));
        if outdated {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "ssh protocol 1"));
        }
        Ok(false)
    }
}

/// The first complete line that begins with `SSH-`.
fn identification(opening: &[u8]) -> Option<&[u8]> {
    let complete = opening.iter().rposition(|byte| *byte == b'\n')?;
    opening
        .get(..complete)?
        .split(|byte| *byte == b'\n')
        .find(|line| line.starts_with(b"SSH-"))
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

/// Copies the facts into the trace when the visit ends, however it ends: by its own, or dropped at its deadline.
#[derive(Debug)]
pub(super) struct Record<'a> {
    pub(super) trace: &'a mut Trace,
    pub(super) facts: SharedFacts,
}

impl Drop for Record<'_> {
    fn drop(&mut self) {
        let Self { trace, facts } = self;
        facts.with(|facts| {
            trace.server = facts.server.take();
            trace.algorithms = facts.algorithms.take();
            trace.host_key = facts.host_key.take();
            trace.offered = facts.offered.take();
            trace.tried = std::mem::take(&mut facts.tried);
            let notes = facts.notes.drain(..).map(|note| trace.redacted(note)).collect::<Vec<_>>();
            trace.notes.extend(notes);
            trace.session = facts.session.take().or(trace.session.take());
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hears_the_identification_line_behind_others() {
        let mut facts = Facts::default();
        assert!(facts.hear(b"Authorised users only\r\nSSH-2.0-Cis").unwrap());
        assert!(!facts.hear(b"co-1.25\r\n....").unwrap());
        assert_eq!(facts.server.as_deref(), Some("SSH-2.0-Cisco-1.25"));
    }

    #[test]
    fn refuses_the_first_protocol() {
        assert!(Facts::default().hear(b"SSH-1.5-Cisco-1.25\n").is_err());
        assert!(Facts::default().hear(b"SSH-1.99-Cisco-1.25\n").is_ok());
    }

    #[test]
    fn stops_listening_to_a_flood() {
        let mut facts = Facts::default();
        assert!(!facts.hear(&[b'x'; 2 * OPENING_MAX]).unwrap());
        assert_eq!(facts.opening.len(), OPENING_MAX);
    }
}
