//! A strict scripted transport for tests of everything above it: thousands of devices cost nothing, delays are
//! `tokio::time` and so virtual when it is paused.
//!
//! Strict: a second visit to a device that is being visited panics, and so does a visit to a device without a script.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::future::pending;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use crate::device::{Device, DeviceId};
use crate::dialogue::{Errand, Next, Search, Shown, printed_too_much};
use crate::failure::{FailureKind, Stage};

use super::{OUTPUT_LIMIT, Trace, Transport, TransportError};

/// What a device does at one visit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FakeAnswer {
    delays: Vec<(Stage, Duration)>,
    then: Then,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Then {
    /// The same text to every command.
    Output(Arc<str>),
    /// A text for each command.
    Outputs(Arc<BTreeMap<String, String>>),
    Fail(TransportError),
    Hang(Stage),
    Stuck,
}

impl FakeAnswer {
    /// Answers every command with `text`.
    #[must_use]
    pub fn output(text: impl Into<Arc<str>>) -> Self {
        Self::then(Then::Output(text.into()))
    }

    /// Answers each command with its own text, and one that isn't listed with a device's complaint.
    #[must_use]
    pub fn outputs<'a>(answers: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let answers =
            answers.into_iter().map(|(command, text)| (command.to_owned(), text.to_owned())).collect();
        Self::then(Then::Outputs(Arc::new(answers)))
    }

    /// Fails with that kind, in the stage where such a thing happens.
    #[must_use]
    pub fn fails(kind: FailureKind) -> Self {
        Self::fails_with(TransportError::new(kind, usual_stage(kind), format!("scripted {kind}")))
    }

    /// Fails with exactly that error.
    #[must_use]
    pub fn fails_with(error: TransportError) -> Self {
        Self::then(Then::Fail(error))
    }

    /// Falls silent in that stage: the visit ends as `timeout` when the device's own limit for the stage passes.
    #[must_use]
    pub fn hangs(stage: Stage) -> Self {
        Self::then(Then::Hang(stage))
    }

    /// Never ends, whatever the device's limits say: only dropping the visit helps. For tests of the hard deadline.
    #[must_use]
    pub fn stuck() -> Self {
        Self::then(Then::Stuck)
    }

    /// Takes that long in the command stage before the rest.
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        self.delayed(Stage::Command, delay)
    }

    /// Takes that long in a stage.
    #[must_use]
    pub fn delayed(mut self, stage: Stage, delay: Duration) -> Self {
        self.delays.push((stage, delay));
        self
    }

    fn then(then: Then) -> Self {
        Self { delays: Vec::new(), then }
    }
}

fn usual_stage(kind: FailureKind) -> Stage {
    match kind {
        FailureKind::Dns | FailureKind::Refused | FailureKind::Unreachable | FailureKind::Timeout => {
            Stage::Connect
        }
        FailureKind::Kex | FailureKind::HostKey | FailureKind::Disconnected => Stage::Kex,
        FailureKind::Auth => Stage::Auth,
        _ => Stage::Command,
    }
}

/// What a device does, visit by visit.
#[derive(Clone)]
pub struct Script(Arc<Answering>);

type Answering = dyn Fn(&DeviceId, u64) -> FakeAnswer + Send + Sync;

impl Script {
    /// The same at every visit.
    #[must_use]
    pub fn always(answer: FakeAnswer) -> Self {
        Self::by(move |_, _| answer.clone())
    }

    /// One after the other; the last one stays. An empty list hangs for ever.
    #[must_use]
    pub fn in_turn(answers: Vec<FakeAnswer>) -> Self {
        Self::by(move |_, visit| {
            let turn = usize::try_from(visit).unwrap_or(usize::MAX).saturating_sub(1);
            answers.get(turn).or(answers.last()).cloned().unwrap_or_else(FakeAnswer::stuck)
        })
    }

