//! One device, once: log in, ask, read. The sweep and `versweep probe` call the same function.

use std::borrow::Cow;
use std::sync::Arc;

use tokio::time::{Instant, timeout};

use crate::clock::Clock;
use crate::device::{Device, PlatformChoice, PlatformKey};
use crate::dialogue::Errand;
use crate::facts::Reading;
use crate::failure::{Failure, FailureKind, Stage};
use crate::known::Known;
use crate::observation::{Observation, Outcome, RawText, SshSession, SweepId};
use crate::parse;
use crate::platform::Platforms;
use crate::transport::{Trace, Transport, TransportError};

/// A visit's result with its explanation.
#[derive(Debug)]
pub struct Visit {
    /// What is recorded.
    pub observation: Observation,
    /// How it went, for people.
    pub trace: Trace,
}

/// What every visit of a sweep shares.
pub struct Prober<T> {
    /// The way to devices.
    pub transport: Arc<T>,
    /// How answers are read.
    pub platforms: Arc<Platforms>,
    /// Wall time.
    pub clock: Arc<dyn Clock>,
}

impl<T: Transport> Prober<T> {
    /// Visits one device within its hard deadline. Whatever happens to the device is in the observation: a device's
    /// failure is data.
    pub async fn device(&self, device: &Device, sweep: SweepId) -> Visit {
        self.visit(device, None, sweep, Trace::begin()).await
    }

    /// The same for a device of which something is known: the platform that it was found to have is asked first.
    pub async fn again(&self, device: &Device, known: Option<&Known>, sweep: SweepId, trace: Trace) -> Visit {
        self.visit(device, known.and_then(remembered), sweep, trace).await
    }

    /// The same, with the words of both sides kept in the trace.
    pub async fn explain(&self, device: &Device, sweep: SweepId) -> Visit {
        self.visit(device, None, sweep, Trace::recording()).await
    }

    async fn visit(
        &self,
        device: &Device,
        remembered: Option<&PlatformKey>,
        sweep: SweepId,
        mut trace: Trace,
    ) -> Visit {
        let began = Instant::now();
        let outcome = self.ask(device, remembered, &mut trace).await;
        let observation = Observation {
            device: device.id.clone(),
            identity: device.identity.clone(),
            sweep,
            at: self.clock.now(),
            took: began.elapsed(),
            stages: trace.times(),
            attempts: 1,
            confirmed: false,
            ssh: session_of(&trace),
            outcome,
        };
        Visit { observation, trace }
    }

    async fn ask(&self, device: &Device, remembered: Option<&PlatformKey>, trace: &mut Trace) -> Outcome {
        let errand = match self.errand(&device.platform, remembered) {
            Ok(errand) => errand,
            Err(failure) => return Outcome::Failed { failure, raw: None },
        };
        let limit = device.timeouts.visit;
        match timeout(limit, self.transport.visit(device, &errand, trace)).await {
            Ok(Ok(outputs)) => self.read(&device.platform, outputs, trace),
            Ok(Err(error)) => failed(error, trace),
            Err(_elapsed) => deadline_passed(device, trace),
        }
    }

    fn errand(
        &self,
        choice: &PlatformChoice,
        remembered: Option<&PlatformKey>,
    ) -> Result<Arc<Errand>, Failure> {
        match choice {
            PlatformChoice::Auto => Ok(Arc::new(Errand::searching(self.platforms.search(remembered)))),
            PlatformChoice::Named(key) => match self.platforms.get(key) {
                Some(profile) => Ok(Arc::clone(&profile.errand)),
                None => Err(no_profile(key)),
            },
        }
    }

    fn read(&self, choice: &PlatformChoice, outputs: Vec<String>, trace: &mut Trace) -> Outcome {
        trace.enter(Stage::Parse);
        let text = outputs.join("\n");
        let read = self.reading(choice, &ended(&text));
        let shown = trace.redacted(text.clone());
        let read = if shown == text { read } else { read.map_err(|f| self.retold(f, choice, &shown)) };
        let raw = RawText::from(shown);
        match read {
            Ok(reading) => Outcome::Answered { reading, raw },
            Err(failure) => {
                let detail = trace.redacted(failure.detail);
                Outcome::Failed { failure: Failure { detail, ..failure }, raw: Some(raw) }
            }
        }
    }

    /// The failure to read an answer that holds a secret, in words that hold none. They quote pieces of the answer, cut to
    /// size, so that half a secret may stand in them: the pieces are taken from the answer without it.
    fn retold(&self, failure: Failure, choice: &PlatformChoice, shown: &str) -> Failure {
        let detail = match self.reading(choice, shown) {
            Err(told) if told.kind == failure.kind => told.detail,
            _ => "the answer can't be read, and what it says holds a secret: see its text".to_owned(),
        };
        Failure { detail, ..failure }
    }

    fn reading(&self, choice: &PlatformChoice, text: &str) -> Result<Reading, Failure> {
        let read = match choice {
            PlatformChoice::Auto => parse::parse_any(&self.platforms, text),
            PlatformChoice::Named(key) => match self.platforms.get(key) {
                Some(profile) => parse::parse(profile, text),
                None => return Err(no_profile(key)),
            },
        };
        read.map_err(|error| Failure::new(error.kind(), Stage::Parse, error.to_string()))
    }
}

/// The answer with a line end: it has ended in good order, so that its last line is whole even where the device sends no
/// line end behind it. An answer that breaks off is a failure and doesn't come this far.
fn ended(text: &str) -> Cow<'_, str> {
    if text.ends_with('\n') { Cow::Borrowed(text) } else { Cow::Owned(format!("{text}\n")) }
}

/// The platform that the device was found to have. It is forgotten after a visit in which the answer did not fit: that
/// may be why, and there was no way to ask anything else in the same login.
fn remembered(known: &Known) -> Option<&PlatformKey> {
    let failed = known.visit.as_ref().and_then(|visit| visit.failure.as_ref());
    let misfit =
        failed.is_some_and(|failure| matches!(failure.kind, FailureKind::Parse | FailureKind::Command));
    let facts = known.facts.as_ref().filter(|_| !misfit)?;
    Some(&facts.reading.platform)
}

/// The session that the visit had, where key exchange was done.
fn session_of(trace: &Trace) -> Option<Box<SshSession>> {
    let algorithms = trace.algorithms.clone()?;
    Some(Box::new(SshSession { server: trace.server.clone().unwrap_or_default(), algorithms }))
}

/// The configuration checks names of platforms, so this is a defect of versweep's own.
fn no_profile(key: &PlatformKey) -> Failure {
    let detail = format!("no profile of platform {key}: `versweep platforms` lists them");
    Failure::new(FailureKind::Internal, Stage::Connect, detail)
}

/// A device may print back what it was sent: the words that are kept are without it.
fn failed(mut error: TransportError, trace: &Trace) -> Outcome {
    let raw = error.partial_output.take().map(|text| RawText::from(trace.redacted(text)));
    let failure = Failure::from(error);
    let detail = trace.redacted(failure.detail);
    Outcome::Failed { failure: Failure { detail, ..failure }, raw }
}

fn deadline_passed(device: &Device, trace: &Trace) -> Outcome {
    let stage = trace.stage();
    let detail = format!(
        "the visit passed its deadline of {:?} while in {stage}: the connection was closed; raise `timeout` if the device is only slow",
        device.timeouts.visit
    );
    Outcome::Failed { failure: Failure::new(FailureKind::Deadline, stage, detail), raw: None }
}
