//! The daemon: `Daemon::build` makes every room, `Daemon::run` starts them, keeps them and stops them in order. The
//! only file that knows them all.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::activity::{Note, Notes, OnDemand};
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::config::{Config, WebFlags};
use crate::http::{self, App, ConfirmRequest, Readiness, ReloadRequest};
use crate::known::OpenBreaker;
use crate::limits;
use crate::metrics::Exporter;
use crate::recorder::{Recorder, RecorderError, RecorderHandle};
use crate::schedule::Alarms;
use crate::status::ReloadStatus;
use crate::store::Store;
use crate::sweep::{Engine, Lanes, Stop};
use crate::transport::ssh::{SshTransport, tune_process};

mod aside;
mod couriers;
mod forecasts;
mod live;
mod notify;
mod policies;
mod refresh;
mod reload;
mod replays;
mod requests;
mod rooms;
mod shelf;
mod surface;
mod told;
mod watchdog;
mod world;

pub(crate) use aside::aside;
use couriers::Couriers;
use live::{read_config, read_live, read_platforms};
use refresh::Lookouts;
use reload::Reloader;
pub use reload::fixed_keys;
use rooms::{Rooms, Shared};
use shelf::Arrival;
pub use shelf::{Ask, PATIENCE};
use surface::Surface;
pub use world::{Before, World};

/// How long servers whose devices are not known are waited for at a start: half of what the unit gives for it.
const ASKED_AT_START: Duration = Duration::from_secs(60);

/// A commit and a flush of the sinks get this much at a stop in any case.
const LAST: Duration = Duration::from_secs(5);

/// Every room made, sockets bound, state loaded; nothing moves yet.
pub struct Daemon {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    world: Arc<ArcSwap<World<SshTransport>>>,
    engine: Engine,
    recorder: RecorderHandle,
    couriers: Couriers,
    listeners: Vec<TcpListener>,
    addresses: Vec<SocketAddr>,
    surface: Surface,
    hangup: Signal,
}

impl Daemon {
    /// Reads the configuration, binds the sockets, opens the store and loads its state; nothing where `stop` comes meanwhile.
    ///
    /// # Errors
    /// Whatever keeps the daemon from starting: [`ConfigErrors`](crate::config::ConfigErrors), a port in use, a store
    /// that can't be opened, too few file descriptors for the worker cap.
    pub async fn build(path: &Path, stop: &CancellationToken) -> anyhow::Result<Option<Self>> {
        Self::build_with(path, WebFlags::default(), stop).await
    }

    /// Like [`Daemon::build`], with what the command line says over the file.
    ///
    /// # Errors
    /// As there.
    pub async fn build_with(
        path: &Path,
        flags: WebFlags,
        stop: &CancellationToken,
    ) -> anyhow::Result<Option<Self>> {
        // Before all that takes time: an early SIGHUP would end the process.
        let hangup = signal(SignalKind::hangup()).context("SIGHUP can't be listened for")?;
        tune_process()?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let loaded = World::load_until(stop, path, &flags, &clock).await?;
        let Some(world) = loaded else { return Ok(None) };
        let config = Arc::clone(&world.config);
        limits::require_open_files(files(&config))
            .with_context(|| format!("{}: workers.max = {}", path.display(), config.workers))?;
        let listeners = surface::listeners(&config.web).await?;
        let surface = Surface::new(flags, &config.web)?;
        let addresses = listeners.iter().map(TcpListener::local_addr).collect::<Result<_, _>>()?;
        let (recorder, couriers) = open_store(&world, &clock)?;
        let Some(world) = stop.run_until_cancelled(world.asked(Ask::Unknown, ASKED_AT_START)).await else {
            drop(recorder.notes);
            recorder.done.await??;
            couriers.ended(Some(Instant::now() + LAST)).await;
            return Ok(None);
        };
        told::inventory(None, &world);
        tell_unknown(&world);
        world.keep_lists();
        recorder.notes.send(world.note()).await?;
        recorder.notes.send(world.source_news()).await?;
        flushed(&recorder.notes).await?;
        let engine = Engine::with_rules(world.rules()).on(Lanes::one_per_core()?);
        reopen(&engine, &recorder.snapshot.load().breakers, clock.now());
        Ok(Some(Self {
            path: path.to_owned(),
            engine,
            clock,
            world: Arc::new(ArcSwap::from_pointee(world)),
            recorder,
            couriers,
            listeners,
            addresses,
            surface,
            hangup,
        }))
    }

