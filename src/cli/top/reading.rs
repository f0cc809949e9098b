//! What the daemon says of itself, as far as it is drawn. A field that an older daemon doesn't tell is as if it were nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};

use super::{News, is_final};
use crate::change::ChangeKind;
use crate::cli::client::{Caller, DaemonArgs};
use crate::clock::Timestamp;

/// How long an answer is waited for: a daemon that is busy answers late, one that hangs never.
const PATIENCE: Duration = Duration::from_secs(5);
/// As many failures and changes are asked for as the highest terminal shows.
const ROWS: &str = "100";

/// All that was said at one time.
#[derive(Debug, Clone, Default)]
pub(super) struct Reading {
    /// Since the first request, by no clock that anybody sets.
    pub(super) taken: Duration,
    pub(super) status: Status,
    pub(super) lists: Lists,
}

/// What is asked beside the status, as it was told last.
#[derive(Debug, Clone, Default)]
pub(super) struct Lists {
    pub(super) requests: Vec<Request>,
    /// Devices whose last visit failed, the latest first.
    pub(super) failures: Vec<Device>,
    /// Changes, the latest first.
    pub(super) changes: Vec<Change>,
    /// Why one of them is not newer.
    pub(super) trouble: Option<String>,
}

impl Lists {
    /// Takes those that came.
    fn take(
        &mut self,
        requests: anyhow::Result<RequestPage>,
        devices: anyhow::Result<DevicePage>,
        changes: anyhow::Result<ChangePage>,
    ) {
        self.trouble = None;
        if let Some(page) = self.came(requests) {
            self.requests = page.requests;
        }
        if let Some(page) = self.came(devices) {
            self.failures = page.devices;
        }
        if let Some(page) = self.came(changes) {
            self.changes = page.changes;
        }
    }

