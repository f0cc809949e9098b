//! Turning notes into one batch: pure bookkeeping between the channel and the disk.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use tokio::sync::oneshot;

use super::fleet::{Fleet, Moves};
use super::moves;
use super::policies::{Occasion, Policies};
use super::sources::Sources;
use super::wall::{Moment, Wall};
use crate::activity::{BreakerNews, BreakerTurn, Judgement, Note, SkipReason, SourceNews, Withheld};
use crate::change::{Change, ChangeKind};
use crate::clock::Timestamp;
use crate::device::CredentialId;
use crate::diff::{self, Rules};
use crate::known::{Known, OpenBreaker, PolicyInfo, Snapshot, SweepRecord};
use crate::observation::{Observation, Outcome, RawText, SweepId};
use crate::status::Totals;
use crate::store::{Batch, Loaded, News, RECENT_CHANGES, Renaming, Visit};
use crate::version::Version;

/// The recorder's desk: all state that notes change.
pub(super) struct Desk {
    fleet: Fleet,
    judgement: Judgement,
    policies: Policies,
    /// The policies as the store remembers them.
    remembered: Vec<Arc<PolicyInfo>>,
    totals: Totals,
    recent: VecDeque<Arc<Change>>,
    /// The runs that are on. Several of one name where visits were asked for on demand.
    running: BTreeMap<SweepId, SweepRecord>,
    /// Of each sweep by name, the run that ended last.
    ended: BTreeMap<String, SweepRecord>,
    last_complete: BTreeMap<String, Timestamp>,
    breakers: BTreeMap<CredentialId, OpenBreaker>,
    sources: Sources,
    wall: Wall,
}

/// What a handful of notes comes to.
#[derive(Default)]
pub(super) struct Judged {
    /// What to commit; absent when nothing is to be written.
    pub(super) batch: Option<Batch>,
    /// Whether the snapshot must not wait.
    pub(super) at_once: bool,
    /// Who wants to know when all of it is committed and published.
    pub(super) flushes: Vec<oneshot::Sender<()>>,
    /// A sweep ended.
    pub(super) ended: bool,
    /// Rows older than this may go.
    pub(super) prune: Option<Duration>,
    /// The clock was set by so much.
    pub(super) clock_set: Option<TimeDelta>,
}

impl Desk {
    pub(super) fn new(loaded: Loaded, judgement: Judgement, moment: Moment) -> Self {
        let visits = loaded.known.values().filter_map(|known| Some(known.visit.as_ref()?.at));
        let ends = loaded.last_sweeps.iter().filter_map(|sweep| sweep.ended);
        let wall = Wall::new(moment, visits.chain(ends).max());
        let remembered: Vec<_> = loaded.policies.into_iter().map(Arc::new).collect();
        Self {
            fleet: Fleet::new(loaded.known),
            policies: Policies::new(&judgement, &remembered, moment.now),
            remembered,
            judgement,
            totals: loaded.totals,
            recent: loaded.recent_changes.into_iter().map(Arc::new).collect(),
            running: BTreeMap::new(),
            ended: loaded.last_sweeps.into_iter().map(|sweep| (sweep.name.clone(), sweep)).collect(),
            last_complete: loaded.last_complete,
            breakers: loaded.breakers.into_iter().map(|open| (open.credential.clone(), open)).collect(),
            sources: Sources::new(loaded.failing_sources),
            wall,
        }
    }

