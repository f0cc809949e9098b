//! Carries events from the outbox to one sink: woken by the recorder, in order, at least once, with a pause after a
//! failure. Each sink has its own courier with its own cursor; a dead sink delays neither the recorder nor other sinks.

use std::path::Path;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle, spawn_blocking};
use tokio::time::timeout;

use crate::config::SinkConfig;
use crate::sink::{Journal, Jsonl, SOCKET, Sink};
use crate::status::SinkStatus;
use crate::store::{Outbox, Standing, StoreError};

/// Events of one delivery, and so the most that come twice after a crash.
const HANDFUL: usize = 256;

/// The first pause after a failure; it doubles up to the last, less up to a quarter by chance.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_LAST: Duration = Duration::from_secs(60);

/// A running courier.
#[derive(Debug)]
pub struct CourierHandle {
    /// The sink's name.
    pub name: String,
    /// How far it has come.
    pub status: watch::Receiver<SinkStatus>,
    /// Ends when the recorder has ended and the sink has what it takes; what it doesn't take stays in the outbox.
    pub done: JoinHandle<()>,
}

/// The sink that a `[[sink]]` means.
#[must_use]
pub fn sink(config: &SinkConfig) -> Sink {
    match config {
        SinkConfig::Journal => Sink::Journal(Journal::new(Path::new(SOCKET))),
        SinkConfig::Jsonl { path } => Sink::Jsonl(Jsonl::new(path)),
    }
}

/// Starts carrying, inside a tokio runtime. `name` is the sink's cursor in the store; `news` is the recorder's newest
/// sequence.
///
/// # Errors
/// When the store's outbox can't be opened.
pub fn start(
    name: &str,
    sink: Sink,
    store: &Path,
    news: watch::Receiver<i64>,
) -> Result<CourierHandle, StoreError> {
    let outbox = Outbox::open(store, name)?;
    let standing = outbox.standing()?;
    let (status, status_seen) = watch::channel(status_of(standing, 0));
    let bag = Some(Bag { outbox, sink });
    let courier = Courier { name: name.to_owned(), bag, news, status, failures: 0, failing: false };
    Ok(CourierHandle { name: name.to_owned(), status: status_seen, done: tokio::spawn(courier.run()) })
}

struct Courier {
    name: String,
    /// Lent to a blocking thread while it delivers.
    bag: Option<Bag>,
    news: watch::Receiver<i64>,
    status: watch::Sender<SinkStatus>,
    failures: u64,
    failing: bool,
}

/// What a delivery needs, all of it blocking.
struct Bag {
    outbox: Outbox,
    sink: Sink,
}

/// How one handful went.
struct Step {
    more: bool,
    standing: Option<Standing>,
    error: Option<String>,
}

impl Courier {
    async fn run(mut self) {
        let mut pause = PAUSE_FIRST;
        loop {
            self.news.mark_unchanged();
            match self.deliver_all().await {
                Ok(true) => {
                    pause = PAUSE_FIRST;
                    if self.news.changed().await.is_err() {
                        break;
                    }
                }
                Ok(false) => {
                    let shorter = pause.mul_f64(1.0 - fastrand::f64() / 4.0);
                    pause = (pause * 2).min(PAUSE_LAST);
                    if timeout(shorter, closed(&mut self.news)).await.is_ok() {
                        break;
                    }
                }
                Err(error) => {
                    return tracing::error!(sink = self.name, "the sink's courier broke off: {error}");
                }
            }
        }
        // The recorder has ended: what it committed last is delivered now, or after the next start.
        if !matches!(self.deliver_all().await, Ok(true)) {
            let pending = self.status.borrow().pending;
            tracing::warn!(
                sink = self.name,
                pending,
                "stopped with events undelivered; they wait in the store"
            );
        }
    }

    /// Delivers until nothing is left; `false` when the sink or the store refused.
    async fn deliver_all(&mut self) -> Result<bool, JoinError> {
        loop {
            let Some(mut bag) = self.bag.take() else { return Ok(false) };
            let (bag, step) = spawn_blocking(move || {
                let step = bag.step();
                (bag, step)
            })
            .await?;
            self.bag = Some(bag);
            self.tell(&step);
            if step.error.is_some() || !step.more {
                return Ok(step.error.is_none());
            }
        }
    }

    /// Publishes the standing; logs when failures begin and when they end, not each of them.
    fn tell(&mut self, step: &Step) {
        match &step.error {
            Some(error) => {
                self.failures += 1;
                if !self.failing {
                    tracing::warn!(sink = self.name, "can't deliver events, they wait in the store: {error}");
                }
            }
            None if self.failing => tracing::info!(sink = self.name, "delivers events again"),
            None => {}
        }
        self.failing = step.error.is_some();
        match &step.standing {
            Some(standing) => {
                self.status.send_replace(status_of(standing.clone(), self.failures));
            }
            None => self.status.send_modify(|status| status.failures = self.failures),
        }
    }
}

impl Bag {
    fn step(&mut self) -> Step {
        self.try_step().unwrap_or_else(|error| Step {
            more: false,
            standing: None,
            error: Some(error.to_string()),
        })
    }

    fn try_step(&mut self) -> Result<Step, StoreError> {
        let events = self.outbox.next(HANDFUL)?;
        let delivery = self.sink.deliver(&events);
        if let Some(last) = delivery.count.checked_sub(1).and_then(|last| events.get(last)) {
            self.outbox.delivered(last.sequence, delivery.count)?;
        }
        Ok(Step {
            more: events.len() == HANDFUL,
            standing: Some(self.outbox.standing()?),
            error: delivery.error.map(|error| error.to_string()),
        })
    }
}

fn status_of(standing: Standing, failures: u64) -> SinkStatus {
    SinkStatus {
        deliveries: standing.deliveries,
        failures,
        pending: standing.pending,
        oldest_pending: standing.oldest_pending,
    }
}

/// Waits until the recorder has ended, however much it tells before.
async fn closed(news: &mut watch::Receiver<i64>) {
    while news.changed().await.is_ok() {}
}