    fn came<T>(&mut self, page: anyhow::Result<T>) -> Option<T> {
        page.map_err(|error| self.trouble = Some(format!("{error:#}"))).ok()
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Status {
    pub(super) version: String,
    pub(super) now: Timestamp,
    pub(super) up_seconds: u64,
    pub(super) stopping: bool,
    pub(super) last_reload_successful: Option<bool>,
    pub(super) devices: Devices,
    pub(super) failing: BTreeMap<String, u64>,
    pub(super) policies: Option<Policies>,
    pub(super) workers: Workers,
    pub(super) waiting: Waiting,
    pub(super) credentials: Vec<Credential>,
    pub(super) limits: Vec<Limit>,
    pub(super) sweeps: Vec<Sweep>,
    pub(super) visits: u64,
    pub(super) visit_failures: BTreeMap<String, u64>,
    pub(super) sinks: Vec<Sink>,
    pub(super) sources: Vec<Source>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Devices {
    pub(super) total: u64,
    pub(super) up: u64,
    pub(super) failing: u64,
    pub(super) unreachable: u64,
    pub(super) unvisited: u64,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Policies {
    pub(super) drifted: u64,
    pub(super) banned: u64,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Workers {
    pub(super) busy: u64,
    pub(super) limit: u64,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Waiting {
    pub(super) worker: u64,
    pub(super) limit: BTreeMap<String, u64>,
    pub(super) login_budget: u64,
    pub(super) spread: u64,
    pub(super) visited: u64,
    pub(super) blackout: u64,
    pub(super) hold_off: u64,
    pub(super) breaker: u64,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Credential {
    pub(super) credential: String,
    pub(super) breaker_open: bool,
    pub(super) breaker_since: Option<Timestamp>,
    pub(super) breaker_until: Option<Timestamp>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Limit {
    pub(super) by: String,
    pub(super) value: String,
    pub(super) busy: u64,
    pub(super) max: Option<u64>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Sweep {
    pub(super) sweep: String,
    pub(super) running: Option<String>,
    pub(super) devices: u64,
    pub(super) busy: u64,
    pub(super) answered: u64,
    pub(super) failed: u64,
    pub(super) next: Option<Timestamp>,
    pub(super) expected_seconds: Option<f64>,
    pub(super) last: Option<Run>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Run {
    pub(super) id: String,
    pub(super) started: Timestamp,
    pub(super) ended: Option<Timestamp>,
    pub(super) devices: u64,
    pub(super) answered: u64,
    pub(super) failed: u64,
    pub(super) complete: bool,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Sink {
    pub(super) sink: String,
    pub(super) pending: u64,
    pub(super) oldest_pending: Option<Timestamp>,
    pub(super) held_devices: u64,
    pub(super) dead_letters: u64,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Source {
    pub(super) source: String,
    pub(super) failure: Option<String>,
    pub(super) unconfirmed: bool,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Request {
    pub(super) wanted: Wanted,
    pub(super) progress: String,
    pub(super) asked: Timestamp,
    pub(super) started: Option<Timestamp>,
    pub(super) devices: u64,
    pub(super) busy: u64,
    pub(super) answered: u64,
    pub(super) failed: u64,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    pub(super) device: Option<String>,
    pub(super) select: Option<BTreeMap<String, Vec<String>>>,
    pub(super) sweep: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Device {
    pub(super) device: String,
    pub(super) last_visit: Option<Timestamp>,
    pub(super) consecutive_failures: u64,
    pub(super) failure: Option<Failure>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Failure {
    pub(super) reason: String,
    pub(super) stage: String,
    pub(super) detail: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Change {
    pub(super) at: Timestamp,
    pub(super) device: Option<String>,
    pub(super) source: Option<String>,
    pub(super) kind: String,
    pub(super) subject: String,
    pub(super) before: String,
    pub(super) after: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RequestPage {
    requests: Vec<Request>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct DevicePage {
    devices: Vec<Device>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ChangePage {
    changes: Vec<Change>,
}

/// The changes that are asked for. That a device was seen for the first time is no change of it; after the first sweep there
/// would be nothing else.
fn latest() -> Vec<(&'static str, &'static str)> {
    let kinds = ChangeKind::ALL.into_iter().filter(|kind| *kind != ChangeKind::FirstSeen);
    kinds.map(|kind| ("kind", kind.as_str())).chain([("limit", ROWS)]).collect()
}

/// Asks the daemon.
pub(super) struct Reader<'a> {
    caller: Caller<'a>,
    interval: Duration,
    first: Instant,
    lists: Lists,
}

impl<'a> Reader<'a> {
    pub(super) fn new(daemon: &'a DaemonArgs, interval: Duration) -> anyhow::Result<Self> {
        let caller = Caller::new(daemon, PATIENCE)?;
        Ok(Self { caller, interval, first: Instant::now(), lists: Lists::default() })
    }

    /// Asks once.
    pub(super) async fn read(&mut self) -> News {
        let failed =
            [("state", "failing"), ("state", "unreachable"), ("sort", "-last_visit"), ("limit", ROWS)];
        let latest = latest();
        // What it is doing comes first, so that one that hangs is asked for one thing only.
        let status = self.caller.get("/api/v1/status", &[]).await?;
        let (requests, devices, changes) = tokio::join!(
            self.caller.get::<RequestPage>("/api/v1/requests", &[]),
            self.caller.get::<DevicePage>("/api/v1/devices", &failed),
            self.caller.get::<ChangePage>("/api/v1/changes", &latest),
        );
        self.lists.take(requests, devices, changes);
        Ok(Reading { taken: self.first.elapsed(), status, lists: self.lists.clone() })
    }

    /// Asks again and again, and tells what came. It ends where the first answer is a refusal that asking again won't change.
    pub(super) async fn ask_on(&mut self, told: mpsc::Sender<News>) -> anyhow::Error {
        let mut ticks = tokio::time::interval(self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut was_answered = false;
        loop {
            ticks.tick().await;
            match self.read().await {
                Err(error) if !was_answered && is_final(&error) => return error,
                news => {
                    was_answered |= news.is_ok();
                    if told.send(news).await.is_err() {
                        return anyhow::anyhow!("nobody looks any more");
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_does_not_come_stays_as_it_was() {
        let mut lists = Lists::default();
        let requests = || Ok(RequestPage { requests: vec![Request::default()] });
        let devices = |count| Ok(DevicePage { devices: vec![Device::default(); count] });
        let changes = || Ok(ChangePage { changes: vec![Change::default()] });
        lists.take(requests(), devices(2), changes());
        assert_eq!(lists.trouble, None);
        lists.take(requests(), devices(1), Err(anyhow::anyhow!("timeout")));
        assert_eq!((lists.requests.len(), lists.failures.len(), lists.changes.len()), (1, 1, 1));
        assert_eq!(lists.trouble.as_deref(), Some("timeout"));
        lists.take(requests(), devices(0), changes());
        assert_eq!((lists.failures.len(), lists.trouble), (0, None));
    }

    #[test]
    fn devices_seen_for_the_first_time_are_not_asked_for() {
        let asked = latest();
        assert!(asked.contains(&("kind", "upgrade")) && asked.contains(&("limit", ROWS)), "{asked:?}");
        assert!(!asked.contains(&("kind", "first_seen")), "{asked:?}");
        assert_eq!(asked.len(), ChangeKind::ALL.len());
    }
}