    /// Whatever the function says of the device's visit of that number, counted from 1.
    #[must_use]
    pub fn by(answering: impl Fn(&DeviceId, u64) -> FakeAnswer + Send + Sync + 'static) -> Self {
        Self(Arc::new(answering))
    }
}

impl From<FakeAnswer> for Script {
    fn from(answer: FakeAnswer) -> Self {
        Self::always(answer)
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Script")
    }
}

/// A visit as it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FakeVisit {
    /// Which device.
    pub device: DeviceId,
    /// The how-manieth to this device, from 1.
    pub number: u64,
    /// The commands asked for.
    pub commands: Vec<String>,
    /// When it began.
    pub began: Instant,
    /// When it ended, by itself or by being dropped.
    pub ended: Option<Instant>,
}

/// The scripted transport. Clones share scripts and records.
#[derive(Debug, Clone, Default)]
pub struct FakeTransport {
    scripts: HashMap<String, Script>,
    otherwise: Option<Script>,
    book: Arc<Mutex<Book>>,
}

#[derive(Debug, Default)]
struct Book {
    visits: Vec<FakeVisit>,
    numbers: HashMap<DeviceId, u64>,
    inside: HashSet<DeviceId>,
    /// Those of devices that their sources know by one: a device has it under any name.
    identities: HashSet<Arc<str>>,
    peak: usize,
}

impl FakeTransport {
    /// A transport that knows no device.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives a device its script.
    #[must_use]
    pub fn answers(mut self, device: &str, script: impl Into<Script>) -> Self {
        self.scripts.insert(device.to_owned(), script.into());
        self
    }

    /// Gives all other devices a script.
    #[must_use]
    pub fn otherwise(mut self, script: impl Into<Script>) -> Self {
        self.otherwise = Some(script.into());
        self
    }

    /// All visits so far, in the order in which they began.
    #[must_use]
    pub fn visits(&self) -> Vec<FakeVisit> {
        self.with_book(|book| book.visits.clone())
    }

    /// How many visits a device has had.
    #[must_use]
    pub fn visits_to(&self, device: &str) -> u64 {
        self.with_book(|book| {
            book.numbers.iter().find(|(id, _)| id.as_str() == device).map_or(0, |(_, number)| *number)
        })
    }

    /// The most visits that were going on at once.
    #[must_use]
    pub fn peak(&self) -> usize {
        self.with_book(|book| book.peak)
    }

    /// The visits that are going on.
    #[must_use]
    pub fn open(&self) -> usize {
        self.with_book(|book| book.inside.len())
    }

    fn with_book<T>(&self, act: impl FnOnce(&mut Book) -> T) -> T {
        act(&mut self.book.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Enters a visit in the book.
    fn enter(&self, device: &Device, commands: &[String]) -> (Inside<'_>, u64) {
        let id = &device.id;
        let (entry, number, first) = self.with_book(|book| {
            let known = device.identity.clone().is_none_or(|identity| book.identities.insert(identity));
            let first = book.inside.insert(id.clone()) && known;
            book.peak = book.peak.max(book.inside.len());
            let number = book.numbers.entry(id.clone()).or_default();
            *number += 1;
            let number = *number;
            let (began, commands) = (Instant::now(), commands.to_vec());
            book.visits.push(FakeVisit { device: id.clone(), number, commands, began, ended: None });
            (book.visits.len() - 1, number, first)
        });
        assert!(first, "two visits at once to {id}: versweep never does that to a device");
        (Inside { fake: self, device: id.clone(), identity: device.identity.clone(), entry }, number)
    }

    /// A device without a prompt or an identification string: its answers are all it shows.
    fn search(
        &self,
        search: &Search,
        answer: &FakeAnswer,
        inside: &Inside<'_>,
    ) -> Result<Vec<String>, TransportError> {
        let mut shown = Shown::default();
        while let Next::Ask { command, .. } = search.next(&shown) {
            self.with_book(|book| {
                if let Some(visit) = book.visits.get_mut(inside.entry) {
                    visit.commands.push(command.clone());
                }
            });
            let text = text(&answer.then, &command)?;
            shown.answers.push((command, text));
        }
        Ok(shown.answers.into_iter().map(|(_, answer)| answer).collect())
    }

    fn answer(&self, device: &DeviceId, number: u64) -> FakeAnswer {
        let script = self.scripts.get(device.as_str()).or(self.otherwise.as_ref());
        assert!(script.is_some(), "a visit to {device}, which has no script");
        script.map_or_else(FakeAnswer::stuck, |script| (script.0)(device, number))
    }
}

/// A visit that goes on; dropping it closes its entry.
struct Inside<'a> {
    fake: &'a FakeTransport,
    device: DeviceId,
    identity: Option<Arc<str>>,
    entry: usize,
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.fake.with_book(|book| {
            book.inside.remove(&self.device);
            if let Some(identity) = &self.identity {
                book.identities.remove(identity);
            }
            if let Some(visit) = book.visits.get_mut(self.entry) {
                visit.ended = Some(Instant::now());
            }
        });
    }
}

