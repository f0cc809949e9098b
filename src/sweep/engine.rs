//! The dispatch in motion: one for all sweeps, with a clock, a bell for each run that waits, and a guard for each visit.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

use crate::breaker::{Permission, Turn, Verdict};
use crate::device::{CredentialId, Device};
use crate::dispatch::{Dispatch, Ending, Next, Rules, RunId, RunRules, Ticket, Wish};
use crate::failure::{FailureKind, Stage};
use crate::observation::Outcome;
use crate::status::{GateStatus, LimitStatus, Waiting};
use crate::transport::WayIn;

use super::lanes::Lanes;

/// What all sweeps share: workers, limits, login budgets, breakers, and the claims on devices. Clones share it.
#[derive(Debug, Clone)]
pub struct Engine {
    shared: Arc<Shared>,
    /// Where visits run.
    pub(super) lanes: Lanes,
}

#[derive(Debug)]
struct Shared {
    /// Where the dispatch's times are counted from.
    origin: Instant,
    desk: Mutex<Desk>,
    /// When the dispatch is to be asked again at the latest, for whoever waits.
    wake: watch::Sender<Option<Instant>>,
}

#[derive(Debug)]
struct Desk {
    dispatch: Dispatch,
    /// What was handed out and not fetched yet: as many visits as there are workers at most.
    trays: HashMap<RunId, Tray>,
}

#[derive(Debug, Default)]
struct Tray {
    handed_out: VecDeque<HandedOut>,
    bell: Arc<Notify>,
}

#[derive(Debug)]
enum HandedOut {
    Visit(Ticket, Arc<Device>),
    Held(Arc<Device>),
    Fresh(Arc<Device>, bool),
}

/// What the engine sees of itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EngineStatus {
    /// The cap on visits at once.
    pub workers: usize,
    /// Visits that go on.
    pub busy: usize,
    /// Devices that wait, by what for.
    pub waiting: Waiting,
    /// Credentials.
    pub gates: Vec<GateStatus>,
    /// Limits beside the workers.
    pub limits: Vec<LimitStatus>,
}

