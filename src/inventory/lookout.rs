//! Looks at one source again and again: when its files change, and every so often.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tracing::warn;

use super::remote::Remote;
use super::watch::Watch;
use super::{Look, Trouble, ansible, look};
use crate::duration::HumanDuration;
use crate::platform::Platforms;
use crate::source::{Source, SourceKind};
use crate::status::RefreshFailure;

/// How long a file must have been left alone before it is read: editors and copies write in several steps.
const SETTLED: Duration = Duration::from_millis(200);

/// After as many changes in a row it is read all the same.
const UNSETTLED_MAX: u32 = 25;

/// A look-out for one source.
#[derive(Debug)]
pub struct Lookout {
    source: Arc<Source>,
    watch: Option<Watch>,
    remote: Option<Remote>,
    /// Whether it was told already that not all can be watched.
    told: bool,
    /// A look at files that did not come back in time: a file server that is gone holds it.
    stuck: Option<JoinHandle<Result<Look, Trouble>>>,
}

impl Lookout {
    /// Makes ready to look, inside a tokio runtime.
    #[must_use]
    pub fn new(source: &Arc<Source>) -> Self {
        let watch = source.kind.path().filter(|_| source.watch).and_then(|path| {
            let beside = matches!(source.kind, SourceKind::Ansible { .. }).then_some(ansible::BESIDE);
            let folder = source.kind.folder();
            let watch = Watch::new(folder.unwrap_or(path), folder.is_some(), beside);
            watch.inspect_err(|error| unwatched(source, error)).ok()
        });
        let mut lookout = Self { source: Arc::clone(source), watch, told: false, remote: None, stuck: None };
        lookout.tell_unwatched();
        lookout
    }

    /// Says it once when the kernel watches no more folders, which it does up to a limit (`fs.inotify.max_user_watches`).
    fn tell_unwatched(&mut self) {
        let refused = self.watch.as_ref().and_then(Watch::refused);
        if let Some(error) = refused.filter(|_| !self.told) {
            unwatched(&self.source, error);
        }
        self.told = refused.is_some();
    }

    /// Waits until it is time to look again.
    pub async fn due(&mut self) {
        // Not all sources of all daemons in the same second.
        let interval = self.source.interval.mul_f64(0.95 + 0.1 * fastrand::f64());
        let Some(watch) = &mut self.watch else { return sleep(interval).await };
        if timeout(interval, watch.changed()).await.is_err() {
            // What was refused a watch may have room by now.
            watch.aim();
            return self.tell_unwatched();
        }
        for _ in 0..UNSETTLED_MAX {
            watch.aim();
            if timeout(SETTLED, watch.changed()).await.is_err() {
                break;
            }
        }
        self.tell_unwatched();
    }

    /// Looks at the source, for so long at most: a server may have many pages, and each of them has its own timeout.
    ///
    /// # Errors
    /// Why nothing of what it gives can be used.
    pub async fn look_within(
        &mut self,
        limit: Duration,
        platforms: &Arc<Platforms>,
    ) -> Result<Look, Trouble> {
        timeout(limit, self.look(platforms)).await.unwrap_or_else(|_| {
            let limit = HumanDuration(limit);
            Err(Trouble::new(RefreshFailure::Timeout, format!("not all of it came within {limit}")))
        })
    }

    /// Looks at the source.
    ///
    /// # Errors
    /// Why nothing of what it gives can be used.
    pub async fn look(&mut self, platforms: &Arc<Platforms>) -> Result<Look, Trouble> {
        match self.source.kind.peer() {
            Some(peer) => {
                if self.remote.is_none() {
                    self.remote = Some(Remote::new(peer)?);
                }
                match &self.remote {
                    Some(remote) => remote.look(&self.source, platforms).await,
                    None => Err(Trouble::garbage("no client")),
                }
            }
            None => self.read(platforms).await,
        }
    }

    async fn read(&mut self, platforms: &Arc<Platforms>) -> Result<Look, Trouble> {
        let limit = self.source.timeout;
        let late =
            || Trouble::new(RefreshFailure::Timeout, format!("not read within {}", HumanDuration(limit)));
        // What it read meanwhile is old by now: it is only waited for.
        if let Some(mut stuck) = self.stuck.take()
            && timeout(limit, &mut stuck).await.is_err()
        {
            self.stuck = Some(stuck);
            return Err(late());
        }
        let (source, platforms) = (Arc::clone(&self.source), Arc::clone(platforms));
        let mut reading = tokio::task::spawn_blocking(move || look(&source, &platforms));
        match timeout(limit, &mut reading).await {
            Ok(Ok(look)) => look,
            Ok(Err(error)) => Err(Trouble::unreadable(format!("reading it broke off: {error}"))),
            Err(_) => {
                self.stuck = Some(reading);
                Err(late())
            }
        }
    }
}

fn unwatched(source: &Source, error: &io::Error) {
    let every = HumanDuration(source.interval).to_string();
    warn!(source = source.name, %error, every, "can't be watched, changes are seen at its interval only");
}
