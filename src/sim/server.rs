//! The SSH side of a simulated device: one connection, its login, its commands.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::{Algorithm, PrivateKey, PublicKey};
use russh::server::{
    Auth, ChannelOpenHandle, Config, Handle, Handler, Msg, PublicKeyOffer, Session, VerifiedPublicKey,
};
use russh::{Channel, ChannelId, Disconnect, MethodKind, MethodSet, Preferred, Pty, SshId, cipher, kex};
use secrecy::{ExposeSecret, SecretString};
use tokio::io::BufReader;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::answers;
use super::config::KeyExchange;
use super::device::SimDevice;
use super::fault::Fault;
use super::misbehave;
use super::platform::AfterExec;
use super::shell::{Reply, SimShell};
use super::stream::SharedStream;
use crate::clock::{Clock, SystemClock};

/// Commands that one session may have waiting; a client that sends more is refused.
const COMMANDS_WAITING: usize = 4;

/// A connection on which nothing happens ends this long after the command delay: far beyond any client's deadline.
const INACTIVITY: Duration = Duration::from_secs(900);

/// Holds a whole key exchange packet of a client, so that it is read in one system call; more would only cost memory.
const READ_BUFFER: usize = 2048;

/// Curve25519 first and alone: half the cost of russh's default, which begins with ML-KEM.
const KEX: &[kex::Name] = &[
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::EXTENSION_SUPPORT_AS_SERVER,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_SERVER,
];
/// What an old router offers; its digest is of no account for what it costs.
const OLD_KEX: &[kex::Name] = &[kex::DH_G14_SHA256, kex::EXTENSION_OPENSSH_STRICT_KEX_AS_SERVER];

const CIPHERS: &[cipher::Name] = &[cipher::AES_128_GCM, cipher::AES_256_GCM, cipher::CHACHA20_POLY1305];

/// What all devices of a fleet have in common.
#[derive(Debug)]
pub(super) struct Manners {
    pub(super) command_delay: Duration,
    pub(super) login_delay: Duration,
    pub(super) jitter: f64,
    pub(super) key_exchange: KeyExchange,
    pub(super) username: String,
    pub(super) password: SecretString,
    pub(super) authorized_key: Option<PublicKey>,
}

/// Serves one connection until either side ends it or the fleet stops. When it returns, nothing of it is left.
pub(super) async fn serve(
    device: Arc<SimDevice>,
    manners: Arc<Manners>,
    stream: SharedStream,
    fault: Option<Fault>,
    stop: CancellationToken,
) {
    let (asked, mut commands) = mpsc::channel(COMMANDS_WAITING);
    let visitor = Visitor {
        device: Arc::clone(&device),
        manners: Arc::clone(&manners),
        fault,
        asked,
        held: None,
        stop: stop.clone(),
    };
    let buffered = BufReader::with_capacity(READ_BUFFER, stream.clone());
    let greeting = russh::server::run_stream(ssh_config(&device, &manners), buffered, visitor);
    let greeted = tokio::select! {
        greeted = greeting => greeted,
        () = stop.cancelled() => return,
    };
    let Ok(mut session) = greeted else { return };
    let handle = session.handle();
    let answering = async {
        let mut talk = Talk { device: &device, manners: &manners, fault, handle: &handle, shell: None };
        while let Some((channel, asked)) = commands.recv().await {
            // An error means that the session is over, and then the other branch ends this one.
            let _ = match asked {
                Asked::Exec(command) => talk.exec(channel, &command).await,
                Asked::Shell => talk.open_shell(channel).await,
                Asked::Typed(bytes) => talk.typed(channel, &bytes).await,
            };
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        _ = &mut session => return,
        () = answering => {}
        () = stop.cancelled() => {}
    }
    stream.end();
    let _ = session.await;
}

/// The session is over: nothing more can be said.
#[derive(Debug)]
pub(super) struct Gone;

/// What a client wants on a channel.
enum Asked {
    Exec(String),
    Shell,
    Typed(Vec<u8>),
}

/// The device's side of a session.
struct Talk<'a> {
    device: &'a SimDevice,
    manners: &'a Manners,
    fault: Option<Fault>,
    handle: &'a Handle,
    shell: Option<SimShell>,
}

