//! A reload: the configuration and the inventory as they are now take the place of the old ones, or nothing does.

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tracing::{error, info, warn};

use super::couriers::Couriers;
use super::refresh::Lookouts;
use super::rooms::Rooms;
use super::shelf::{Ask, PATIENCE};
use super::surface::Surface;
use super::world::{Before, World};
use super::{exporter, files, notify, told};
use crate::activity::{Note, Notes};
use crate::clock::Clock;
use crate::config::Config;
use crate::document::Problems;
use crate::inventory::{Stock, Trouble};
use crate::limits;
use crate::metrics::Exporter;
use crate::status::ReloadStatus;
use crate::sweep::Engine;
use crate::transport::ssh::SshTransport;

/// What a reload exchanges.
pub(super) struct Reloader {
    pub(super) path: PathBuf,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) world: Arc<ArcSwap<World<SshTransport>>>,
    pub(super) engine: Engine,
    pub(super) notes: Notes,
    pub(super) exporter: Arc<ArcSwap<Exporter>>,
    pub(super) reloaded: watch::Sender<ReloadStatus>,
    pub(super) lookouts: Lookouts,
    pub(super) couriers: Couriers,
    pub(super) surface: Surface,
}

impl Reloader {
    /// There are no more reloads. The recorder ends when the last sender of notes has gone, and the couriers after it.
    pub(super) fn end(self) -> Couriers {
        self.couriers
    }

    /// Takes the configuration and inventory as they are now, or keeps the old ones and tells what is wrong.
    pub(super) async fn reload(&mut self, rooms: &mut Rooms<SshTransport>) -> Result<(), String> {
        notify::reloading();
        let result = self.exchange(rooms).await;
        match &result {
            Ok(()) => {
                info!(file = %self.path.display(), "configuration reloaded");
                self.reloaded.send_replace(ReloadStatus { successful: true, success_at: self.clock.now() });
            }
            Err(errors) => {
                for line in errors.lines() {
                    error!("{line}");
                }
                error!(file = %self.path.display(), "reload refused: the configuration before it stays in force");
                self.reloaded.send_modify(|status| status.successful = false);
            }
        }
        notify::ready("running");
        result
    }

    async fn exchange(&mut self, rooms: &mut Rooms<SshTransport>) -> Result<(), String> {
        let (path, clock, old) = (self.path.clone(), Arc::clone(&self.clock), self.world.load_full());
        let (before, flags) = (Arc::clone(&old), self.surface.flags.clone());
        // Reading thousands of inventory rows and host keys is no work for a thread that serves visits.
        let loaded = tokio::task::spawn_blocking(move || {
            World::load_with(&path, &flags, &clock, &Before::Running(&before))
        });
        let new = loaded.await.map_err(|error| error.to_string())?.map_err(|errors| errors.to_string())?;
        let mut new = new.asked(Ask::Unknown, PATIENCE).await;
        require_new_sources(&old, &new)?;
        limits::require_open_files(files(&new.config))
            .map_err(|error| format!("{}: workers.max: {error}", self.path.display()))?;
        let last_good = rooms.last_good_policies();
        let last_good = last_good.lock().await;
        if let Some(text) = &*last_good {
            new.take_policies(text);
        }
        // The last that may be refused: what comes behind it fails only where the daemon ends.
        self.couriers
            .furnish(&new.config)
            .await
            .map_err(|error| format!("{}: sink: {error}", self.path.display()))?;
        for key in needs_restart(&old.config, &new.config) {
            warn!(key, "{key} changed, but only a restart brings it into force");
        }
        let new = Arc::new(new);
        let kept = Arc::clone(&new);
        tokio::task::spawn_blocking(move || kept.keep_lists()).await.map_err(|error| error.to_string())?;
        let told = async {
            self.notes.send(Note::Judgement(new.judgement())).await?;
            self.notes.send(new.note()).await?;
            self.notes.send(new.source_news()).await
        };
        told.await.map_err(|_| "the recorder has ended".to_owned())?;
        self.engine.set_rules(new.rules());
        self.exporter.store(Arc::new(exporter(&new.config)));
        self.surface.take(&new.config.web);
        let sweeps = new.config.sweeps.clone();
        told::inventory(None, &new);
        self.world.store(Arc::clone(&new));
        // Their tasks look at the world, and must not see the one before.
        self.lookouts.furnish(&new.stocks);
        rooms.furnish(&sweeps);
        Ok(())
    }
}

/// A source that is new, or has another name, must give its devices: without them they would seem to have left the inventory,
/// and to be back as soon as it answers.
fn require_new_sources(old: &World<SshTransport>, new: &World<SshTransport>) -> Result<(), String> {
    let is_new = |stock: &&Stock| old.stocks.iter().all(|before| before.source.name != stock.source.name);
    let mut problems = Problems::default();
    for stock in new.unknown().filter(is_new) {
        let broke_off = Trouble::unreadable("looking at it broke off, a defect of versweep");
        problems.extend(stock.trouble().unwrap_or(&broke_off).problems(&stock.source));
    }
    if problems.is_empty() { Ok(()) } else { Err(problems.to_string()) }
}

/// A key, and what tells that it has changed.
type Fixed = (&'static str, fn(&Config, &Config) -> bool);

/// The keys whose change waits for a restart.
const FIXED: [Fixed; 3] = [
    ("web.listen", |old, new| old.web.listen != new.web.listen),
    ("web.systemd_socket", |old, new| old.web.systemd_socket != new.web.systemd_socket),
    ("store.path", |old, new| old.store != new.store),
];

/// The keys that a reload can't bring into force.
#[must_use]
pub fn fixed_keys() -> [&'static str; 3] {
    FIXED.map(|(key, _)| key)
}

fn needs_restart(old: &Config, new: &Config) -> impl Iterator<Item = &'static str> {
    FIXED.into_iter().filter(|(_, changed)| changed(old, new)).map(|(key, _)| key)
}
