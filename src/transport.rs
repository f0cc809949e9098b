//! The way to a device: one visit is one connection, one login, some commands, an orderly end.
//!
//! [`Transport`] is the seam; `ssh` is the real one, `fake` a strict scripted one, and both pass the same
//! conformance suite (`tests/behaviours/transport_conformance.rs`).

use std::fmt;
use std::future::Future;

use tokio::time::Instant;

use crate::device::Device;
use crate::dialogue::Errand;
use crate::failure::{Failure, FailureKind, HostKeyTrouble, Stage};
use crate::observation::StageTimes;

pub mod fake;
mod secrets;
mod session;
pub mod ssh;

use secrets::Secrets;
pub use session::{Exchange, Session};

/// The most bytes that one command may print before the visit fails as `output_limit`.
pub const OUTPUT_LIMIT: usize = 1024 * 1024;

/// A way to visit devices.
///
/// What every implementation keeps, and the conformance suite checks:
/// one connection a visit and one authentication attempt by password; the device's connect, login and command
/// timeouts; at most `output_limit` bytes a command; and when the future is dropped, at whatever point, the
/// connection is closed and nothing is left running.
pub trait Transport: Send + Sync + 'static {
    /// Logs in to `device`, gives the errand's commands in order on its channel, returns their outputs in that order.
    ///
    /// `trace` is filled while the visit goes on, so that it tells how far the visit came even when the caller drops
    /// the future at its deadline.
    fn visit(
        &self,
        device: &Device,
        errand: &Errand,
        trace: &mut Trace,
    ) -> impl Future<Output = Result<Vec<String>, TransportError>> + Send;
}

/// Why a visit came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at {stage}: {detail}")]
pub struct TransportError {
    /// Which kind.
    pub kind: FailureKind,
    /// In which stage.
    pub stage: Stage,
    /// What happened and what to do about it, in lowercase, bounded, free of secrets.
    pub detail: String,
    /// What the command had printed by then, where something had.
    pub partial_output: Option<String>,
    /// For `host_key`: what is wrong with the key.
    pub host_key: Option<HostKeyTrouble>,
}

impl TransportError {
    /// An error without output.
    #[must_use]
    pub fn new(kind: FailureKind, stage: Stage, detail: impl Into<String>) -> Self {
        Self { kind, stage, detail: detail.into(), partial_output: None, host_key: None }
    }
}

impl From<TransportError> for Failure {
    fn from(error: TransportError) -> Self {
        let TransportError { kind, stage, detail, host_key, partial_output: _ } = error;
        Self { kind, stage, detail, host_key }
    }
}

/// Held by a visit from its beginning to the end of its login, and dropped then.
pub type WayIn = Box<dyn fmt::Debug + Send>;

/// What a visit leaves behind while it goes on: stage, times, and notes for `versweep probe`.
#[derive(Debug)]
pub struct Trace {
    stage: Stage,
    entered: Instant,
    finished: bool,
    times: StageTimes,
    /// The server's SSH identification string, as it was sent, bounded.
    pub server: Option<String>,
    /// The algorithms in use: kex, host key, cipher, mac.
    pub algorithms: Option<String>,
    /// The SHA-256 fingerprint of the host key.
    pub host_key: Option<String>,
    /// The methods that the server offers for a login, where it was asked or refused one.
    pub offered: Option<String>,
    /// The methods that were tried, in order, each with how it went.
    pub tried: Vec<String>,
    /// Further facts, one a line, for the explanation of a visit.
    pub notes: Vec<String>,
    /// What was said on both sides, where that is to be recorded: see [`Trace::recording`].
    pub session: Option<Session>,
    secrets: Secrets,
    way_in: Option<WayIn>,
}

impl Trace {
    /// A visit that begins now, at `Stage::Connect`.
    #[must_use]
    pub fn begin() -> Self {
        Self {
            stage: Stage::Connect,
            entered: Instant::now(),
            finished: false,
            times: StageTimes::default(),
            server: None,
            algorithms: None,
            host_key: None,
            offered: None,
            tried: Vec::new(),
            notes: Vec::new(),
            session: None,
            secrets: Secrets::default(),
            way_in: None,
        }
    }

    /// The same, for a visit of which somebody is to know when it is logged in.
    #[must_use]
    pub fn on_the_way(way_in: WayIn) -> Self {
        Self { way_in: Some(way_in), ..Self::begin() }
    }

    /// The same, for a visit whose words on both sides are to be kept.
    #[must_use]
    pub fn recording() -> Self {
        Self { session: Some(Session::default()), ..Self::begin() }
    }

    /// These secrets may be sent: what is kept of the visit must not show them.
    fn hide(&mut self, secrets: &Secrets) {
        if let Some(session) = &mut self.session {
            session.hide(secrets.clone());
        }
        self.secrets = secrets.clone();
    }

    /// The text with the visit's secrets taken out: for all that is kept or shown of what the device said. The parser
    /// reads the text as it came: a password such as "cisco" is also a word of an honest answer.
    #[must_use]
    pub fn redacted(&self, text: String) -> String {
        self.secrets.redacted(text)
    }

    /// Ends the present stage and enters the next one.
    pub fn enter(&mut self, stage: Stage) {
        self.finish();
        if stage == Stage::Command {
            self.way_in = None;
        }
        self.stage = stage;
        self.entered = Instant::now();
        self.finished = false;
    }

    /// Ends the present stage: its time is recorded. What comes before the next stage, such as an orderly goodbye,
    /// belongs to none.
    pub fn finish(&mut self) {
        if self.finished {
            return;
        }
        self.finished = true;
        let took = self.entered.elapsed();
        match self.stage {
            Stage::Connect => self.times.connect = Some(took),
            Stage::Kex => self.times.kex = Some(took),
            Stage::Auth => self.times.auth = Some(took),
            Stage::Command => self.times.command = Some(took),
            Stage::Parse => {}
        }
    }

    /// The stage that the visit is in.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// The times of the finished stages.
    #[must_use]
    pub fn times(&self) -> StageTimes {
        self.times
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// The goodbye after the last command once overwrote the command's own time.
    #[tokio::test(start_paused = true)]
    async fn a_finished_stage_keeps_its_time() {
        let mut trace = Trace::begin();
        trace.enter(Stage::Command);
        tokio::time::advance(Duration::from_secs(2)).await;
        trace.finish();
        tokio::time::advance(Duration::from_millis(500)).await;
        trace.enter(Stage::Parse);
        assert_eq!(trace.times().command, Some(Duration::from_secs(2)));
        assert_eq!(trace.stage(), Stage::Parse);
    }
}