    pub(super) fn judge(&mut self, notes: Vec<Note>, moment: Moment) -> Judged {
        let now = moment.now;
        let mut judged = Judged { clock_set: self.wall.look(moment), ..Judged::default() };
        let (mut batch, mut touched) = (Batch::default(), Vec::new());
        let before = self.totals.clone();
        // When policies are due was reckoned by the clock of before.
        if judged.clock_set.is_some() || self.policies_due().is_some_and(|due| due <= now) {
            self.judge_fleet(now, Occasion::Time, &mut batch);
            judged.at_once = true;
        }
        for (place, note) in (0_i64..).zip(notes) {
            // An event's identity is its device, kind and instant: notes that come together are told a moment apart.
            let now = now + TimeDelta::microseconds(place);
            match note {
                Note::Inventory(devices) => {
                    let mut moves = self.fleet.set_inventory(devices);
                    moves.removed = self.fleet.miss(now, &HashSet::new());
                    self.moved(moves, now, &mut batch);
                    judged.at_once = true;
                }
                Note::InventorySoFar(devices, withheld) => {
                    let mut moves = self.fleet.set_inventory(devices);
                    if let Withheld::These(withheld) = withheld {
                        moves.removed = self.fleet.miss(now, &withheld);
                    }
                    self.moved(moves, now, &mut batch);
                    judged.at_once = true;
                }
                Note::Judgement(judgement) => self.judgement = judgement,
                Note::Policies(policies) => {
                    self.judgement.policies = policies;
                    self.enforce(now, &mut batch);
                    judged.at_once = true;
                }
                Note::SweepStarted(sweep) | Note::SweepEnded(sweep) => {
                    judged.at_once = true;
                    touched.push(sweep.id);
                    if sweep.ended.is_some() {
                        judged.ended = true;
                        judged.prune = self.wall.is_believed().then_some(self.judgement.keep_history);
                    }
                    batch.sweeps.extend(self.sweep(sweep));
                }
                Note::Visited(observation) => {
                    touched.push(observation.sweep);
                    let visit = self.visited(*observation, now);
                    // A first sweep finds every device for the first time: none of them is urgent.
                    let urgent =
                        |visit: &Visit| visit.changes.iter().any(|c| c.kind != ChangeKind::FirstSeen);
                    judged.at_once |= visit.as_ref().is_some_and(urgent);
                    batch.visits.extend(visit);
                }
                Note::SweepSkipped { sweep, why, .. } => match why {
                    SkipReason::Running => count(&mut self.totals.skipped, sweep),
                    SkipReason::Blackout => count(&mut self.totals.blackouts, sweep),
                },
                Note::Breaker(news) => {
                    judged.at_once = true;
                    batch.breakers = Some(self.breaker(news));
                }
                Note::Sources(news) => judged.at_once |= self.all_sources(news, now, &mut batch),
                Note::Source(news) => judged.at_once |= self.source(news, now, &mut batch),
                Note::Flush(flush) => {
                    judged.at_once = true;
                    judged.flushes.push(flush);
                }
            }
        }
        self.complete(&mut batch.sweeps, &touched);
        if !batch.is_empty() || self.totals != before {
            batch.totals = self.totals.clone();
            judged.batch = Some(batch);
        }
        judged
    }