impl Transport for FakeTransport {
    async fn visit(
        &self,
        device: &Device,
        errand: &Errand,
        trace: &mut Trace,
    ) -> Result<Vec<String>, TransportError> {
        let (inside, number) = self.enter(device, &errand.commands);
        let answer = self.answer(&device.id, number);
        if answer.then == Then::Stuck {
            return pending().await;
        }
        stage(device, &answer, Stage::Connect, device.timeouts.connect).await?;
        trace.enter(Stage::Kex);
        // Key exchange and authentication share one limit.
        let login = async {
            stage(device, &answer, Stage::Kex, Duration::MAX).await?;
            trace.enter(Stage::Auth);
            stage(device, &answer, Stage::Auth, Duration::MAX).await
        };
        let late = timeout(device.timeouts.login, login).await;
        late.unwrap_or_else(|_| Err(timed_out(device, trace.stage())))?;
        trace.enter(Stage::Command);
        stage(device, &answer, Stage::Command, device.timeouts.command).await?;
        let outputs = match &errand.search {
            None => {
                errand.commands.iter().map(|command| text(&answer.then, command)).collect::<Result<_, _>>()?
            }
            Some(search) => self.search(search, &answer, &inside)?,
        };
        trace.finish();
        Ok(outputs)
    }
}

/// Plays one stage: its delays, then a scripted failure or silence where it belongs there.
async fn stage(
    device: &Device,
    answer: &FakeAnswer,
    now: Stage,
    limit: Duration,
) -> Result<(), TransportError> {
    let play = async {
        for (_, delay) in answer.delays.iter().filter(|(stage, _)| *stage == now) {
            sleep(*delay).await;
        }
        match &answer.then {
            Then::Fail(error) if error.stage == now || now == Stage::Command => Err(error.clone()),
            Then::Hang(stage) if *stage == now => pending().await,
            _ => Ok(()),
        }
    };
    timeout(limit, play).await.unwrap_or_else(|_| Err(timed_out(device, now)))
}

fn timed_out(device: &Device, stage: Stage) -> TransportError {
    let detail = format!("scripted silence of {} at {stage}", device.id);
    TransportError::new(FailureKind::Timeout, stage, detail)
}

fn text(then: &Then, command: &str) -> Result<String, TransportError> {
    let text = match then {
        Then::Output(text) => text.as_ref(),
        Then::Outputs(texts) => texts.get(command).map_or("% Invalid input detected\n", String::as_str),
        Then::Fail(error) => return Err(error.clone()),
        Then::Hang(_) | Then::Stuck => "",
    };
    if text.len() > OUTPUT_LIMIT {
        let detail = printed_too_much(command, OUTPUT_LIMIT);
        let partial_output = text.get(..64 * 1024).map(str::to_owned);
        let error = TransportError::new(FailureKind::OutputLimit, Stage::Command, detail);
        return Err(TransportError { partial_output, ..error });
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests;
