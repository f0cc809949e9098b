//! The systemd journal, by its native protocol: one datagram an event, with structured fields. Nothing is parsed back out
//! of text: `journalctl VERSWEEP_KIND=upgrade`, `journalctl MESSAGE_ID=...`.
//!
//! Protocol: <https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::SecondsFormat;

use super::{Delivery, Stop};
use crate::change::{ChangeKind, Whose};
use crate::event::{Digest, Event, Post, Severity, clean};

/// Where journald listens.
pub const SOCKET: &str = "/run/systemd/journal/socket";

/// A journal that reads nothing for so long is down; the events wait in the outbox.
const SEND_LIMIT: Duration = Duration::from_secs(5);

/// Sends events to a journal socket.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    socket: Option<UnixDatagram>,
}

impl Journal {
    /// A journal at that socket; it need not be there yet.
    #[must_use]
    pub fn new(socket: &Path) -> Self {
        Self { path: socket.to_owned(), socket: None }
    }

    pub(super) fn deliver(&mut self, posts: &[Post]) -> Delivery {
        for (count, post) in posts.iter().enumerate() {
            if let Err(error) = self.send(post) {
                // A new journald listens on a new socket.
                self.socket = None;
                let error = format!("journal {}: {error}", self.path.display());
                return Delivery { count, stop: Some(Stop::down(error)) };
            }
        }
        Delivery { count: posts.len(), stop: None }
    }

    fn send(&mut self, post: &Post) -> io::Result<()> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => connect(&self.path)?,
        };
        socket.send(&datagram(post))?;
        self.socket = Some(socket);
        Ok(())
    }
}

fn connect(path: &Path) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.connect(path)?;
    socket.set_write_timeout(Some(SEND_LIMIT))?;
    Ok(socket)
}

/// The `MESSAGE_ID` of each kind: fixed for ever, the key of the journal catalog.
#[must_use]
pub fn message_id(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Upgrade => "2f51915ecc0341dea3c9114bd2f1c40a",
        ChangeKind::Downgrade => "fa8abb43bb0f48a38cd46f2acbc83396",
        ChangeKind::Other => "2e1b50ec3d2c4208a3bc67ef8c96b6cd",
        ChangeKind::Image => "6e711f030bdd4f19af790cd55405185a",
        ChangeKind::Replaced => "ac6a4eb7c7c545639420c1d84b597ca6",
        ChangeKind::Rebooted => "4a060ae5e7044fde8430620e48a3f9ff",
        ChangeKind::Unreachable => "2fd964e4ba7f4441a3e1677313a60a5e",
        ChangeKind::Recovered => "8663358e444a4031b256838c73e9b36c",
        ChangeKind::Patched => "9a8d7ef402fe4d5db7053601dfd71c8d",
        ChangeKind::Members => "195ff766fb51442f85953b5127a7a13c",
        ChangeKind::HostKey => "045bc6dcf09b4e80b3a59810ce177f84",
        ChangeKind::FirstSeen => "d9be7361868a4cef959fdcab32525d2d",
        ChangeKind::Removed => "615980fb692a4d7aafcca959b97dd8ee",
        ChangeKind::Returned => "2f91dac5b18b4c6781e7790185593979",
        ChangeKind::Renamed => "54f8468ab09b4d208a659888075420a4",
        ChangeKind::PolicyLost => "514def9464e14f2fa3c87ea9a7930e24",
        ChangeKind::PolicyRegained => "bc07640d2e4b4e13b1650e247db9de4c",
        ChangeKind::Flapping => "1dcfbdd7af8944f5b74e18fc020d32ff",
        ChangeKind::SourceFailed => "20a5b357c3cf42c7a5e9320d9f578fef",
        ChangeKind::SourceRecovered => "89e80d9727974bc0806c6dcbfbc65aee",
        ChangeKind::Parser => "14ab23d99688468db9be1b7bf63797a0",
    }
}

/// The `MESSAGE_ID` of a digest, whatever its kind.
pub const DIGEST_ID: &str = "c0a4fd2f6be94b2a9a1e6e1d3bb8d0f5";