impl Talk<'_> {
    async fn answer(&self, command: &str) -> answers::Answer {
        tokio::time::sleep(self.device.vary(self.manners.command_delay, self.manners.jitter)).await;
        answers::answer(&self.device.subject(SystemClock.now()), command)
    }

    /// Says it as the device's illness lets it.
    async fn deliver(&self, channel: ChannelId, output: String) -> Result<(), Gone> {
        let output = output.into_bytes();
        match self.fault {
            Some(Fault::Drip) => misbehave::drip(self.handle, channel, output).await,
            Some(Fault::Flood) => misbehave::flood(self.handle, channel, &output).await,
            Some(Fault::Garbage) => {
                say(self.handle, channel, self.device.noise(misbehave::GARBAGE_BYTES)).await
            }
            _ => say(self.handle, channel, output).await,
        }
    }

    async fn exec(&self, channel: ChannelId, command: &str) -> Result<(), Gone> {
        if self.fault == Some(Fault::Mute) {
            return Ok(());
        }
        let (handle, platform) = (self.handle, self.device.platform());
        let answer = self.answer(command).await;
        self.deliver(channel, answer.output).await?;
        if !answer.error.is_empty() {
            // 1 is standard error (RFC 4254, section 5.2).
            handle.extended_data(channel, 1, answer.error.into_bytes()).await.map_err(|_| Gone)?;
        }
        if platform.after_exec() == AfterExec::SendsStatus {
            handle.exit_status_request(channel, answer.status).await.map_err(|()| Gone)?;
        }
        self.close(channel).await?;
        if platform.after_exec() == AfterExec::ClosesConnection {
            self.hang_up().await?;
        }
        Ok(())
    }

    async fn open_shell(&mut self, channel: ChannelId) -> Result<(), Gone> {
        let shell = SimShell::new(self.device.platform(), self.device.hostname());
        let greeting = shell.greeting();
        self.shell = Some(shell);
        say(self.handle, channel, greeting.into_bytes()).await
    }

    /// What is typed in one go is echoed in one go, as by a terminal's line discipline.
    async fn typed(&mut self, channel: ChannelId, bytes: &[u8]) -> Result<(), Gone> {
        let mut shown = String::new();
        for byte in bytes {
            match self.shell.as_mut().and_then(|shell| shell.typed(*byte)) {
                None => {}
                Some(Reply::Show(text)) => shown.push_str(&text),
                Some(Reply::Run(command)) => {
                    self.show(channel, &mut shown).await?;
                    self.run_typed(channel, &command).await?;
                }
                Some(Reply::End(text)) => {
                    shown.push_str(&text);
                    self.shell = None;
                    self.show(channel, &mut shown).await?;
                    self.close(channel).await?;
                    return self.hang_up().await;
                }
            }
        }
        self.show(channel, &mut shown).await
    }

    async fn show(&self, channel: ChannelId, text: &mut String) -> Result<(), Gone> {
        if text.is_empty() {
            return Ok(());
        }
        say(self.handle, channel, std::mem::take(text).into_bytes()).await
    }

    async fn run_typed(&mut self, channel: ChannelId, command: &str) -> Result<(), Gone> {
        if self.fault == Some(Fault::Mute) {
            return Ok(());
        }
        let answer = self.answer(command).await;
        let text = format!("{}{}", answer.output, answer.error);
        let page = self.shell.as_mut().map(|shell| shell.page(&text)).unwrap_or_default();
        self.deliver(channel, page).await?;
        if self.fault == Some(Fault::Garbage) {
            // The device goes on to its prompt all the same.
            let prompt = self.shell.as_ref().map(SimShell::fresh_prompt).unwrap_or_default();
            say(self.handle, channel, prompt.into_bytes()).await?;
        }
        Ok(())
    }

    async fn close(&self, channel: ChannelId) -> Result<(), Gone> {
        self.handle.eof(channel).await.map_err(|()| Gone)?;
        self.handle.close(channel).await.map_err(|()| Gone)
    }

    async fn hang_up(&self) -> Result<(), Gone> {
        let bye = self.handle.disconnect(Disconnect::ByApplication, String::new(), String::new());
        bye.await.map_err(|_| Gone)
    }
}

pub(super) async fn say(handle: &Handle, channel: ChannelId, bytes: Vec<u8>) -> Result<(), Gone> {
    handle.data(channel, bytes).await.map_err(|_| Gone)
}

/// The device's SSH configuration. One per device, because the host key is part of it; the lists are shared.
fn ssh_config(device: &SimDevice, manners: &Manners) -> Arc<Config> {
    if device.shows_other_key() {
        let mut seed = device.key_seed();
        seed[0] ^= 1;
        return Arc::new(config_with_key(device, manners, &seed));
    }
    Arc::clone(device.ssh.get_or_init(|| Arc::new(config_with_key(device, manners, &device.key_seed()))))
}

