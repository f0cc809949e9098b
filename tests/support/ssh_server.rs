//! An SSH server within the test process that behaves as told and remembers what it was asked.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use russh::keys::key::safe_rng;
use russh::keys::{Algorithm, PrivateKey, PublicKey};
use russh::server::{Auth, ChannelOpenHandle, Config, Handler, Msg, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId, ChannelOpenFailure, Disconnect, MethodKind, MethodSet, SshId};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::devices::{PASSWORD, USER};

/// What sets a server apart from a well-behaved one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Output, exit status 0, EOF, close.
    Usual,
    /// The output comes on stderr, with exit status 3.
    OnStderr,
    /// EOF and close, no exit status.
    NoExitStatus,
    /// EOF, and nothing after it.
    OnlyEof,
    /// Closes the whole connection after one command.
    OneCommandOnly,
    /// Says good-bye for the whole session instead of closing the channel.
    FarewellOnly,
    /// Breaks off in the middle of the output.
    BreaksOff,
    /// Never answers a login.
    SilentAtLogin,
    /// Never answers a command.
    SilentAtCommand,
    /// Prints its output and then nothing, not even an end.
    Stalls,
    /// Prints and prints.
    Floods,
    /// Opens no channel.
    RefusesChannels,
    /// Opens channels and refuses exec.
    RefusesExec,
    /// Disconnects over the first wrong password.
    GivesUpOnAuth,
    /// Takes the key, then wants the password as well.
    WantsBoth,
}

/// What a server saw.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// TCP connections.
    pub(crate) connections: usize,
    /// Sessions that are open now.
    pub(crate) open: usize,
    /// Logins without a secret.
    pub(crate) nones: usize,
    /// Passwords, in order.
    pub(crate) passwords: Vec<String>,
    /// Answers by keyboard-interactive, in order.
    pub(crate) answers: Vec<String>,
    /// Public keys that proved themselves, in order.
    pub(crate) keys: usize,
    /// Commands, in order.
    pub(crate) commands: Vec<String>,
    /// Tunnels that were asked for.
    pub(crate) tunnels: usize,
    /// Client identifications.
    pub(crate) clients: Vec<String>,
}

impl Seen {
    /// How often a secret was sent, by whatever method.
    pub(crate) fn secrets(&self) -> usize {
        self.passwords.len() + self.answers.len()
    }
}

/// What a server is made from.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) manner: Manner,
    pub(crate) answers: BTreeMap<String, Vec<u8>>,
    pub(crate) host_keys: Vec<PrivateKey>,
    pub(crate) authorized: Option<PublicKey>,
    /// The methods it offers; with `None` among them it lets everybody in.
    pub(crate) methods: Vec<MethodKind>,
    /// The questions of keyboard-interactive, one a round; true for those whose answer is shown. The first answer must
    /// be the password.
    pub(crate) questions: Vec<(&'static str, bool)>,
}

impl Setup {
    /// A server of that manner, with a fresh host key, that answers `show version`.
    pub(crate) fn new(manner: Manner) -> Self {
        Self {
            manner,
            answers: BTreeMap::from([("show version".to_owned(), b"Version 1.0\n".to_vec())]),
            host_keys: vec![fresh_key()],
            authorized: None,
            methods: vec![MethodKind::PublicKey, MethodKind::Password],
            questions: vec![("Password: ", false)],
        }
    }

    pub(crate) fn answer(mut self, command: &str, output: impl Into<Vec<u8>>) -> Self {
        self.answers.insert(command.to_owned(), output.into());
        self
    }

    pub(crate) fn host_keys(mut self, keys: impl IntoIterator<Item = PrivateKey>) -> Self {
        self.host_keys = keys.into_iter().collect();
        self
    }
}

/// A key of the usual type.
pub(crate) fn fresh_key() -> PrivateKey {
    key_of(Algorithm::Ed25519)
}

/// A key of that type.
pub(crate) fn key_of(algorithm: Algorithm) -> PrivateKey {
    PrivateKey::random(&mut safe_rng(), algorithm).unwrap()
}

