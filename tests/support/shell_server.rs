//! An SSH server within the test process whose shell says what it is told to.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use russh::server::{Auth, ChannelOpenHandle, Config, Handle, Handler, Msg, Session};
use russh::{Channel, ChannelId, MethodKind, MethodSet, Pty};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use crate::devices::{PASSWORD, USER};
use crate::ssh_server::fresh_key;

/// What raises the rights.
pub(crate) const ENABLE: &str = "higher-horse";

/// How a shell behaves.
#[derive(Debug, Clone, Default)]
pub(crate) struct ShellSetup {
    /// What comes first.
    pub(crate) greeting: String,
    /// What stands after each answer.
    pub(crate) prompt: String,
    /// What comes for each line, before the prompt.
    pub(crate) answers: BTreeMap<String, String>,
    /// What an exec is answered with; without it exec is refused.
    pub(crate) exec: Option<String>,
    /// What comes for every other line.
    pub(crate) refusal: Option<String>,
    /// A shell is refused.
    pub(crate) no_shell: bool,
    /// This is repeated without end after the greeting.
    pub(crate) endless: Option<String>,
    /// What comes after each second, byte by byte.
    pub(crate) slow: Option<String>,
    /// The request for a terminal is answered only once the one for a shell has come as well.
    pub(crate) answers_together: bool,
}

impl ShellSetup {
    pub(crate) fn new(prompt: &str, greeting: &str) -> Self {
        Self { prompt: prompt.to_owned(), greeting: format!("{greeting}{prompt}"), ..Self::default() }
    }

    pub(crate) fn answer(mut self, line: &str, text: &str) -> Self {
        self.answers.insert(line.to_owned(), text.to_owned());
        self
    }

    pub(crate) fn refuse(self, text: &str) -> Self {
        Self { refusal: Some(text.to_owned()), ..self }
    }
}

/// What a server saw.
#[derive(Debug, Clone, Default)]
pub(crate) struct Heard {
    pub(crate) open: usize,
    pub(crate) logins: usize,
    pub(crate) lines: Vec<String>,
    pub(crate) execs: Vec<String>,
    pub(crate) terminal: Option<(u32, u32)>,
}

/// A running server; dropping it stops it.
pub(crate) struct ShellServer {
    pub(crate) address: SocketAddr,
    heard: Arc<Mutex<Heard>>,
    accepting: AbortHandle,
}

impl Drop for ShellServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl ShellServer {
    pub(crate) async fn start(setup: ShellSetup) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(Heard::default()));
        let accepting = tokio::spawn(accept(listener, Arc::new(setup), Arc::clone(&heard))).abort_handle();
        Self { address, heard, accepting }
    }

    pub(crate) fn heard(&self) -> Heard {
        self.heard.lock().unwrap().clone()
    }
}

async fn accept(listener: TcpListener, setup: Arc<ShellSetup>, heard: Arc<Mutex<Heard>>) {
    let config = Arc::new(Config {
        methods: MethodSet::from(&[MethodKind::Password][..]),
        keys: vec![fresh_key()],
        auth_rejection_time: Duration::ZERO,
        nodelay: true,
        ..Config::default()
    });
    loop {
        let (tcp, _) = listener.accept().await.unwrap();
        let (config, setup, heard) = (Arc::clone(&config), Arc::clone(&setup), Arc::clone(&heard));
        tokio::spawn(async move {
            heard.lock().unwrap().open += 1;
            let conversation = Conversation { setup, heard: Arc::clone(&heard), line: Vec::new() };
            if let Ok(session) = russh::server::run_stream(config, tcp, conversation).await {
                let _ = session.await;
            }
            heard.lock().unwrap().open -= 1;
        });
    }
}

struct Conversation {
    setup: Arc<ShellSetup>,
    heard: Arc<Mutex<Heard>>,
    line: Vec<u8>,
}

impl Handler for Conversation {
    type Error = russh::Error;

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Self::Error> {
        self.heard.lock().unwrap().logins += 1;
        Ok(if user == USER && password == PASSWORD { Auth::Accept } else { Auth::reject() })
    }

    async fn channel_open_session(
        &mut self,
        _: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        _: &str,
        columns: u32,
        rows: u32,
        _: u32,
        _: u32,
        _: &[(Pty, u32)],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.heard.lock().unwrap().terminal = Some((columns, rows));
        if self.setup.answers_together { Ok(()) } else { session.channel_success(channel) }
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.heard.lock().unwrap().execs.push(String::from_utf8_lossy(command).into_owned());
        let Some(text) = &self.setup.exec else { return session.channel_failure(channel) };
        session.channel_success(channel)?;
        session.data(channel, text.clone().into_bytes())?;
        session.eof(channel)?;
        session.close(channel)
    }

    async fn shell_request(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), Self::Error> {
        if self.setup.no_shell {
            return session.channel_failure(channel);
        }
        if self.setup.answers_together {
            session.channel_success(channel)?;
        }
        session.channel_success(channel)?;
        session.data(channel, self.setup.greeting.clone().into_bytes())?;
        let handle = session.handle();
        if let Some(text) = self.setup.endless.clone() {
            tokio::spawn(repeat(handle.clone(), channel, text.into_bytes(), Duration::ZERO));
        }
        if let Some(text) = self.setup.slow.clone() {
            tokio::spawn(repeat(handle, channel, text.into_bytes(), Duration::from_secs(1)));
        }
        Ok(())
    }

    async fn data(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        for byte in data {
            if *byte == b'\n' {
                let line = String::from_utf8(std::mem::take(&mut self.line)).unwrap();
                self.heard.lock().unwrap().lines.push(line.clone());
                if line == "exit" || line == "quit" {
                    session.data(channel, format!("{line}\r\n").into_bytes())?;
                    session.close(channel)?;
                    return Ok(());
                }
                if self.setup.prompt.is_empty() {
                    continue;
                }
                if line == "enable" {
                    session.data(channel, b"enable\r\nPassword: ".to_vec())?;
                    continue;
                }
                if line == ENABLE {
                    session.data(channel, format!("\r\n{}", self.setup.prompt).into_bytes())?;
                    continue;
                }
                let refusal = self.setup.refusal.as_deref().unwrap_or("% Invalid input\r\n");
                let text = self.setup.answers.get(&line).map_or(refusal, String::as_str);
                let said = format!("{line}\r\n{text}{}", self.setup.prompt);
                session.data(channel, said.into_bytes())?;
            } else {
                self.line.push(*byte);
            }
        }
        Ok(())
    }
}

/// Says `text` again and again: at once as a whole, or a byte after each pause.
async fn repeat(handle: Handle, channel: ChannelId, text: Vec<u8>, pause: Duration) {
    let pieces: Vec<Vec<u8>> =
        if pause.is_zero() { vec![text.repeat(64)] } else { text.iter().map(|byte| vec![*byte]).collect() };
    for piece in pieces.iter().cycle() {
        if handle.data(channel, piece.clone()).await.is_err() {
            return;
        }
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }
}
