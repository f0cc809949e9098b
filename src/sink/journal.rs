//! The systemd journal, by its native protocol: one datagram an event, with structured fields. Nothing is parsed back out
//! of text: `journalctl VERSWEEP_KIND=upgrade`, `journalctl MESSAGE_ID=...`.
//!
//! Protocol: <https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::SecondsFormat;

use super::Delivery;
use crate::change::ChangeKind;
use crate::event::{Event, clean};

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

    pub(super) fn deliver(&mut self, events: &[Event]) -> Delivery {
        for (count, event) in events.iter().enumerate() {
            if let Err(error) = self.send(event) {
                // A new journald listens on a new socket.
                self.socket = None;
                let error = io::Error::new(error.kind(), format!("journal {}: {error}", self.path.display()));
                return Delivery { count, error: Some(error) };
            }
        }
        Delivery { count: events.len(), error: None }
    }

    fn send(&mut self, event: &Event) -> io::Result<()> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => connect(&self.path)?,
        };
        socket.send(&datagram(event))?;
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
        ChangeKind::Parser => "14ab23d99688468db9be1b7bf63797a0",
    }
}

/// The syslog priority: what is likely unwanted is a warning, what is likely planned a notice.
fn priority(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Unreachable | ChangeKind::Replaced | ChangeKind::Downgrade => "4",
        ChangeKind::Upgrade
        | ChangeKind::Other
        | ChangeKind::Image
        | ChangeKind::Rebooted
        | ChangeKind::Recovered => "5",
        ChangeKind::Parser => "6",
    }
}

fn datagram(event: &Event) -> Vec<u8> {
    let change = &event.change;
    let mut bytes = Vec::with_capacity(1024);
    let mut put = |name: &str, value: &str| field(&mut bytes, name, value);
    put("MESSAGE", &event.message());
    put("MESSAGE_ID", message_id(change.kind));
    put("PRIORITY", priority(change.kind));
    put("SYSLOG_IDENTIFIER", "versweep");
    put("VERSWEEP_EVENT_ID", &event.id());
    put("VERSWEEP_DEVICE", change.device.as_str());
    put("VERSWEEP_KIND", change.kind.as_str());
    put("VERSWEEP_BEFORE", &clean(&change.before));
    put("VERSWEEP_AFTER", &clean(&change.after));
    put("VERSWEEP_SWEEP", &change.sweep.to_string());
    put("VERSWEEP_TIME", &change.at.to_rfc3339_opts(SecondsFormat::Millis, true));
    if let Some(platform) = &event.platform {
        put("VERSWEEP_PLATFORM", platform.as_str());
    }
    bytes
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
        assert!(ids.iter().all(|id| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())));
    }
}
