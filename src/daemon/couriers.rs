//! The couriers of the configuration's sinks: exchanged at a reload, waited for at the end.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use crate::clock::Clock;
use crate::config::{Config, SinkConfig};
use crate::courier::{self, CourierHandle, Setup};
use crate::status::SinkStatus;
use crate::store;

/// How long a courier may take over the delivery that it is at when its sink is exchanged; broken off after it, that one
/// may come twice.
const EXCHANGE: Duration = Duration::from_secs(10);

/// How far each sink has come, by name, in the order of the configuration.
pub(crate) type SinkBoard = Arc<ArcSwap<Vec<(String, watch::Receiver<SinkStatus>)>>>;

/// All couriers.
pub(crate) struct Couriers {
    store: PathBuf,
    news: watch::Receiver<i64>,
    clock: Arc<dyn Clock>,
    running: Vec<Running>,
    board: SinkBoard,
}

struct Running {
    config: SinkConfig,
    source: String,
    handle: CourierHandle,
}

impl Couriers {
    /// Starts a courier for each sink of a configuration whose store has its sinks named; `news` is the recorder's newest
    /// sequence.
    ///
    /// # Errors
    /// When a sink can't be made, or the store's outbox can't be opened.
    pub(crate) fn start(
        config: &Config,
        news: watch::Receiver<i64>,
        clock: &Arc<dyn Clock>,
    ) -> anyhow::Result<Self> {
        let mut couriers = Self {
            store: config.store.clone(),
            news,
            clock: Arc::clone(clock),
            running: Vec::new(),
            board: SinkBoard::default(),
        };
        for sink in &config.sinks {
            let setup = Setup::new(sink, &config.event_source)?;
            couriers.begin(setup, sink, &config.event_source)?;
        }
        couriers.show();
        Ok(couriers)
    }

    /// How far each sink has come; it follows reloads.
    pub(crate) fn board(&self) -> SinkBoard {
        Arc::clone(&self.board)
    }

    /// Takes the sinks as a new configuration has them: those that are as before go on, others are exchanged.
    ///
    /// # Errors
    /// When a sink can't be made; then nothing is changed. Or when the store refuses; then some may be missing, and the
    /// next reload starts them.
    pub(super) async fn furnish(&mut self, config: &Config) -> anyhow::Result<()> {
        let source = &config.event_source;
        let stays = |running: &Running| running.source == *source && config.sinks.contains(&running.config);
        let missing = |sink: &&SinkConfig| {
            !self.running.iter().any(|running| running.config == **sink && running.source == *source)
        };
        let new: Vec<_> = config.sinks.iter().filter(missing).cloned().collect();
        let setups = new.iter().map(|sink| Setup::new(sink, source)).collect::<Result<Vec<_>, _>>()?;
        let (staying, leaving) = std::mem::take(&mut self.running).into_iter().partition(stays);
        self.running = staying;
        for running in leaving {
            leave(running.handle).await;
        }
        let names: Vec<String> = config.sinks.iter().map(|sink| sink.name.clone()).collect();
        let store = self.store.clone();
        tokio::task::spawn_blocking(move || {
            store::rename_sinks(&store, &names.iter().map(String::as_str).collect::<Vec<_>>())
        })
        .await??;
        for (setup, sink) in setups.into_iter().zip(&new) {
            self.begin(setup, sink, source)?;
        }
        let place = |running: &Running| config.sinks.iter().position(|sink| *sink == running.config);
        self.running.sort_by_key(place);
        self.show();
        Ok(())
    }

    /// Waits until all have ended after the recorder; `true` when each did before `last`.
    pub(crate) async fn ended(self, last: Option<Instant>) -> bool {
        let mut all = true;
        for Running { handle, .. } in self.running {
            let ended = match last {
                Some(last) => timeout_at(last, handle.done).await.is_ok(),
                None => handle.done.await.is_ok(),
            };
            if !ended {
                tracing::warn!(
                    sink = handle.name,
                    "not flushed within the grace: its events wait in the store"
                );
            }
            all &= ended;
        }
        all
    }

    fn begin(&mut self, setup: Setup, sink: &SinkConfig, source: &str) -> anyhow::Result<()> {
        let handle = courier::start(setup, &self.store, self.news.clone(), Arc::clone(&self.clock))?;
        self.running.push(Running { config: sink.clone(), source: source.to_owned(), handle });
        Ok(())
    }

    fn show(&self) {
        let each = |running: &Running| (running.handle.name.clone(), running.handle.status.clone());
        self.board.store(Arc::new(self.running.iter().map(each).collect()));
    }
}

/// Lets a courier finish what it is at, within limits.
async fn leave(mut handle: CourierHandle) {
    handle.stop.cancel();
    if timeout(EXCHANGE, &mut handle.done).await.is_err() {
        handle.done.abort();
        // Aborted at its next pause for breath, which a delivery over the network always has.
        let _aborted = handle.done.await;
    }
}
