//! Carries events from the outbox to one sink: woken by the recorder, in order for each device, at least once, with pauses
//! after failures and an end to trying. Each sink has its own courier with its own cursor; a dead sink delays neither the
//! recorder nor other sinks.

mod pace;
mod round;
mod setup;

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use self::pace::Pace;
pub use self::setup::{DigestRule, Setup};
use crate::change::Whose;
use crate::clock::Clock;
use crate::event::Fold;
use crate::observation::SweepId;
use crate::sink::Lent;
use crate::status::SinkStatus;
use crate::store::{Outbox, Settled, Standing, StoreError};

/// How long an event is tried before it is given up. Time in which versweep doesn't run is not counted, nor is what a
/// clock that is set makes of it.
const GIVE_UP: Duration = Duration::from_secs(24 * 3600);

/// How often an idle courier looks whether somebody asked for events again.
const TICK: Duration = Duration::from_secs(30);

/// The pauses of a sink that is down: short enough that it is noticed soon when it is back.
const SINK_PACE: Pace = Pace { first: Duration::from_secs(1), longest: Duration::from_secs(300) };

/// A running courier.
#[derive(Debug)]
pub struct CourierHandle {
    /// The sink's name.
    pub name: String,
    /// How far it has come.
    pub status: watch::Receiver<SinkStatus>,
    /// Ends it before the recorder ends: what is not delivered waits in the outbox.
    pub stop: CancellationToken,
    /// Ends when the recorder has ended and the sink has what it takes; what it doesn't take stays in the outbox.
    pub done: JoinHandle<()>,
}

/// Starts carrying, inside a tokio runtime. The sink's name is its cursor in the store; `news` is the recorder's newest
/// sequence.
///
/// # Errors
/// When the store's outbox can't be opened.
pub fn start(
    setup: Setup,
    store: &Path,
    news: watch::Receiver<i64>,
    clock: Arc<dyn Clock>,
) -> Result<CourierHandle, StoreError> {
    let outbox = Outbox::open(store, &setup.name)?;
    let standing = outbox.standing()?;
    let (status, status_seen) = watch::channel(status_of(&standing, 0, 0));
    let (name, stop) = (setup.name.clone(), CancellationToken::new());
    let courier = Courier {
        waited: standing.waited,
        setup,
        outbox: Lent::new(outbox),
        news,
        status,
        clock,
        stop: stop.clone(),
        pauses: HashMap::new(),
        refusers: HashSet::new(),
        folds: HashMap::new(),
        unwritten: None,
        tries: 0,
        failures: 0,
        failing: false,
    };
    Ok(CourierHandle { name, status: status_seen, stop, done: tokio::spawn(courier.run()) })
}

struct Courier {
    setup: Setup,
    outbox: Lent<Outbox>,
    news: watch::Receiver<i64>,
    status: watch::Sender<SinkStatus>,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
    /// Until when devices whose events were refused are left alone. Forgotten at a restart: they are tried at once then.
    pauses: HashMap<Whose, Instant>,
    /// Whose events were refused since the sink last took something; no more than matter.
    refusers: HashSet<Whose>,
    /// How the sweeps of the last events are folded.
    folds: HashMap<SweepId, Fold>,
    /// What became of some events, where the store didn't take it yet.
    unwritten: Option<Settled>,
    /// Tries in vain since the sink last took something, and how long they have lasted.
    tries: u32,
    waited: Duration,
    failures: u64,
    failing: bool,
}

/// What comes after a round.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Next {
    /// There is more to carry at once.
    More,
    /// Nothing can be done before there is news, or before this instant.
    Idle(Instant),
    /// The sink or the store takes nothing; tried again after this time.
    Down(Duration),
}

impl Courier {
    async fn run(mut self) {
        loop {
            self.news.mark_unchanged();
            let ended = match self.round().await {
                Next::More => self.stop.is_cancelled(),
                Next::Idle(until) => self.idle(until).await,
                Next::Down(pause) => self.pause(pause).await,
            };
            if self.stop.is_cancelled() {
                return;
            }
            if ended {
                break;
            }
        }
        // The recorder has ended: what it committed last is delivered now, or after the next start.
        while self.round().await == Next::More {}
        let pending = self.status.borrow().pending;
        if pending > 0 {
            tracing::warn!(
                sink = self.setup.name,
                pending,
                "stopped with events undelivered; they wait in the store"
            );
        }
    }

    /// Waits for news or that instant; `true` when the recorder has ended.
    async fn idle(&mut self, until: Instant) -> bool {
        tokio::select! {
            news = self.news.changed() => news.is_err(),
            () = sleep_until(until) => false,
            () = self.stop.cancelled() => false,
        }
    }

    /// Waits, whatever the recorder tells; `true` when it has ended.
    async fn pause(&mut self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        tokio::select! {
            () = closed(&mut self.news) => true,
            () = sleep_until(until) => false,
            () = self.stop.cancelled() => false,
        }
    }

    /// Publishes how far the sink is.
    fn publish(&self, standing: &Standing, held_devices: usize) {
        self.status.send_replace(status_of(standing, self.failures, held_devices as u64));
    }

    /// Logs when failures begin and when they end, not each of them.
    fn tell(&mut self, error: Option<&str>) {
        match error {
            Some(error) => {
                self.failures += 1;
                self.status.send_modify(|status| status.failures = self.failures);
                if !self.failing {
                    tracing::warn!(
                        sink = self.setup.name,
                        "can't deliver events, they wait in the store: {error}"
                    );
                }
            }
            None if self.failing => tracing::info!(sink = self.setup.name, "delivers events again"),
            None => {}
        }
        self.failing = error.is_some();
    }
}

fn status_of(standing: &Standing, failures: u64, held_devices: u64) -> SinkStatus {
    SinkStatus {
        deliveries: standing.deliveries,
        failures,
        pending: standing.pending,
        oldest_pending: standing.oldest_pending,
        held_devices,
        dead: standing.dead,
        kept: standing.kept,
        dropped: standing.dropped,
    }
}

/// Waits until the recorder has ended, however much it tells before.
async fn closed(news: &mut watch::Receiver<i64>) {
    while news.changed().await.is_ok() {}
}