/// A running server; dropping it stops it.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    /// Told to break all connections.
    breaker: Arc<Notify>,
    accepting: AbortHandle,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Server {
    pub(crate) async fn start(setup: Setup) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        Self::on(listener, setup)
    }

    /// A server on an address that another has left.
    pub(crate) async fn start_at(address: SocketAddr, setup: Setup) -> Self {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(address).unwrap();
        Self::on(socket.listen(128).unwrap(), setup)
    }

    fn on(listener: TcpListener, setup: Setup) -> Self {
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let breaker = Arc::new(Notify::new());
        let accept = accept(listener, setup, Arc::clone(&seen), Arc::clone(&breaker));
        let accepting = tokio::spawn(accept).abort_handle();
        Self { address, seen, breaker, accepting }
    }

    pub(crate) fn seen(&self) -> Seen {
        self.seen.lock().unwrap().clone()
    }

    /// Breaks all connections.
    pub(crate) fn break_all(&self) {
        self.breaker.notify_waiters();
    }

    /// Waits until no session is open any more.
    pub(crate) async fn all_closed(&self) {
        until(|| self.seen().open == 0).await;
    }
}

/// Waits for something that must come; fails the test when it doesn't within ten seconds.
pub(crate) async fn until(done: impl Fn() -> bool) {
    let waiting = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), waiting).await.expect("it should have come to that by now");
}

async fn accept(listener: TcpListener, setup: Setup, seen: Arc<Mutex<Seen>>, breaker: Arc<Notify>) {
    let config = Arc::new(Config {
        server_id: SshId::Standard(Cow::Borrowed("SSH-2.0-TestServer_1.0")),
        methods: MethodSet::from(setup.methods.as_slice()),
        keys: setup.host_keys.clone(),
        auth_rejection_time: Duration::ZERO,
        nodelay: true,
        ..Config::default()
    });
    let setup = Arc::new(setup);
    loop {
        let (tcp, _) = listener.accept().await.unwrap();
        {
            let mut seen = seen.lock().unwrap();
            seen.connections += 1;
            seen.open += 1;
        }
        let config = Arc::clone(&config);
        let (setup, seen, breaker) = (Arc::clone(&setup), Arc::clone(&seen), Arc::clone(&breaker));
        let of_session = Arc::clone(&seen);
        tokio::spawn(async move {
            let silent = setup.manner == Manner::SilentAtLogin;
            let tcp = tcp.into_std().unwrap();
            let (ear, hand) = (tcp.try_clone().unwrap(), tcp.try_clone().unwrap());
            let handler = Conversation { setup, seen: of_session, round: 0 };
            let session = async {
                let tcp = tokio::net::TcpStream::from_std(tcp).unwrap();
                if let Ok(session) = russh::server::run_stream(config, tcp, handler).await {
                    let _ = session.await;
                }
            };
            tokio::select! {
                () = session => {}
                // A handler that never answers keeps russh from reading, and so from seeing the client hang up.
                () = hung_up(ear), if silent => {}
                () = breaker.notified() => hand.shutdown(std::net::Shutdown::Both).unwrap(),
            }
            seen.lock().unwrap().open -= 1;
        });
    }
}