fn config_with_key(device: &SimDevice, manners: &Manners, key_seed: &[u8; 32]) -> Config {
    let methods: &[MethodKind] = match manners.authorized_key {
        Some(_) => &[MethodKind::Password, MethodKind::PublicKey],
        None => &[MethodKind::Password],
    };
    let offered = match manners.key_exchange {
        KeyExchange::Curve25519 => KEX,
        KeyExchange::DhGroup14 => OLD_KEX,
    };
    Config {
        server_id: SshId::Standard(Cow::Borrowed(device.platform().ssh_id())),
        methods: MethodSet::from(methods),
        // The login delay is the simulator's own; russh would add a second to each rejection.
        auth_rejection_time: Duration::ZERO,
        keys: vec![PrivateKey::from(Ed25519Keypair::from_seed(key_seed))],
        preferred: Preferred {
            kex: Cow::Borrowed(offered),
            key: Cow::Borrowed(&[Algorithm::Ed25519]),
            cipher: Cow::Borrowed(CIPHERS),
            compression: Cow::Borrowed(&[russh::compression::NONE]),
            ..Preferred::DEFAULT
        },
        channel_buffer_size: COMMANDS_WAITING,
        max_auth_attempts: 3,
        inactivity_timeout: Some(manners.command_delay.saturating_mul(2) + INACTIVITY),
        nodelay: true,
        ..Config::default()
    }
}

/// One client's side of a session, as russh calls it.
struct Visitor {
    device: Arc<SimDevice>,
    manners: Arc<Manners>,
    fault: Option<Fault>,
    asked: mpsc::Sender<(ChannelId, Asked)>,
    /// The channel request that a hanging device never answers. Dropping it would refuse it.
    held: Option<ChannelOpenHandle>,
    stop: CancellationToken,
}

impl Visitor {
    /// Replies to a login after the login delay.
    async fn admit(&self, right: bool) -> Auth {
        let delay = self.device.vary(self.manners.login_delay, self.manners.jitter);
        // A stopping fleet doesn't wait for slow logins.
        let _ = tokio::time::timeout(delay, self.stop.cancelled()).await;
        if right && self.fault != Some(Fault::Password) {
            self.device.logged_in();
            Auth::Accept
        } else {
            Auth::reject()
        }
    }

    fn knows(&self, user: &str, key: &PublicKey) -> bool {
        let known = self.manners.authorized_key.as_ref();
        user == self.manners.username && known.is_some_and(|known| known.key_data() == key.key_data())
    }
}

impl Handler for Visitor {
    type Error = russh::Error;

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Self::Error> {
        self.device.password_tried();
        let right = user == self.manners.username && password == self.manners.password.expose_secret();
        Ok(self.admit(right).await)
    }

    async fn auth_publickey_offered(
        &mut self,
        user: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, Self::Error> {
        Ok(if self.knows(user, offer.public_key) { Auth::Accept } else { Auth::reject() })
    }

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        Ok(self.admit(self.knows(user, key.public_key)).await)
    }

    async fn channel_open_session(
        &mut self,
        _: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        if self.fault == Some(Fault::Hang) {
            self.held = Some(reply);
        } else {
            reply.accept().await;
        }
        Ok(())
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let command = String::from_utf8_lossy(command).into_owned();
        match self.asked.try_send((id, Asked::Exec(command))) {
            Ok(()) => session.channel_success(id),
            Err(_) => session.channel_failure(id),
        }
    }

    async fn shell_request(&mut self, id: ChannelId, session: &mut Session) -> Result<(), Self::Error> {
        match self.asked.try_send((id, Asked::Shell)) {
            Ok(()) => session.channel_success(id),
            Err(_) => session.channel_failure(id),
        }
    }

    async fn pty_request(
        &mut self,
        id: ChannelId,
        _: &str,
        _: u32,
        _: u32,
        _: u32,
        _: u32,
        _: &[(Pty, u32)],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_success(id)
    }

    async fn data(&mut self, id: ChannelId, typed: &[u8], _: &mut Session) -> Result<(), Self::Error> {
        // A full queue holds the session back; it is emptied as the answers go out. A closed one is the session's end.
        let _ = self.asked.send((id, Asked::Typed(typed.to_vec()))).await;
        Ok(())
    }

    async fn subsystem_request(
        &mut self,
        id: ChannelId,
        _: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(id)
    }
}
