//! Jump hosts: each is logged in to once, and its connection shared by all visits that go through it.
//!
//! One visit opens the connection while the others wait for it; if that visit is dropped meanwhile, the next one takes
//! over. A visit's channel is carried by a task of its own that ends with the visit's [`Line`], so that a dropped visit
//! takes its channel along and nothing else. A connection that nobody uses any more is closed after a while; one that was
//! lost is opened anew by the next visit. A login that failed is not tried again at once, however many devices lie behind
//! it: with a wrong password each try would bring the jump host's account closer to a lock-out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex as Lock, PoisonError, Weak};
use std::time::Duration;

use russh::client::Handle;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::task::AbortOnDropHandle;

use crate::device::JumpHost;
use crate::failure::{FailureKind, Stage};
use crate::transport::TransportError;

use super::client::Client;
use super::errors::fail;
use super::facts::SharedFacts;
use super::login::{self, Attempt};
use super::peer::Peer;
use super::wire::{Line, Wire};
use super::{GOODBYE, SshTransport, connect};

mod tunnel;

/// The most channels of one connection: every visit has one, and so has every dead device until the jump host gives up
/// on it.
const CHANNELS_MAX: usize = 256;

/// How long a connection that nobody uses is kept: the next device of a sweep that is spread out comes by then.
const IDLE: Duration = Duration::from_secs(30);

/// How long a failure stands for all visits: for one that may pass by itself, and for one that needs somebody to act (a
/// reload, which comes with a fix, forgets it).
const TRY_AGAIN: Duration = Duration::from_secs(5);
const TRY_AGAIN_AFTER_REFUSAL: Duration = Duration::from_secs(600);

/// The jump hosts in use, each by the whole way to it.
#[derive(Debug, Default)]
pub(super) struct Jumps(Lock<HashMap<Vec<Arc<JumpHost>>, Arc<Slot>>>);

/// The place of one jump host's connection. Who opens it holds the lock.
type Slot = Mutex<State>;

#[derive(Debug, Default)]
enum State {
    #[default]
    Closed,
    Open {
        connection: Arc<Connection>,
        /// Closes it when it is idle.
        _janitor: AbortOnDropHandle<()>,
    },
    Failed {
        error: TransportError,
        until: Instant,
    },
}

/// A session with a jump host.
struct Connection {
    name: Arc<str>,
    session: Handle<Client>,
    facts: SharedFacts,
    channels: Arc<Semaphore>,
    last_used: Lock<Instant>,
    _line: Line,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The right to one channel; as long as it is held, the connection is in use.
#[derive(Debug)]
struct Pass {
    connection: Arc<Connection>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.connection.used();
    }
}

impl Jumps {
    fn slot(&self, way: &[Arc<JumpHost>]) -> Arc<Slot> {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match slots.get(way) {
            Some(slot) => Arc::clone(slot),
            None => Arc::clone(slots.entry(way.to_vec()).or_default()),
        }
    }
}

impl SshTransport {
    /// A connection to the peer through jump hosts, the nearest first.
    pub(super) async fn reach_through(
        &self,
        way: &[Arc<JumpHost>],
        peer: &Peer<'_>,
        facts: &SharedFacts,
    ) -> Result<(Line, Wire), TransportError> {
        let names: Vec<&str> = way.iter().map(|host| &*host.name).collect();
        facts.with(|facts| facts.notes.push(format!("through jump host {}", names.join(", "))));
        let connection = self.jump_to(way).await?;
        match connection.tunnel(peer, facts).await {
            // It had been lost without anybody noticing: once anew.
            Err(_) if connection.session.is_closed() => self.jump_to(way).await?.tunnel(peer, facts).await,
            result => result,
        }
    }