async fn hung_up(tcp: std::net::TcpStream) {
    let tcp = tokio::net::TcpStream::from_std(tcp).unwrap();
    while !tcp.ready(tokio::io::Interest::READABLE).await.unwrap().is_read_closed() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

struct Conversation {
    setup: Arc<Setup>,
    seen: Arc<Mutex<Seen>>,
    /// How many questions of keyboard-interactive have been answered.
    round: usize,
}

fn refuse() -> Auth {
    Auth::Reject { proceed_with_methods: None, partial_success: false }
}

impl Handler for Conversation {
    type Error = russh::Error;

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Self::Error> {
        self.seen.lock().unwrap().passwords.push(password.to_owned());
        match self.setup.manner {
            Manner::SilentAtLogin => std::future::pending().await,
            _ if user == USER && password == PASSWORD => Ok(Auth::Accept),
            Manner::GivesUpOnAuth => Err(russh::Error::Disconnect),
            _ => Ok(refuse()),
        }
    }

    async fn auth_none(&mut self, _: &str) -> Result<Auth, Self::Error> {
        self.seen.lock().unwrap().nones += 1;
        Ok(if self.setup.methods.contains(&MethodKind::None) { Auth::Accept } else { refuse() })
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        user: &str,
        _: &str,
        response: Option<russh::server::Response<'a>>,
    ) -> Result<Auth, Self::Error> {
        if let Some(response) = response {
            let answers: Vec<String> =
                response.map(|answer| String::from_utf8_lossy(&answer).into_owned()).collect();
            self.seen.lock().unwrap().answers.extend(answers);
            self.round += 1;
        }
        match self.setup.questions.get(self.round) {
            Some((question, shown)) => Ok(Auth::Partial {
                name: Cow::Borrowed(""),
                instructions: Cow::Borrowed(""),
                prompts: Cow::Owned(vec![(Cow::Borrowed(*question), *shown)]),
            }),
            None => {
                let right = self.seen.lock().unwrap().answers.last().is_some_and(|last| last == PASSWORD);
                Ok(if right && user == USER { Auth::Accept } else { refuse() })
            }
        }
    }

    async fn auth_publickey_offered(
        &mut self,
        user: &str,
        offer: russh::server::PublicKeyOffer<'_>,
    ) -> Result<Auth, Self::Error> {
        let known = self.setup.authorized.as_ref().map(PublicKey::key_data);
        let right = user == USER && known == Some(offer.public_key.key_data());
        Ok(if right { Auth::Accept } else { refuse() })
    }

    async fn auth_publickey(&mut self, _: &str, _: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        self.seen.lock().unwrap().keys += 1;
        if self.setup.manner == Manner::WantsBoth {
            let mut methods = MethodSet::empty();
            methods.push(MethodKind::Password);
            return Ok(Auth::Reject { proceed_with_methods: Some(methods), partial_success: true });
        }
        Ok(Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        _: Channel<Msg>,
        reply: ChannelOpenHandle,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let client = String::from_utf8_lossy(session.remote_sshid()).into_owned();
        self.seen.lock().unwrap().clients.push(client);
        if self.setup.manner == Manner::RefusesChannels {
            reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await;
        } else {
            reply.accept().await;
        }
        Ok(())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host: &str,
        port: u32,
        _: &str,
        _: u32,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        self.seen.lock().unwrap().tunnels += 1;
        if self.setup.manner == Manner::RefusesChannels {
            reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await;
            return Ok(());
        }
        match tokio::net::TcpStream::connect((host, u16::try_from(port).unwrap())).await {
            Ok(mut tcp) => {
                reply.accept().await;
                let mut stream = channel.into_stream();
                tokio::spawn(async move {
                    let _ = tokio::io::copy_bidirectional(&mut stream, &mut tcp).await;
                });
            }
            Err(_) => reply.reject(ChannelOpenFailure::ConnectFailed).await,
        }
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let command = String::from_utf8_lossy(command).into_owned();
        let output =
            self.setup.answers.get(&command).cloned().unwrap_or_else(|| b"% Invalid input\n".to_vec());
        self.seen.lock().unwrap().commands.push(command);
        if self.setup.manner == Manner::RefusesExec {
            return session.channel_failure(channel);
        }
        session.channel_success(channel)?;
        self.reply(channel, output, session)
    }
}

impl Conversation {
    fn reply(&self, channel: ChannelId, output: Vec<u8>, session: &mut Session) -> Result<(), russh::Error> {
        match self.setup.manner {
            Manner::SilentAtCommand => return Ok(()),
            Manner::Floods => {
                flood(channel, session.handle());
                return Ok(());
            }
            Manner::Stalls => return session.data(channel, output),
            Manner::OnStderr => {
                session.extended_data(channel, 1, output)?;
                session.exit_status_request(channel, 3)?;
            }
            Manner::BreaksOff => {
                session.data(channel, output)?;
                return session.disconnect(Disconnect::ProtocolError, "line cleared", "");
            }
            Manner::FarewellOnly => {
                session.data(channel, output)?;
                return session.disconnect(Disconnect::ByApplication, "", "");
            }
            Manner::NoExitStatus | Manner::OneCommandOnly | Manner::OnlyEof => {
                session.data(channel, output)?
            }
            _ => {
                session.data(channel, output)?;
                session.exit_status_request(channel, 0)?;
            }
        }
        session.eof(channel)?;
        if self.setup.manner == Manner::OnlyEof {
            return Ok(());
        }
        session.close(channel)?;
        if self.setup.manner == Manner::OneCommandOnly {
            session.disconnect(Disconnect::ByApplication, "", "")?;
        }
        Ok(())
    }
}

fn flood(channel: ChannelId, handle: russh::server::Handle) {
    tokio::spawn(async move { while handle.data(channel, vec![b'x'; 30_000]).await.is_ok() {} });
}
