//! Refreshing the inventory while the daemon runs: a task for each source looks at it again and again, and what it finds
//! is put in its place here, one source at a time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;
use tracing::error;

use super::shelf::Arrival;
use super::told;
use super::world::{World, source_news};
use crate::activity::{Note, Notes, SourceState};
use crate::clock::{Clock, Timestamp};
use crate::inventory::{Lookout, Stock, Verdict};
use crate::source::Source;
use crate::transport::ssh::SshTransport;

/// The longest look at one source: a server has many pages, each with its own timeout, and may never come to the last one.
const LOOK_MAX: Duration = Duration::from_secs(3600);

/// The tasks that look at the sources.
pub(super) struct Lookouts {
    world: Arc<ArcSwap<World<SshTransport>>>,
    clock: Arc<dyn Clock>,
    arrivals: mpsc::Sender<Arrival>,
    running: BTreeMap<String, (Arc<Source>, AbortHandle)>,
    tasks: JoinSet<()>,
}

impl Lookouts {
    /// None yet; what they find comes out of the other end.
    pub(super) fn new(
        world: Arc<ArcSwap<World<SshTransport>>>,
        clock: Arc<dyn Clock>,
    ) -> (Self, mpsc::Receiver<Arrival>) {
        let (arrivals, arrived) = mpsc::channel(1);
        (Self { world, clock, arrivals, running: BTreeMap::new(), tasks: JoinSet::new() }, arrived)
    }

    /// Makes the tasks those of these sources; one whose source stays the same goes on.
    pub(super) fn furnish(&mut self, stocks: &[Stock]) {
        self.running.retain(|name, (source, task)| {
            let stays = stocks.iter().any(|stock| stock.source.name == *name && *stock.source == **source);
            if !stays {
                task.abort();
            }
            stays
        });
        self.reap();
        for stock in stocks {
            if !self.running.contains_key(&stock.source.name) {
                let task = self.tasks.spawn(self.task(stock));
                self.running.insert(stock.source.name.clone(), (Arc::clone(&stock.source), task));
            }
        }
    }

    /// Lets go of tasks that have ended: aborted ones, and any that a defect has ended, which begins anew.
    fn reap(&mut self) {
        while let Some(ended) = self.tasks.try_join_next_with_id() {
            let Some(broken) = ended.err().filter(|error| error.is_panic()) else { continue };
            let id = broken.id();
            if let Some((name, _)) = self.running.extract_if(.., |_, (_, task)| task.id() == id).next() {
                error!(source = name, "looking at it broke off, a defect of versweep: {broken}");
            }
        }
    }

    fn task(&self, stock: &Stock) -> impl Future<Output = ()> + use<> {
        let (world, clock, arrivals) =
            (Arc::clone(&self.world), Arc::clone(&self.clock), self.arrivals.clone());
        let source = Arc::clone(&stock.source);
        // A file may have changed between its reading and its watch; a server was asked just now, or has to be.
        let at_once = source.kind.peer().is_none() || stock.status().looked.is_none();
        async move {
            let mut lookout = Lookout::new(&source);
            if !at_once {
                lookout.due().await;
            }
            loop {
                let platforms = Arc::clone(&world.load().config.platforms);
                let (at, begun) = (clock.now(), Instant::now());
                let look = lookout.look_within(LOOK_MAX, &platforms).await;
                let arrival = Arrival { source: Arc::clone(&source), look, at, begun };
                if arrivals.send(arrival).await.is_err() {
                    return;
                }
                lookout.due().await;
            }
        }
    }
}

/// Puts what has arrived in its place: checked, merged, kept on disk, told the recorder, and only then seen by sweeps.
pub(super) async fn take(
    world: &ArcSwap<World<SshTransport>>,
    notes: &Notes,
    arrival: Arrival,
) -> Result<(), String> {
    let old = world.load_full();
    let before = Arc::clone(&old);
    let name = arrival.source.name.clone();
    let work = move || {
        let source = Arc::clone(&arrival.source);
        let (new, verdict) = before.refreshed(arrival)?;
        if verdict == Verdict::New {
            new.keep_list(&source.name);
        }
        Some((new, verdict))
    };
    let done = tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string())?;
    let Some((new, verdict)) = done else { return Ok(()) };
    told::refresh(&name, &old, &new, verdict);
    tell(notes, &name, (&old, &new), Done::Looked).await?;
    swap(world, notes, new, verdict).await
}

/// Tells the recorder how a source is, where that is otherwise than before.
async fn tell(
    notes: &Notes,
    source: &str,
    (old, new): (&World<SshTransport>, &World<SshTransport>),
    done: Done,
) -> Result<(), String> {
    let of = |world: &World<SshTransport>| {
        let mut stocks = world.stocks.iter();
        stocks.find(|stock| stock.source.name == source).map(source_news)
    };
    let Some(mut news) = of(new).filter(|news| of(old).as_ref() != Some(news)) else { return Ok(()) };
    if let (Done::Confirmed, SourceState::Good { why }) = (done, &mut news.state) {
        *why = "the shorter list was confirmed";
    }
    notes.send(Note::Source(news)).await.map_err(|_| "the recorder has ended".to_owned())
}

/// What makes a source otherwise than before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Done {
    Looked,
    Confirmed,
}

/// Takes the list of a source that waits for a confirmation.
///
/// # Errors
/// Why there is nothing to confirm.
pub(super) async fn confirm(
    world: &ArcSwap<World<SshTransport>>,
    notes: &Notes,
    (source, token): (String, String),
    at: Timestamp,
) -> Result<usize, String> {
    let old = world.load_full();
    let (before, name) = (Arc::clone(&old), source.clone());
    let work = move || {
        let (new, verdict) = before.confirmed(&name, &token, at)?;
        if verdict == Verdict::New {
            new.keep_list(&name);
        }
        Ok::<_, String>((new, verdict))
    };
    let done = tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string())?;
    let (new, verdict) = done?;
    told::refresh(&source, &old, &new, verdict);
    tell(notes, &source, (&old, &new), Done::Confirmed).await?;
    let devices = new.inventory.devices.len();
    let refused =
        new.stocks.iter().find(|stock| stock.source.name == source).and_then(Stock::trouble).cloned();
    swap(world, notes, new, verdict).await?;
    match refused {
        Some(trouble) if verdict == Verdict::Refused => Err(trouble.to_string()),
        _ => Ok(devices),
    }
}

async fn swap(
    world: &ArcSwap<World<SshTransport>>,
    notes: &Notes,
    new: World<SshTransport>,
    verdict: Verdict,
) -> Result<(), String> {
    if verdict == Verdict::New {
        let told = notes.send(new.note()).await;
        told.map_err(|_| "the recorder has ended".to_owned())?;
    }
    world.store(Arc::new(new));
    Ok(())
}
