//! One round of a courier: letters whose pause is over, then the events after the cursor, then the books.

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::Instant;

use super::pace::Pace;
use super::{Courier, GIVE_UP, Next, SINK_PACE, TICK};
use crate::change::Whose;
use crate::device::DeviceId;
use crate::event::{Event, Fold, Post, fold};
use crate::observation::SweepId;
use crate::sink::Stop;
use crate::store::{Held, Letter, Outbox, Settled, Standing, StoreError};

/// The pauses of an event that was refused: it is likely to be refused again, and the sink has others to care for.
const LETTER_PACE: Pace = Pace { first: Duration::from_secs(1), longest: Duration::from_secs(3600) };

/// Events of so many devices refused in a row, and none taken: it is the sink that is at fault.
pub(super) const REFUSALS_MAX: usize = 8;

/// Events that are given up at once, without being tried.
const BURIED_AT_ONCE: usize = 256;

/// A server that wants to be left alone for longer is asked after this time all the same.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// Sweeps whose folding is remembered; more than run at the same time.
const FOLDS_MAX: usize = 8;

/// The books of one round.
struct Books {
    settled: Settled,
    /// Devices whose events have to wait.
    held: HashSet<Whose>,
    down: Option<Stop>,
    /// Whether there may be more to carry at once.
    more: bool,
}

/// Why a round broke off.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("the sink's work broke off: {0}")]
    Work(#[from] tokio::task::JoinError),
}

impl Courier {
    pub(super) async fn round(&mut self) -> Next {
        match self.try_round().await {
            Ok(next) => next,
            Err(error) => {
                // The sink may be well; its time to be given up doesn't run.
                self.tell(Some(&error.to_string()));
                self.tries = self.tries.saturating_add(1);
                Next::Down(SINK_PACE.pause(self.tries, fastrand::f64()))
            }
        }
    }

    async fn try_round(&mut self) -> Result<Next, Broken> {
        self.write_books().await?;
        let handful = self.setup.sink.handful();
        let look =
            move |outbox: &mut Outbox| Ok::<_, StoreError>((outbox.pile(handful)?, outbox.standing()?));
        let (pile, standing) = self.outbox.with(look).await??;
        // What waits is shown while it is tried: a server that hangs may take minutes.
        self.publish(&standing, pile.held.len());
        let mut books = self.open_books(&pile.held);
        self.pauses.retain(|of, _| books.held.contains(of));
        self.letters(&pile.held, handful, &mut books).await?;
        if books.down.is_none() {
            let full = pile.fresh.len() == handful;
            self.fresh(pile.fresh, full, &pile.running, &mut books).await?;
        }
        let pause = self.rest(&mut books);
        let standing = self.settle(books.settled).await?;
        self.publish(&standing, books.held.len());
        if pause.is_some() {
            self.give_up_old().await?;
        }
        self.give_up_many(standing.pending).await?;
        if let Some(pause) = pause {
            return Ok(Next::Down(pause));
        }
        if books.more {
            return Ok(Next::More);
        }
        let tick = Instant::now() + TICK;
        Ok(Next::Idle(self.pauses.values().min().map_or(tick, |until| tick.min(*until))))
    }

    fn open_books(&self, held: &[Held]) -> Books {
        let settled = Settled {
            passed: 0,
            delivered: 0,
            letters: Vec::new(),
            done: Vec::new(),
            waited: self.waited,
            now: self.clock.now(),
        };
        let held = held.iter().map(|letter| letter.of.clone()).collect();
        Books { settled, held, down: None, more: false }
    }

    /// Tries the first letter of each device whose pause is over.
    async fn letters(&mut self, held: &[Held], handful: usize, books: &mut Books) -> Result<(), Broken> {
        let now = Instant::now();
        let due = held.iter().filter(|letter| self.pauses.get(&letter.of).is_none_or(|until| *until <= now));
        let due: Vec<Held> = due.take(handful).cloned().collect();
        if due.is_empty() {
            return Ok(());
        }
        let sequences: Vec<i64> = due.iter().map(|letter| letter.sequence).collect();
        let events = self.outbox.with(move |outbox| outbox.events_of(&sequences)).await??;
        for event in events {
            let Some(letter) = due.iter().find(|letter| letter.sequence == event.sequence) else { continue };
            // Nothing is told of what was told with others, in their digest.
            let posts: Vec<_> = self.post(event).await?.into_iter().collect();
            let (count, stop) = self.deliver(posts).await;
            match stop {
                None => {
                    books.settled.done.push(letter.sequence);
                    books.settled.delivered += count as u64;
                    self.pauses.remove(&letter.of);
                    // The next one of its device may have its turn.
                    books.more = true;
                }
                Some(Stop::Refused { error }) => {
                    let letter = self.refused(letter, &error);
                    books.settled.letters.push(letter);
                }
                Some(down) => {
                    books.down = Some(down);
                    break;
                }
            }
        }
        Ok(())
    }

