//! What is held of the inventory sources: put together at a start and at a reload, and exchanged one by one.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::world::{Before, World, login_problems, ssh_settings};
use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::document::Problems;
use crate::inventory::{Inventory, Kept, Look, Lookout, Stock, Trouble, Verdict};
use crate::probe::Prober;
use crate::source::Source;
use crate::status::RefreshFailure;
use crate::transport::ssh::SshTransport;

/// What is held of each source once it has been looked at. A file that is wrong is a problem while somebody waits for the
/// answer: at a check, at a reload, and at a start without a last good list.
pub(super) fn stocks(
    config: &Config,
    before: &Before<'_>,
    clock: &Arc<dyn Clock>,
    warnings: &mut Vec<String>,
) -> (Vec<Stock>, Problems) {
    let mut problems = Problems::default();
    let mut stocks = Vec::new();
    let references = config.references();
    let held = config.inventory.iter().map(|source| held(source, config, before, warnings)).collect();
    for (held, looked) in looked_at(held, config, clock) {
        // A server is asked once the configuration is known to be good.
        let Some(Looked { look, at, begun }) = looked else {
            stocks.push(held);
            continue;
        };
        let source = Arc::clone(&held.source);
        let (stock, _) = held.take(look, at, &references);
        let stock = stock.begun(begun);
        if let Some(trouble) = stock.trouble() {
            // A file server that is gone must not keep everything else from being reloaded.
            let passes = matches!(before, Before::Kept) || trouble.kind == RefreshFailure::Timeout;
            if held.is_known() && passes || trouble.kind == RefreshFailure::Shrunk {
                warnings.push(format!("inventory {}: {trouble}; the last good list is used", source.name));
            } else {
                problems.extend(trouble.problems(&source));
            }
        }
        stocks.push(stock);
    }
    (stocks, problems)
}

/// What a reading of a source's files brought, and when it began by both clocks.
struct Looked {
    look: Result<Look, Trouble>,
    at: Timestamp,
    begun: Instant,
}

/// Reads the files of all sources, all at once: each may take its whole timeout where a file server is gone, and together
/// they must not take longer than the start may.
fn looked_at(held: Vec<Stock>, config: &Config, clock: &Arc<dyn Clock>) -> Vec<(Stock, Option<Looked>)> {
    let read = |stock: &Stock| {
        let (at, begun) = (clock.now(), Instant::now());
        Looked { look: stock.look_in_time(&config.platforms), at, begun }
    };
    let looked: Vec<Option<Looked>> = thread::scope(|scope| {
        let read = &read;
        let spawned = |stock| Some(scope.spawn(move || read(stock)));
        let readings: Vec<_> = held
            .iter()
            .map(|stock| if stock.source.kind.peer().is_some() { None } else { spawned(stock) })
            .collect();
        readings
            .into_iter()
            .map(|reading| reading.map(|reading| reading.join().unwrap_or_else(|panic| resume_unwind(panic))))
            .collect()
    });
    held.into_iter().zip(looked).collect()
}

/// What is held of a source before it is looked at.
fn held(source: &Source, config: &Config, before: &Before<'_>, warnings: &mut Vec<String>) -> Stock {
    let nothing = || Stock::new(source.clone());
    match before {
        Before::Nothing => nothing(),
        Before::Running(world) => {
            let running = world.stocks.iter().find(|stock| stock.source.name == source.name);
            running.map_or_else(nothing, |stock| stock.retyped(source.clone(), &config.references()))
        }
        Before::Kept => match Kept::beside(&config.store).read(&source.name) {
            Ok(Some(entries)) => nothing().with_kept(entries, &config.references()),
            Ok(None) => nothing(),
            Err(problem) => {
                warnings
                    .push(format!("inventory {}: its last good list can't be read: {problem}", source.name));
                nothing()
            }
        },
    }
}

/// How long servers may take for all of their pages while somebody waits: at a reload, and for commands.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// What a look at a source brought.
pub(super) struct Arrival {
    pub(super) source: Arc<Source>,
    pub(super) look: Result<Look, Trouble>,
    /// When the look began, by the clock on the wall.
    pub(super) at: Timestamp,
    /// The same by a clock that nobody sets.
    pub(super) begun: Instant,
}