    /// The connection to the last of these jump hosts, through the others.
    async fn jump_to(&self, way: &[Arc<JumpHost>]) -> Result<Arc<Connection>, TransportError> {
        let mut last: Option<Arc<Connection>> = None;
        for (index, host) in way.iter().enumerate() {
            let slot = self.jumps.slot(way.get(..=index).unwrap_or(way));
            let mut state = slot.lock().await;
            match &*state {
                State::Open { connection, .. } if !connection.session.is_closed() => {
                    connection.used();
                    last = Some(Arc::clone(connection));
                    continue;
                }
                State::Failed { error, until } if Instant::now() < *until => return Err(error.clone()),
                _ => *state = State::Closed,
            }
            match self.open(host, last.as_ref()).await {
                Ok(connection) => {
                    let connection = Arc::new(connection);
                    let janitor =
                        tokio::spawn(close_when_idle(Arc::downgrade(&slot), Arc::clone(&connection)));
                    let _janitor = AbortOnDropHandle::new(janitor);
                    *state = State::Open { connection: Arc::clone(&connection), _janitor };
                    last = Some(connection);
                }
                Err(error) => {
                    let wait = if was_refused(&error) { TRY_AGAIN_AFTER_REFUSAL } else { TRY_AGAIN };
                    let error = of_jump_host(&host.name, &error);
                    *state = State::Failed { error: error.clone(), until: Instant::now() + wait };
                    return Err(error);
                }
            }
        }
        last.ok_or_else(|| fail(FailureKind::Internal, Stage::Connect, "a route without a jump host"))
    }

    /// Connects and logs in.
    async fn open(
        &self,
        host: &JumpHost,
        through: Option<&Arc<Connection>>,
    ) -> Result<Connection, TransportError> {
        let peer = Peer::from(host);
        let login = self.login(&host.credential)?;
        let facts = SharedFacts::hiding(login.secrets());
        let (line, wire) = match through {
            None => Line::over(connect::connect(&peer).await?, peer.role, facts.clone()),
            Some(connection) => connection.tunnel(&peer, &facts).await?,
        };
        let login_by = Instant::now() + host.timeouts.login;
        let mut session = self.exchange_keys(&peer, wire, &facts, login_by).await?;
        let attempt = Attempt { login, peer, facts: &facts, offers: &self.offers };
        login::log_in(&mut session, attempt, login_by).await?;
        let server = facts.with(|facts| facts.server.clone()).unwrap_or_default();
        tracing::debug!(jump = %host.name, %server, "logged in to a jump host");
        Ok(Connection {
            name: Arc::clone(&host.name),
            session,
            facts,
            channels: Arc::new(Semaphore::new(CHANNELS_MAX)),
            last_used: Lock::new(Instant::now()),
            _line: line,
        })
    }
}

impl Connection {
    fn used(&self) {
        *self.last_used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn idle_since(&self) -> Instant {
        *self.last_used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends a connection once nobody has used it for a while, or when it is lost.
async fn close_when_idle(slot: Weak<Slot>, connection: Arc<Connection>) {
    loop {
        sleep_until(connection.idle_since() + IDLE).await;
        let Some(slot) = slot.upgrade() else { return };
        let mut state = slot.lock().await;
        let unused = connection.channels.available_permits() == CHANNELS_MAX;
        let idle = unused && connection.idle_since().elapsed() >= IDLE;
        if idle || connection.session.is_closed() {
            let goodbye = connection.session.disconnect(russh::Disconnect::ByApplication, "", "");
            let _ = timeout(GOODBYE, goodbye).await;
            *state = State::Closed;
            return;
        }
        drop(state);
        if !unused {
            // In use all along: the next look is a while from now.
            connection.used();
        }
    }
}

/// Whether another try could do harm: the secret was sent, or it would go to the wrong server. Where this host was in the
/// way, as with an ssh-agent that is gone, nothing was sent.
fn was_refused(error: &TransportError) -> bool {
    let may_have_sent = error.stage == Stage::Auth && error.kind != FailureKind::Internal;
    may_have_sent || error.kind == FailureKind::HostKey
}

/// A jump host's failure, seen by a device behind it: it can't be reached. It is no failure of the device's own login, so
/// that neither its credential nor its host key is held to be wrong.
fn of_jump_host(name: &str, error: &TransportError) -> TransportError {
    let kind = match error.kind {
        FailureKind::Internal => FailureKind::Internal,
        _ => FailureKind::Unreachable,
    };
    if error.detail.starts_with("jump host ") {
        return TransportError { kind, ..error.clone() };
    }
    fail(
        kind,
        Stage::Connect,
        &format!("jump host {name}: {} at {}: {}", error.kind, error.stage, error.detail),
    )
}