impl Engine {
    /// An engine with that many workers, and no limit beside them.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        Self::with_rules(Rules { workers, ..Rules::default() })
    }

    /// An engine that keeps to these rules.
    #[must_use]
    pub fn with_rules(rules: Rules) -> Self {
        let desk = Desk { dispatch: Dispatch::new(rules), trays: HashMap::new() };
        let (wake, _) = watch::channel(None);
        let shared = Arc::new(Shared { origin: Instant::now(), desk: Mutex::new(desk), wake });
        Self { shared, lanes: Lanes::default() }
    }

    /// The same engine with its visits on these lanes.
    #[must_use]
    pub fn on(self, lanes: Lanes) -> Self {
        self.with(|desk| desk.dispatch.share(lanes.count()));
        Self { lanes, ..self }
    }

    /// How many tasks live where visits run: none when all visits have ended.
    #[must_use]
    pub fn tasks(&self) -> usize {
        self.lanes.tasks()
    }

    /// Other rules, from a reload. A lower cap comes into force as visits end; none is broken off. Open breakers stay
    /// open.
    pub fn set_rules(&self, rules: Rules) {
        self.with(|desk| desk.dispatch.set_rules(rules));
        self.pump();
    }

    /// Another cap on visits at once.
    pub fn resize(&self, workers: usize) {
        self.with(|desk| desk.dispatch.set_workers(workers));
        self.pump();
    }

    /// Opens a credential's breaker as it was before a restart; nobody tries for that long.
    pub fn reopen(&self, credential: &CredentialId, pause: Duration) {
        let now = self.now();
        self.with(|desk| desk.dispatch.reopen(credential, pause, now));
    }

    /// What it is doing.
    #[must_use]
    pub fn status(&self) -> EngineStatus {
        self.with(|desk| EngineStatus {
            workers: desk.dispatch.workers(),
            busy: desk.dispatch.busy(),
            waiting: desk.dispatch.waiting(),
            gates: desk.dispatch.gates(),
            limits: desk.dispatch.limits(),
        })
    }

    /// Opens a run. Its wishes' times are counted from now on.
    pub(super) fn open(&self, rules: RunRules, wishes: Vec<Wish>) -> Seat {
        let now = self.now();
        let wishes = wishes.into_iter().map(|wish| Wish { due: now + wish.due, ..wish }).collect();
        let bell = Arc::new(Notify::new());
        let run = self.with(|desk| {
            let run = desk.dispatch.open(rules, wishes);
            desk.trays.insert(run, Tray { bell: Arc::clone(&bell), ..Tray::default() });
            run
        });
        self.pump();
        Seat { engine: self.clone(), run, bell, wake: self.shared.wake.subscribe() }
    }

    fn now(&self) -> Duration {
        self.shared.origin.elapsed()
    }

    /// Hands out all that may begin now, and rings for those who get it.
    fn pump(&self) {
        let now = self.now();
        let wake = self.with(|desk| {
            loop {
                let (run, handed_out) = match desk.dispatch.next(now) {
                    Next::Visit(run, ticket, device) => (run, HandedOut::Visit(ticket, device)),
                    Next::Held(run, device) => (run, HandedOut::Held(device)),
                    Next::Fresh(run, device, answered) => (run, HandedOut::Fresh(device, answered)),
                    Next::Wait(until) => return until,
                };
                if let Some(tray) = desk.trays.get_mut(&run) {
                    tray.handed_out.push_back(handed_out);
                    tray.bell.notify_one();
                }
            }
        });
        let (now, wake) = (self.shared.origin + now, wake.map(|wake| self.shared.origin + wake));
        self.shared.wake.send_if_modified(|before| {
            !serves(*before, wake, now) && std::mem::replace(before, wake) != wake
        });
    }

    fn with<R>(&self, act: impl FnOnce(&mut Desk) -> R) -> R {
        act(&mut self.shared.desk.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A run's place at the engine. Dropped, it takes back what was not visited yet.
#[derive(Debug)]
pub(super) struct Seat {
    engine: Engine,
    run: RunId,
    bell: Arc<Notify>,
    wake: watch::Receiver<Option<Instant>>,
}

/// What comes next in a run.
#[derive(Debug)]
pub(super) enum Letter {
    /// A visit to begin.
    Visit(Grant),
    /// Not visited: its credential's breaker is open.
    Held(Arc<Device>),
    /// Not visited: another sweep did so just now. Whether the device answered it.
    Fresh(Arc<Device>, bool),
}

impl Seat {
    /// Waits for what comes next; `None` when nothing is left. May be dropped at any point: nothing gets lost.
    pub(super) async fn next(&mut self) -> Option<Letter> {
        loop {
            if let Some(letter) = self.fetch() {
                return letter;
            }
            let wake = *self.wake.borrow_and_update();
            tokio::select! {
                () = self.bell.notified() => {}
                // The sender is the engine's, which this seat holds.
                _ = self.wake.changed() => {}
                () = sleep_until(wake.unwrap_or(self.engine.shared.origin)), if wake.is_some() => self.engine.pump(),
            }
        }
    }

    /// What was handed out; `Some(None)` when nothing is left to hand out either.
    pub(super) fn fetch(&self) -> Option<Option<Letter>> {
        let (handed_out, permission, waiting) = self.engine.with(|desk| {
            let tray = desk.trays.get_mut(&self.run);
            let handed_out = tray.and_then(|tray| tray.handed_out.pop_front());
            let permission = match &handed_out {
                Some(HandedOut::Visit(ticket, _)) => desk.dispatch.still_may(*ticket),
                _ => Permission::Go,
            };
            (handed_out, permission, desk.dispatch.waiting_of(self.run))
        });
        let letter = match handed_out {
            Some(HandedOut::Visit(ticket, device)) => {
                let engine = self.engine.clone();
                match permission {
                    Permission::Go => {
                        Letter::Visit(Grant { engine, ticket, device, ending: Ending::BrokenOff })
                    }
                    Permission::Held => {
                        drop(Grant { engine, ticket, device: Arc::clone(&device), ending: Ending::Unused });
                        Letter::Held(device)
                    }
                }
            }
            Some(HandedOut::Held(device)) => Letter::Held(device),
            Some(HandedOut::Fresh(device, answered)) => Letter::Fresh(device, answered),
            None => return (waiting == 0).then_some(None),
        };
        Some(Some(letter))
    }

    /// Begins no visit until [`Self::resume`].
    pub(super) fn pause(&self) {
        let now = self.engine.now();
        self.engine.with(|desk| desk.dispatch.pause(self.run, now));
        self.engine.pump();
    }

    /// Goes on.
    pub(super) fn resume(&self) {
        self.engine.with(|desk| desk.dispatch.resume(self.run));
        self.engine.pump();
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let now = self.engine.now();
        self.engine.with(|desk| {
            let tray = desk.trays.remove(&self.run).unwrap_or_default();
            desk.dispatch.close(self.run, now);
            for handed_out in tray.handed_out {
                if let HandedOut::Visit(ticket, _) = handed_out {
                    desk.dispatch.ended(ticket, Ending::Unused, now);
                }
            }
        });
        self.engine.pump();
    }
}

/// The permission for one visit: a worker, a place at each limit, a login, the device. Everything is given back when it
/// is dropped, also when the visit panics or is broken off.
#[derive(Debug)]
pub(super) struct Grant {
    engine: Engine,
    ticket: Ticket,
    device: Arc<Device>,
    ending: Ending,
}

impl Grant {
    pub(super) fn device(&self) -> &Arc<Device> {
        &self.device
    }

    /// The visit sets out. Until what this gives is dropped, it is on its way in.
    pub(super) fn set_out(&self) -> WayIn {
        let now = self.engine.now();
        self.engine.with(|desk| desk.dispatch.set_out(self.ticket, now));
        Box::new(OnTheWay { engine: self.engine.clone(), ticket: self.ticket })
    }

    /// Tells how the visit went, as soon as that is known. Gives how the credential's breaker turned by it, and for how
    /// long nobody tries.
    pub(super) fn told(&mut self, outcome: &Outcome) -> Option<(CredentialId, Turned)> {
        self.ending = match outcome {
            Outcome::Answered { .. } => Ending::Answered,
            Outcome::Failed { .. } => Ending::Failed,
        };
        let now = self.engine.now();
        let (credential, turn) =
            self.engine.with(|desk| desk.dispatch.tell(self.ticket, verdict(outcome), now))?;
        let turned = match turn {
            Turn::Opened(until) => {
                warn!(%credential,
                    "breaker open: this credential was refused on several devices; no further login with it until a device that is known to be good has taken it again");
                Turned::Opened(until.saturating_sub(now))
            }
            Turn::Reopened(until) => Turned::Reopened(until.saturating_sub(now)),
            Turn::Closed => {
                info!(%credential, device = %self.device.id, "breaker closed: the credential is good again");
                Turned::Closed
            }
        };
        Some((credential, turned))
    }
}

/// How a breaker turned, with how long nobody tries from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turned {
    Opened(Duration),
    Reopened(Duration),
    Closed,
}

impl Drop for Grant {
    fn drop(&mut self) {
        let now = self.engine.now();
        self.engine.with(|desk| desk.dispatch.ended(self.ticket, self.ending, now));
        self.engine.pump();
    }
}

#[derive(Debug)]
struct OnTheWay {
    engine: Engine,
    ticket: Ticket,
}

impl Drop for OnTheWay {
    fn drop(&mut self) {
        if self.engine.with(|desk| desk.dispatch.logged_in(self.ticket)) {
            self.engine.pump();
        }
    }
}

/// Whether a time to ask at that was told before serves as well as another one: whoever asks then learns the next one. With
/// each login there is a later one, and all runs would wake to hear of it.
fn serves(told: Option<Instant>, wake: Option<Instant>, now: Instant) -> bool {
    told.is_some_and(|told| told > now && wake.is_none_or(|wake| told <= wake))
}

fn verdict(outcome: &Outcome) -> Verdict {
    match outcome {
        Outcome::Answered { .. } => Verdict::Accepted,
        Outcome::Failed { failure, .. } => match (failure.kind, failure.stage) {
            (FailureKind::Auth, _) => Verdict::Refused,
            // Whoever came past the login was let in.
            (_, Stage::Command | Stage::Parse) => Verdict::Accepted,
            _ => Verdict::Silent,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_wake_for_a_sooner_time_and_for_no_later_one() {
        let now = Instant::now();
        let after = |seconds| Some(now + Duration::from_secs(seconds));
        assert!(
            serves(after(1), after(2), now) && serves(after(1), after(1), now) && serves(after(1), None, now)
        );
        assert!(!serves(after(2), after(1), now) && !serves(None, after(1), now));
        // Whoever slept until then is not to sleep until then again.
        assert!(!serves(after(0), after(2), now) && !serves(after(0), None, now));
    }
}
