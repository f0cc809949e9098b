//! Policies behind a URL: fetched now and again. The last good answer is in force until there is another one; it lies
//! beside the store, so that a restart without the server changes nothing.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::{Mutex, watch};
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::world::World;
use crate::activity::{Note, Notes};
use crate::clock::Clock;
use crate::config::{Policies, PolicySource, fetched_policies};
use crate::fetch::{Client, Request};
use crate::policy::Policy;
use crate::status::{FetchStatus, ReloadStatus};

/// What the URL last gave and was good. A fetch and a reload hold it while they put policies in force, one after the
/// other: neither goes back behind the other, which would be told as policies lost and regained.
pub(super) type LastGood = Arc<Mutex<Option<String>>>;

/// What keeping the policies needs.
pub(super) struct Keeper<T> {
    pub(super) world: Arc<ArcSwap<World<T>>>,
    pub(super) notes: Notes,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) reloaded: watch::Receiver<ReloadStatus>,
    pub(super) last: LastGood,
    /// The last fetch; absent while no URL is configured.
    pub(super) status: watch::Sender<Option<FetchStatus>>,
    pub(super) stop: CancellationToken,
}

impl<T: Send + Sync + 'static> Keeper<T> {
    /// Fetches until the stop. A reload may bring another URL, and whoever reloads wants what the server has now: it is
    /// fetched again at once.
    pub(super) async fn keep(mut self) {
        let stop = self.stop.clone();
        let _stopped = stop.run_until_cancelled(self.go_on()).await;
    }

    async fn go_on(&mut self) {
        loop {
            self.reloaded.mark_unchanged();
            let world = self.world.load_full();
            let Some(source) = &world.config.policies.source else {
                self.status.send_replace(None);
                if self.reloaded.changed().await.is_err() {
                    return;
                }
                continue;
            };
            let result = self.refresh(source, &world).await;
            let success = result.is_ok();
            if let Err(problem) = result {
                warn!("policies: {problem}; the last good ones stay in force");
            }
            self.status.send_replace(Some(FetchStatus { success, at: self.clock.now() }));
            tokio::select! {
                () = sleep(source.refresh) => {}
                changed = self.reloaded.changed() => if changed.is_err() { return },
            }
        }
    }

    async fn refresh(&self, source: &PolicySource, world: &World<T>) -> Result<(), String> {
        let text = fetch(source).await?;
        let references = world.config.references();
        let name = source.peer.target.server();
        let fetched = fetched_policies(&name, &text, &references).map_err(|problems| problems.to_string())?;
        let mut last = self.last.lock().await;
        if !Arc::ptr_eq(&world.config, &self.world.load().config) {
            // A reload came first: what was asked of the configuration before it is no answer for the new one.
            return Ok(());
        }
        *last = Some(text.clone());
        let copy = source.copy.clone();
        let kept =
            spawn_blocking(move || keep_copy(&copy, &text)).await.map_err(|error| error.to_string())?;
        // In force all the same: only a restart would go back behind it.
        if let Err(error) = kept {
            warn!("policies: {}: the copy can't be written: {error}", source.copy.display());
        }
        self.tell(fetched, world).await
    }

    async fn tell(&self, fetched: Vec<Policy>, world: &World<T>) -> Result<(), String> {
        let policies = Policies { fetched, ..world.config.policies.clone() };
        info!(policies = policies.fetched.len(), "policies fetched");
        self.notes.send(Note::Policies(policies.all())).await.map_err(|_| "the recorder has ended".to_owned())
    }
}

async fn fetch(source: &PolicySource) -> Result<String, String> {
    let peer = &source.peer;
    let client = Client::new(peer.manners.clone()).map_err(|error| error.to_string())?;
    let request = Request::get(&peer.target).login(peer.login.as_ref());
    let answer = client.send(request).await.map_err(|error| error.to_string())?;
    if !answer.is_success() {
        return Err(format!("{}: answered {}", peer.target.server(), answer.status));
    }
    String::from_utf8(answer.body).map_err(|_| format!("{}: the answer is not UTF-8", peer.target.server()))
}

/// Replaces the copy in one step, where it differs.
fn keep_copy(path: &Path, text: &str) -> io::Result<()> {
    if fs::read(path).is_ok_and(|old| old == text.as_bytes()) {
        return Ok(());
    }
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o640).open(&part)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&part, path)
}