/// Which servers are asked before anything else happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// Those of which no list is known.
    Unknown,
    /// All.
    All,
}

impl World<SshTransport> {
    /// The same world with what these servers give, asked all at once, for so long at most. One that gives nothing is told
    /// by its stock.
    pub async fn asked(mut self, which: Ask, limit: Duration) -> Self {
        let mut looks = JoinSet::new();
        for stock in &self.stocks {
            if stock.source.kind.peer().is_some() && (which == Ask::All || !stock.is_known()) {
                let (source, platforms) = (Arc::clone(&stock.source), Arc::clone(&self.config.platforms));
                let (at, begun) = (self.prober.clock.now(), Instant::now());
                looks.spawn(async move {
                    let look = Lookout::new(&source).look_within(limit, &platforms).await;
                    Arrival { source, look, at, begun }
                });
            }
        }
        while let Some(joined) = looks.join_next().await {
            let Ok(arrival) = joined else { continue };
            if let Some((world, _)) = self.refreshed(arrival) {
                self = world;
            }
        }
        self
    }

    /// The world with what a look at one source brought; nothing where that source is another one by now, or was looked at
    /// since, as a reload does.
    pub(super) fn refreshed(&self, arrival: Arrival) -> Option<(Self, Verdict)> {
        let Arrival { source, look, at, begun } = arrival;
        let place = self.stocks.iter().position(|stock| *stock.source == *source)?;
        let held = self.stocks.get(place)?;
        if held.outdates(begun) {
            return None;
        }
        let (stock, verdict) = held.take(look, at, &self.config.references());
        Some(self.exchanged(place, stock.begun(begun), verdict, at))
    }

    /// The world with the list that waits for a confirmation.
    ///
    /// # Errors
    /// Why there is nothing to confirm.
    pub(super) fn confirmed(
        &self,
        source: &str,
        token: &str,
        at: Timestamp,
    ) -> Result<(Self, Verdict), String> {
        let place = self.stocks.iter().position(|stock| stock.source.name == source);
        let place = place.ok_or_else(|| {
            let names: Vec<&str> = self.stocks.iter().map(|stock| stock.source.name.as_str()).collect();
            format!("no inventory source {source:?}; there are: {}", names.join(", "))
        })?;
        let stock = self.stocks[place].confirm(token)?;
        Ok(self.exchanged(place, stock, Verdict::New, at))
    }

    /// The world with another stock in one place. Where the list of all devices can't be made with it, the old one stays.
    fn exchanged(&self, place: usize, stock: Stock, verdict: Verdict, at: Timestamp) -> (Self, Verdict) {
        let mut world = self.clone();
        let held = std::mem::replace(&mut world.stocks[place], stock);
        if verdict != Verdict::New {
            return (world, verdict);
        }
        let assembled = Inventory::assemble(&world.stocks, &self.config.layers);
        match assembled.and_then(|inventory| world.take_inventory(inventory)) {
            Ok(()) => (world, Verdict::New),
            Err(problems) => {
                let mut world = self.clone();
                world.stocks[place] = held.refuse(Trouble::invalid(problems), at);
                (world, Verdict::Refused)
            }
        }
    }

    /// Puts a list of devices in the place of the one before, with what they log in with: the file of `[ssh] config` may
    /// name keys that no device needed until now.
    fn take_inventory(&mut self, inventory: Inventory) -> Result<(), Problems> {
        let mut config = Config::clone(&self.config);
        let before = config.credentials.len();
        config.take_identities(&inventory.devices)?;
        self.of_config.append(&mut config.warnings);
        if config.credentials.len() > before {
            let transport = self.prober.transport.renew(ssh_settings(&config));
            let transport = transport.map_err(|errors| login_problems(&config.path, &errors))?;
            self.prober = Arc::new(Prober {
                transport: Arc::new(transport),
                platforms: Arc::clone(&config.platforms),
                clock: Arc::clone(&self.prober.clock),
            });
            self.config = Arc::new(config);
        }
        self.inventory = Arc::new(inventory);
        Ok(())
    }
}