    /// Carries the events after the cursor, as far as the sink takes them; behind a `full` handful there may be more.
    async fn fresh(
        &mut self,
        fresh: Vec<Event>,
        full: bool,
        running: &HashSet<SweepId>,
        books: &mut Books,
    ) -> Result<(), Broken> {
        let (mut posts, mut whose, mut behind_others) = (Vec::new(), Vec::new(), Vec::new());
        // What lies between and behind the posts is passed with them.
        let mut passed = 0;
        let mut all = true;
        for event in fresh {
            if self.waits_for_its_sweep(&event, running) {
                all = false;
                break;
            }
            let (sequence, of) = (event.sequence, event.change.of.clone());
            passed = sequence;
            if !self.setup.route.takes(&event) {
                continue;
            }
            let Some(post) = self.post(event).await? else { continue };
            if books.held.contains(&of) {
                behind_others.push(behind(sequence, of));
            } else {
                whose.push((sequence, of));
                posts.push(post);
            }
        }
        books.more |= full && all;
        let (count, stop) = self.deliver(posts).await;
        books.settled.delivered += count as u64;
        if let (Some(stop), Some((sequence, of))) = (stop, whose.get(count)) {
            passed = match stop {
                Stop::Refused { error } => {
                    let first = Held::first(*sequence, of.clone());
                    books.settled.letters.push(self.refused(&first, &error));
                    books.held.insert(of.clone());
                    // Those behind it are looked at again, with this device held.
                    books.more = true;
                    *sequence
                }
                down => {
                    books.down = Some(down);
                    sequence - 1
                }
            };
        }
        behind_others.retain(|letter| letter.held.sequence <= passed);
        books.settled.letters.extend(behind_others);
        books.settled.passed = passed;
        Ok(())
    }

    /// Whether an event is told only when its sweep has ended, because many alike may be told as one.
    fn waits_for_its_sweep(&self, event: &Event, running: &HashSet<SweepId>) -> bool {
        self.setup.digest.is_some() && event.change.sweep.is_some_and(|sweep| running.contains(&sweep))
    }

    async fn deliver(&mut self, posts: Vec<Post>) -> (usize, Option<Stop>) {
        if posts.is_empty() {
            return (0, None);
        }
        let delivery = self.setup.sink.deliver(posts.into(), self.clock.now()).await;
        if delivery.count > 0 {
            self.refusers.clear();
        }
        (delivery.count, delivery.stop)
    }

    /// What is told of an event; nothing when it is told with others.
    async fn post(&mut self, event: Event) -> Result<Option<Post>, Broken> {
        let (Some(rule), Some(sweep)) = (self.setup.digest.clone(), event.change.sweep) else {
            return Ok(Some(Post::Event(event)));
        };
        if !self.folds.contains_key(&sweep) {
            let mut events = self.outbox.with(move |outbox| outbox.events_of_sweep(sweep)).await??;
            events.retain(|event| self.setup.route.takes(event));
            if self.folds.len() >= FOLDS_MAX {
                self.folds.clear();
            }
            self.folds.insert(sweep, fold(sweep, &events, rule.more_than, &rule.label));
        }
        let Fold { digests, folded } = &self.folds[&sweep];
        if folded.contains(&event.sequence) {
            return Ok(None);
        }
        Ok(Some(match digests.get(&event.sequence) {
            Some(digest) => Post::Digest(digest.clone()),
            None => Post::Event(event),
        }))
    }

    /// Puts a refused event aside for another try, or gives it up.
    fn refused(&mut self, letter: &Held, error: &str) -> Letter {
        self.refusers.insert(letter.of.clone());
        self.failures += 1;
        let tries = letter.tries.saturating_add(1);
        let pause = LETTER_PACE.pause(tries, fastrand::f64());
        let waited = letter.waited + pause;
        let dead = waited >= GIVE_UP;
        // One of the two is absent, and is no field of the line then.
        let sink = &self.setup.name;
        let (device, source) = (letter.of.device().map(DeviceId::as_str), letter.of.source());
        if dead {
            tracing::error!(
                sink,
                device,
                source,
                tries,
                "an event is given up after a day, `versweep events` shows it: {error}"
            );
        } else if tries == 1 {
            tracing::warn!(
                sink,
                device,
                source,
                "an event was refused, those of this device or source wait behind it: {error}"
            );
        }
        let held = Held { tries, waited, ..letter.clone() };
        if !dead {
            self.pauses.insert(letter.of.clone(), Instant::now() + pause);
        }
        Letter { held, error: error.to_owned(), dead }
    }