    /// Where the HTTP server listens.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Runs until `stop`, then stops in order within the configured grace.
    ///
    /// # Errors
    /// Whatever the daemon can't go on without: the recorder, a sweep, the alarm clock.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let Self { path, clock, world, engine, recorder, couriers, listeners, addresses, surface, hangup } =
            self;
        let RecorderHandle { notes, snapshot, outbox, pulse, mut done } = recorder;
        let alarms = Alarms::start().await?;
        let sweeps_stop = Stop::default();
        let mut rooms = Rooms::new(Shared {
            engine: engine.clone(),
            world: Arc::clone(&world),
            notes: notes.clone(),
            clock: Arc::clone(&clock),
            alarms: alarms.clone(),
            snapshot: Arc::clone(&snapshot),
            stop: sweeps_stop.clone(),
        });
        let (on_demand, asks, book) = OnDemand::new();
        rooms.serve(asks, book);
        let ((reload, reload_asked), (confirm, confirmed)) = (mpsc::channel(1), mpsc::channel(1));
        let (mut lookouts, arrived) = Lookouts::new(Arc::clone(&world), Arc::clone(&clock));
        let (reloaded, reload_status) =
            watch::channel(ReloadStatus { successful: true, success_at: clock.now() });
        let told = (reload_status.clone(), rooms.keep_policies(reload_status));
        let (readiness, readiness_seen) = watch::channel(Readiness::Loading);
        let exporter = Arc::new(ArcSwap::from_pointee(exporter(&world.load().config)));
        let (read, forecasts) = read_live(&world, &engine, couriers.board(), told, &snapshot, &clock);
        let app = App {
            snapshot: Arc::clone(&snapshot),
            sweeps: rooms.handles(),
            on_demand,
            exporter: Arc::clone(&exporter),
            live: read,
            forecasts,
            reload,
            confirm,
            replay: replays::counter(world.load().config.store.clone(), sweeps_stop.drain.clone()),
            readiness: readiness_seen,
            clock: Arc::clone(&clock),
            // Another path in a later configuration waits for a restart.
            store: world.load().config.store.clone(),
            outbox,
            platforms: read_platforms(&world),
            config: read_config(&world),
            web: Arc::clone(&surface.web),
            keeper: Arc::clone(&surface.keeper),
        };
        let http_stop = CancellationToken::new();
        let server = tokio::spawn(http::serve(listeners, app, http_stop.clone()));
        rooms.furnish(&world.load().config.sweeps);
        lookouts.furnish(&world.load().stocks);
        readiness.send_replace(Readiness::Ready);
        let watchdog = tokio::spawn(watchdog::keep(alarms, pulse));
        announce_ready(&world.load(), &addresses);

        let mut reloader =
            Reloader { path, clock, world, engine, notes, exporter, reloaded, lookouts, couriers, surface };
        let asked = Asked { hangup, reload: reload_asked, confirm: confirmed, arrived };
        let ended = live(&mut reloader, &mut rooms, &mut done, asked, &stop).await;

        notify::stopping();
        readiness.send_replace(Readiness::Stopping);
        let grace = Instant::now() + reloader.world.load().config.grace;
        let couriers = reloader.end();
        sweeps_stop.drain.cancel();
        // A recorder that ended by itself is what ended the daemon; there is nothing to wait for.
        let recorder = (!done.is_finished()).then_some(done);
        let stopped = wind_down(rooms, &sweeps_stop, recorder, couriers, grace).await;
        watchdog.abort();
        http_stop.cancel();
        server.await?;
        match ended {
            // An error that ended the daemon matters more than how the end went.
            Err(error) => Err(error),
            Ok(()) => stopped,
        }
    }
}

/// What the daemon is asked for while it runs, and what its look-outs bring.
struct Asked {
    hangup: Signal,
    reload: mpsc::Receiver<ReloadRequest>,
    confirm: mpsc::Receiver<ConfirmRequest>,
    arrived: mpsc::Receiver<Arrival>,
}

