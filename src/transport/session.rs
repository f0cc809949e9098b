//! What was said on both sides of a visit, kept for people and for tests. Secrets are taken out whenever it is read.

use super::secrets::{HIDDEN, Secrets};

/// How much is kept of both sides together. A visit has some kilobytes; what comes later is dropped.
const BYTES_MAX: usize = 512 * 1024;

/// The words of a visit.
#[derive(Debug, Clone, Default)]
pub struct Session {
    /// What came before the first word was sent, and then what came after each.
    turns: Vec<(Vec<u8>, Vec<u8>)>,
    bytes: usize,
    secrets: Secrets,
    /// Whether there was a shell; else each command had a channel of its own.
    pub has_shell: bool,
    /// The prompt, where one was learned.
    pub prompt: Option<String>,
    /// How many pages of a pager were asked for.
    pub pager_turns: u32,
}

/// What was sent, and what came after it. Bytes that are no UTF-8 are replaced; control characters are as they came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// What was sent; empty for the device's greeting.
    pub send: String,
    /// What came.
    pub recv: String,
}

impl Session {
    /// Takes secrets out of what will be read.
    pub(super) fn hide(&mut self, secrets: Secrets) {
        self.secrets = secrets;
    }

    /// The words so far are what came before a shell was tried.
    pub(crate) fn in_shell(&mut self) {
        self.has_shell = true;
        self.turns.clear();
        self.bytes = 0;
    }

    /// Something is sent.
    pub(crate) fn sent(&mut self, bytes: &[u8]) {
        if self.turns.is_empty() {
            self.turns.push((Vec::new(), Vec::new()));
        }
        let kept = self.room_for(bytes);
        self.turns.push((kept, Vec::new()));
    }

    /// A secret is sent: what it is isn't kept.
    pub(crate) fn sent_secret(&mut self, enter: &[u8]) {
        self.sent(&[HIDDEN.as_bytes(), enter].concat());
    }

    /// Something has come.
    pub(crate) fn received(&mut self, bytes: &[u8]) {
        let kept = self.room_for(bytes);
        if self.turns.is_empty() {
            self.turns.push((Vec::new(), Vec::new()));
        }
        if let Some((_, recv)) = self.turns.last_mut() {
            recv.extend(kept);
        }
    }

    fn room_for(&mut self, bytes: &[u8]) -> Vec<u8> {
        let room = BYTES_MAX.saturating_sub(self.bytes).min(bytes.len());
        self.bytes += room;
        bytes.iter().take(room).copied().collect()
    }

    /// The greeting and the exchanges, without secrets.
    #[must_use]
    pub fn exchanges(&self) -> Vec<Exchange> {
        let text = |bytes: &[u8]| self.secrets.redacted(String::from_utf8_lossy(bytes).into_owned());
        let exchange = |(send, recv): &(Vec<u8>, Vec<u8>)| Exchange { send: text(send), recv: text(recv) };
        let mut exchanges: Vec<Exchange> = self.turns.iter().map(exchange).collect();
        let last = exchanges.iter_mut().rfind(|exchange| !exchange.recv.is_empty());
        if let Some(last) = last.filter(|_| self.bytes == BYTES_MAX) {
            last.recv = self.secrets.without_a_torn_one(std::mem::take(&mut last.recv));
        }
        exchanges
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_never_read_out_and_the_size_is_bounded() {
        let mut session = Session::default();
        session.hide(Secrets::of(["hunter2"]));
        session.received(b"Password: ");
        session.sent_secret(b"\n");
        session.received(b"hun");
        session.received(b"ter2\r\nr1#");
        session.sent(b"show version\n");
        session.received(&vec![b'x'; 2 * BYTES_MAX]);
        let exchanges = session.exchanges();
        assert_eq!(exchanges[0], Exchange { send: String::new(), recv: "Password: ".to_owned() });
        assert_eq!(
            exchanges[1],
            Exchange { send: "********\n".to_owned(), recv: "********\r\nr1#".to_owned() }
        );
        assert!(exchanges[2].recv.len() <= BYTES_MAX);
        assert!(!format!("{session:?}").contains("hunter2"));
    }

    #[test]
    fn a_secret_that_the_bound_tears_is_not_read_out() {
        let mut session = Session::default();
        session.hide(Secrets::of(["hunter2"]));
        session.received(&vec![b'x'; BYTES_MAX - 4]);
        session.received(b"hunter2");
        session.sent(b"exit\n");
        assert!(!session.exchanges()[0].recv.contains('h'), "half a secret is one, too");
    }

    /// What was said before a shell was tried once took the room of the shell's own words.
    #[test]
    fn a_shell_has_all_the_room() {
        let mut session = Session::default();
        session.received(&vec![b'x'; BYTES_MAX]);
        session.in_shell();
        session.received(b"r1#");
        assert_eq!(session.exchanges(), [Exchange { send: String::new(), recv: "r1#".to_owned() }]);
    }
}