    /// The pause that a sink needs which is down, and what it says in the books.
    fn rest(&mut self, books: &mut Books) -> Option<Duration> {
        if self.refusers.len() >= REFUSALS_MAX {
            let error = "it refuses whatever it is given";
            books.down.get_or_insert_with(|| Stop::down(error));
        }
        let Some(stop) = &books.down else {
            if books.settled.delivered > 0 {
                (self.tries, self.waited) = (0, Duration::ZERO);
                self.tell(None);
            }
            books.settled.waited = self.waited;
            return None;
        };
        self.tell(Some(stop.error()));
        self.tries = if books.settled.delivered > 0 { 1 } else { self.tries.saturating_add(1) };
        let mut pause = SINK_PACE.pause(self.tries, fastrand::f64());
        if let Stop::Down { retry_after: Some(wanted), .. } = stop {
            pause = pause.max((*wanted).min(RETRY_AFTER_MAX));
        }
        self.waited = if books.settled.delivered > 0 { pause } else { self.waited + pause };
        books.settled.waited = self.waited;
        Some(pause)
    }

    async fn settle(&mut self, settled: Settled) -> Result<Standing, Broken> {
        self.unwritten = Some(settled);
        self.write_books().await?;
        Ok(self.outbox.with(|outbox| outbox.standing()).await??)
    }

    /// Writes what became of the last events. What a sink has taken it is not told again because the disk was full then:
    /// the books are kept until they are written, and nothing is carried before.
    async fn write_books(&mut self) -> Result<(), Broken> {
        if let Some(settled) = self.unwritten.clone() {
            self.outbox.with(move |outbox| outbox.settle(&settled)).await??;
            self.unwritten = None;
        }
        Ok(())
    }

    /// A sink that has been down for a day: what has waited for it as long is given up.
    async fn give_up_old(&mut self) -> Result<(), Broken> {
        if self.waited < GIVE_UP {
            return Ok(());
        }
        let Some(cutoff) = self.clock.now().checked_sub_signed(chrono::TimeDelta::hours(24)) else {
            return Ok(());
        };
        let error = "the sink has been down for a day";
        while self.bury(BURIED_AT_ONCE, error, |event| event.change.at < cutoff).await? == BURIED_AT_ONCE {}
        Ok(())
    }

    /// More are waiting than are allowed to: the oldest are given up.
    async fn give_up_many(&mut self, pending: u64) -> Result<(), Broken> {
        let mut excess =
            usize::try_from(pending.saturating_sub(self.setup.max_pending)).unwrap_or(usize::MAX);
        let error = format!("more than {} events were waiting", self.setup.max_pending);
        while excess > 0 {
            let buried = self.bury(excess.min(BURIED_AT_ONCE), &error, |_| true).await?;
            if buried == 0 {
                // All that wait are letters.
                let now = self.clock.now();
                self.outbox.with(move |outbox| outbox.give_up_letters(excess, &error, now)).await??;
                break;
            }
            excess -= buried;
        }
        Ok(())
    }

    /// Gives up the next events after the cursor, while they are old enough; says how many it passed.
    async fn bury(
        &mut self,
        limit: usize,
        error: &str,
        old: impl Fn(&Event) -> bool,
    ) -> Result<usize, Broken> {
        let mut events = self.outbox.with(move |outbox| outbox.next(limit)).await??;
        let young = events.iter().position(|event| !old(event)).unwrap_or(events.len());
        events.truncate(young);
        let Some(last) = events.last() else { return Ok(0) };
        let (passed, count) = (last.sequence, events.len());
        let wanted = events.into_iter().filter(|event| self.setup.route.takes(event));
        let letter = |event: Event| Letter {
            dead: true,
            error: error.to_owned(),
            ..behind(event.sequence, event.change.of)
        };
        let letters: Vec<_> = wanted.map(letter).collect();
        tracing::error!(
            sink = self.setup.name,
            events = letters.len(),
            "events are given up, `versweep events` shows them: {error}"
        );
        let now = self.clock.now();
        let waited = self.waited;
        let settled = Settled { passed, delivered: 0, letters, done: Vec::new(), waited, now };
        let standing = self.settle(settled).await?;
        self.publish(&standing, self.pauses.len());
        Ok(count)
    }
}

/// The letter of an event that waits behind another one of its device.
fn behind(sequence: i64, of: Whose) -> Letter {
    let held = Held::first(sequence, of);
    Letter { held, error: "waits behind another event of the same device or source".to_owned(), dead: false }
}