/// The daemon's life between ready and stop: reloads, refreshes, and the errors that it can't go on after. All that
/// exchanges the world comes through here, one after the other.
async fn live(
    reloader: &mut Reloader,
    rooms: &mut Rooms<SshTransport>,
    recorder: &mut JoinHandle<Result<(), RecorderError>>,
    mut asked: Asked,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            ended = &mut *recorder => {
                ended??;
                anyhow::bail!("the recorder ended before it was told to");
            }
            error = rooms.failed() => return Err(error),
            _ = asked.hangup.recv() => {
                // What is wrong is in the log and in the metrics; nobody else asked.
                let _ = stop.run_until_cancelled(reloader.reload(rooms)).await;
            }
            Some(answer) = asked.reload.recv() => {
                if let Some(result) = stop.run_until_cancelled(reloader.reload(rooms)).await {
                    // Whoever asked may have gone away.
                    let _ = answer.send(result);
                }
            }
            Some(ConfirmRequest { source, list, answer }) = asked.confirm.recv() => {
                let at = reloader.clock.now();
                let confirmed = refresh::confirm(&reloader.world, &reloader.notes, (source, list), at);
                if let Some(result) = stop.run_until_cancelled(confirmed).await {
                    let _ = answer.send(result);
                }
            }
            Some(arrival) = asked.arrived.recv() => {
                let taken = refresh::take(&reloader.world, &reloader.notes, arrival);
                if let Some(Err(error)) = stop.run_until_cancelled(taken).await {
                    error!("an inventory could not be taken: {error}");
                }
            }
        }
    }
}

/// Sources that have never told what they have: what was known of their devices waits for them.
fn tell_unknown(world: &World<SshTransport>) {
    for stock in world.unknown() {
        let (source, trouble) = (stock.source.name.as_str(), stock.trouble());
        let trouble = trouble.map(ToString::to_string).unwrap_or_default();
        error!(source, "inventory not known, and no last good list: its devices are not visited: {trouble}");
    }
}

/// Files that a daemon of this configuration may have open at once.
fn files(config: &Config) -> usize {
    config.workers + config.web.connections + limits::FILES_BESIDE_VISITS
}

/// Opens the store and starts what feeds on it: the recorder, and a courier for each sink.
pub(crate) fn open_store(
    world: &World<SshTransport>,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<(RecorderHandle, Couriers)> {
    let config = &world.config;
    let (mut store, mut loaded) = Store::open(&config.store)?;
    // A clock that was set back since makes no pause longer: as the engine has it.
    let longest = clock.now() + config.breaker.pause;
    for open in &mut loaded.breakers {
        open.until = open.until.min(longest);
    }
    let names: Vec<&str> = config.sinks.iter().map(|sink| sink.name.as_str()).collect();
    store.set_sinks(&names)?;
    let recorder = Recorder::start(store, loaded, world.judgement(), Arc::clone(clock));
    let couriers = Couriers::start(config, recorder.outbox.clone(), clock)?;
    Ok((recorder, couriers))
}

/// Returns once all that was told the recorder before is committed and published.
pub(crate) async fn flushed(notes: &Notes) -> anyhow::Result<()> {
    let (done, flushed) = oneshot::channel();
    notes.send(Note::Flush(done)).await.context("the recorder has ended")?;
    flushed.await.context("the recorder has ended")
}

/// Breakers that were open when the process before this one ended stay so.
pub(crate) fn reopen(engine: &Engine, breakers: &[OpenBreaker], now: Timestamp) {
    for open in breakers {
        engine.reopen(&open.credential, (open.until - now).to_std().unwrap_or_default());
        warn!(credential = %open.credential, since = %open.since, "the breaker was open before the restart and stays so");
    }
}

fn exporter(config: &Config) -> Exporter {
    Exporter::new(&config.info_labels, config.per_device_metrics)
}

fn announce_ready(world: &World<SshTransport>, addresses: &[SocketAddr]) {
    for address in addresses {
        info!(%address, "serving http");
    }
    let (devices, sweeps) = (world.inventory.devices.len(), world.config.sweeps.len());
    info!(devices, sweeps, workers = world.config.workers, "ready");
    notify::ready(&format!("{devices} devices, {sweeps} sweeps"));
}

/// Sweeps drain and are broken off at the end of the grace; the recorder commits what they told; sinks deliver it.
async fn wind_down(
    rooms: Rooms<SshTransport>,
    stop: &Stop,
    recorder: Option<JoinHandle<Result<(), RecorderError>>>,
    couriers: Couriers,
    grace: Instant,
) -> anyhow::Result<()> {
    let drained = tokio::spawn(rooms.drained());
    tokio::pin!(drained);
    let graceful = timeout_at(grace, &mut drained).await.is_ok();
    if !graceful {
        warn!("the grace has passed: visits that are still on are broken off and not recorded");
        stop.abort.cancel();
        drained.await?;
    }
    // Most of the grace may be used up.
    let last = grace.max(Instant::now() + LAST);
    if let Some(recorder) = recorder {
        let ended = timeout_at(last, recorder).await;
        ended.context("the recorder could not commit the last batch within the grace")???;
    }
    couriers.ended(Some(last)).await;
    info!(graceful, "stopped");
    Ok(())
}