    /// The picture as it stands.
    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot {
            devices: self.fleet.shown(),
            recent_changes: self.recent.iter().cloned().collect(),
            last_sweeps: self.running.values().chain(self.ended.values()).cloned().collect(),
            last_complete: self.last_complete.clone(),
            breakers: self.breakers.values().cloned().collect(),
            policies: self.policies.infos(),
            totals: self.totals.clone(),
        }
    }

    /// Notes how a breaker turned, and gives all that are open.
    fn breaker(&mut self, news: BreakerNews) -> Vec<OpenBreaker> {
        let BreakerNews { credential, at, turn } = news;
        match turn {
            BreakerTurn::Opened { until } | BreakerTurn::Reopened { until } => {
                let since = self.breakers.get(&credential).map_or(at, |open| open.since);
                let open = OpenBreaker { credential: credential.clone(), since, until };
                self.breakers.insert(credential, open);
            }
            BreakerTurn::Closed => {
                self.breakers.remove(&credential);
            }
        }
        self.breakers.values().cloned().collect()
    }

    /// Tells what a new inventory means, and judges it.
    fn moved(&mut self, moves: Moves, now: Timestamp, batch: &mut Batch) {
        let behind = batch.visits.len();
        let renamings: Vec<_> = moves.renamed.iter().chain(&moves.aside).cloned().collect();
        for Renaming { from, to } in &moves.renamed {
            tracing::info!(%from, %to, "the inventory calls a device by another name; its past moves along");
        }
        for Renaming { from, to } in &moves.aside {
            tracing::warn!(%from, %to, "the name is another device's now; what is known of the one that had it is kept aside");
        }
        for Renaming { to, .. } in &renamings {
            self.wall.forget(to);
        }
        if !renamings.is_empty() {
            batch.news.push((behind, News::Names(renamings)));
        }
        if !moves.identities.is_empty() {
            batch.news.push((behind, News::Identities(moves.identities.clone())));
        }
        self.news(moves::changes(moves, now), batch);
        self.enforce(now, batch);
    }

    /// When the fleet is to be judged by its policies though nothing happens.
    pub(super) fn policies_due(&self) -> Option<Timestamp> {
        self.policies.due
    }

    /// Takes the policies of the judgement into force.
    fn enforce(&mut self, now: Timestamp, batch: &mut Batch) {
        self.policies = Policies::new(&self.judgement, &self.remembered, now);
        let infos = self.policies.infos();
        if infos != self.remembered {
            self.remembered = infos;
            batch.policies = Some(self.remembered.clone());
        }
        self.judge_fleet(now, Occasion::Reload, batch);
    }

    fn judge_fleet(&mut self, now: Timestamp, occasion: Occasion, batch: &mut Batch) {
        let moved = self.policies.judge(&mut self.fleet, now, occasion);
        batch.standings.extend(moved.standings);
        self.news(moved.changes, batch);
    }

    /// Tells changes that no visit found.
    fn news(&mut self, changes: Vec<Change>, batch: &mut Batch) {
        let behind = batch.visits.len();
        for change in changes {
            self.tell(&change);
            batch.news.push((behind, News::Change(change)));
        }
    }

    /// Takes how all sources of the inventory are; whether that is to be told.
    fn all_sources(&mut self, news: Vec<SourceNews>, now: Timestamp, batch: &mut Batch) -> bool {
        if self.sources.keep_only(&news) {
            batch.failing_sources = Some(self.sources.failing().clone());
        }
        let mut told = false;
        for one in news {
            told |= self.source(one, now, batch);
        }
        told
    }

    /// The same of one of them.
    fn source(&mut self, news: SourceNews, now: Timestamp, batch: &mut Batch) -> bool {
        let Some(change) = self.sources.take(news, now) else { return false };
        batch.failing_sources = Some(self.sources.failing().clone());
        self.news(vec![change], batch);
        true
    }

    /// Judges one observation. A device that was not visited is counted, and that is all.
    fn visited(&mut self, mut observation: Observation, now: Timestamp) -> Option<Visit> {
        self.count_visit(&observation);
        if !was_visited(&observation) {
            return None;
        }
        // It may have another name by now than when the visit began.
        observation.device = self.fleet.name_now(&observation.device, observation.identity.as_ref())?;
        let before = self.fleet.known(&observation.device);
        let (mut changes, mut after) = self.judge_one(&before, &observation);
        let mut labels = None;
        if let Some(device) = self.fleet.device(&observation.device) {
            changes.extend(self.policies.visited(device, &mut after, &observation, now));
            labels = Some(device.labels.clone());
        }
        if matches!(observation.outcome, Outcome::Answered { .. }) {
            self.wall.answered(&observation.device, observation.at);
        }
        self.fleet.set_known(&observation.device, after.clone());
        for change in &changes {
            self.tell(change);
        }
        let raw = raw_to_keep(&observation, &changes);
        Some(Visit { device: observation.device, before, after, changes, raw, labels })
    }

    /// Counts a change and shows it among the latest.
    fn tell(&mut self, change: &Change) {
        count(&mut self.totals.changes, change.kind);
        self.recent.push_front(Arc::new(change.clone()));
        self.recent.truncate(RECENT_CHANGES);
    }

    fn judge_one(&self, before: &Known, observation: &Observation) -> (Vec<Change>, Known) {
        let scheme = match &observation.outcome {
            Outcome::Answered { reading, .. } => {
                self.judgement.platforms.get(&reading.platform).map(|p| p.scheme)
            }
            Outcome::Failed { .. } => None,
        };
        let order = |a: &Version, b: &Version| scheme.and_then(|scheme| scheme.compare(a, b));
        let rules = Rules {
            down_after: self.judgement.down_after,
            order: &order,
            flapping: self.judgement.flapping,
            even_clock: self.wall.even_since_answer(&observation.device),
        };
        diff::judge(before, observation, &rules)
    }

    fn count_visit(&mut self, observation: &Observation) {
        self.totals.visits += u64::from(was_visited(observation));
        if let Outcome::Failed { failure, .. } = &observation.outcome {
            count(&mut self.totals.failures, failure.kind);
        }
        for (stage, took) in observation.stages.iter() {
            self.totals.stages.entry(stage).or_default().observe(took);
        }
        if let Some(sweep) = self.running.get_mut(&observation.sweep) {
            match observation.outcome {
                Outcome::Answered { .. } => sweep.answered += 1,
                Outcome::Failed { .. } => sweep.failed += 1,
            }
        }
    }

    /// Takes a sweep's beginning or end, and gives what is to be written: only an end. A beginning is written through
    /// [`Self::complete`], with the counts that the same batch brings.
    fn sweep(&mut self, sweep: SweepRecord) -> Option<SweepRecord> {
        let Some(ended) = sweep.ended else {
            self.running.insert(sweep.id, sweep);
            return None;
        };
        self.running.remove(&sweep.id);
        self.ended.insert(sweep.name.clone(), sweep.clone());
        count(&mut self.totals.sweeps, sweep.name.clone());
        if sweep.complete {
            self.last_complete.insert(sweep.name.clone(), ended);
        }
        Some(sweep)
    }

    /// Completes the runs to be written by those that go on among the ones that notes were about, with their counts so far: a
    /// crash leaves true numbers. Rows stand in the order in which runs began; those from before this batch have theirs.
    fn complete(&self, runs: &mut Vec<SweepRecord>, touched: &[SweepId]) {
        runs.extend(self.running.values().filter(|run| touched.contains(&run.id)).cloned());
        runs.sort_by_key(|run| touched.iter().position(|id| *id == run.id));
    }
}

fn was_visited(observation: &Observation) -> bool {
    !matches!(&observation.outcome, Outcome::Failed { failure, .. } if !failure.kind.was_visited())
}

/// The text is kept for changes and failures; of the many other answers it is let go at once.
fn raw_to_keep(observation: &Observation, changes: &[Change]) -> Option<RawText> {
    match &observation.outcome {
        Outcome::Answered { raw, .. } => (!changes.is_empty()).then(|| Arc::clone(raw)),
        Outcome::Failed { raw, .. } => raw.clone(),
    }
}

fn count<K: Ord>(counters: &mut BTreeMap<K, u64>, key: K) {
    *counters.entry(key).or_default() += 1;
}