/// The syslog priority.
fn priority(severity: Severity) -> &'static str {
    match severity {
        Severity::Warning => "4",
        Severity::Notice => "5",
        Severity::Info => "6",
    }
}

fn datagram(post: &Post) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1024);
    let mut put = |name: &str, value: &str| field(&mut bytes, name, value);
    put("MESSAGE", &post.message());
    put("PRIORITY", priority(Severity::of(post.kind())));
    put("SYSLOG_IDENTIFIER", "versweep");
    put("VERSWEEP_EVENT_ID", &post.id());
    put("VERSWEEP_KIND", post.kind().as_str());
    put("VERSWEEP_TIME", &post.at().to_rfc3339_opts(SecondsFormat::Millis, true));
    match post {
        Post::Event(event) => put_event(&mut put, event),
        Post::Digest(digest) => put_digest(&mut put, digest),
    }
    bytes
}

fn put_event(put: &mut impl FnMut(&str, &str), event: &Event) {
    let change = &event.change;
    put("MESSAGE_ID", message_id(change.kind));
    match &change.of {
        Whose::Device(device) => put("VERSWEEP_DEVICE", device.as_str()),
        Whose::Source(source) => put("VERSWEEP_SOURCE", &clean(source)),
    }
    put("VERSWEEP_BEFORE", &clean(&change.before));
    put("VERSWEEP_AFTER", &clean(&change.after));
    put("VERSWEEP_WHY", &clean(&change.why));
    put("VERSWEEP_CONFIRMED", if change.confirmed { "true" } else { "false" });
    if !change.subject.is_empty() {
        put("VERSWEEP_SUBJECT", &clean(&change.subject));
    }
    if let Some(sweep) = change.sweep {
        put("VERSWEEP_SWEEP", &sweep.to_string());
    }
    if let Some(platform) = &event.platform {
        put("VERSWEEP_PLATFORM", platform.as_str());
    }
    if let Some(model) = &event.model {
        put("VERSWEEP_MODEL", &clean(model));
    }
    // The two labels that all fleets have; names of others may be none of a field.
    for label in ["site", "role"] {
        if let Some(value) = event.labels.get(label) {
            put(&format!("VERSWEEP_{}", label.to_uppercase()), &clean(value));
        }
    }
}

fn put_digest(put: &mut impl FnMut(&str, &str), digest: &Digest) {
    put("MESSAGE_ID", DIGEST_ID);
    put("VERSWEEP_COUNT", &digest.count.to_string());
    put("VERSWEEP_BEFORE", &clean(&digest.before));
    put("VERSWEEP_AFTER", &clean(&digest.after));
    put("VERSWEEP_SWEEP", &digest.sweep.to_string());
    if !digest.subject.is_empty() {
        put("VERSWEEP_SUBJECT", &clean(&digest.subject));
    }
    if let Some(platform) = &digest.platform {
        put("VERSWEEP_PLATFORM", platform.as_str());
    }
    if let Some(model) = &digest.model {
        put("VERSWEEP_MODEL", &clean(model));
    }
}

/// Writes one field. A value with a line break takes the binary form, length first, so that no value can forge a field.
fn field(bytes: &mut Vec<u8>, name: &str, value: &str) {
    bytes.extend_from_slice(name.as_bytes());
    if value.contains('\n') {
        bytes.push(b'\n');
        bytes.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        bytes.push(b'=');
    }
    bytes.extend_from_slice(value.as_bytes());
    bytes.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_with_line_breaks_cant_forge_a_field() {
        let mut bytes = Vec::new();
        field(&mut bytes, "A", "one");
        field(&mut bytes, "B", "two\nPRIORITY=0");
        assert_eq!(bytes, b"A=one\nB\n\x0e\0\0\0\0\0\0\0two\nPRIORITY=0\n");
    }

    #[test]
    fn each_kind_has_its_own_message_id() {
        let ids: std::collections::BTreeSet<_> = ChangeKind::ALL.into_iter().map(message_id).collect();
        assert_eq!(ids.len(), ChangeKind::ALL.len());
        assert!(!ids.contains(DIGEST_ID));
        assert!(ids.iter().all(|id| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())));
    }
}
