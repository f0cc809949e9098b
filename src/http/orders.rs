//! What the daemon itself is asked to do over HTTP: one request of a kind at a time, each with its answer. The API, `/-/` and
//! pages word for their readers what came of it.

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use super::App;
use super::problem::Refusal;

/// A request to reload the configuration, answered with what was wrong when it was not taken.
pub type ReloadRequest = oneshot::Sender<Result<(), String>>;

/// A request to take an inventory list that waits for it.
#[derive(Debug)]
pub struct ConfirmRequest {
    /// The source's name.
    pub source: String,
    /// Which of its lists, by the token that was shown.
    pub list: String,
    /// How many devices there are then, or why there is nothing to take.
    pub answer: oneshot::Sender<Result<usize, String>>,
}

/// A request to have a sink told again what was given up.
#[derive(Debug)]
pub struct ReplayRequest {
    /// The sink's name.
    pub sink: String,
    /// One event by its id, or all dead letters.
    pub id: Option<String>,
    /// How many events are told again, or why none can be.
    pub answer: oneshot::Sender<Result<usize, String>>,
}

impl App {
    /// Reloads the configuration: what was wrong with it, where the old one stays.
    pub(super) async fn reloaded(&self) -> Result<Result<(), String>, Refusal> {
        asked(&self.reload, "a reload", |answer| answer).await
    }

    /// Takes the list of that source that waits: how many devices there are then.
    pub(super) async fn confirmed(&self, source: String, list: String) -> Result<usize, Refusal> {
        let request = |answer| ConfirmRequest { source, list, answer };
        asked(&self.confirm, "a confirmation", request).await?.map_err(Refusal::NotTaken)
    }

    /// Has a sink told its dead letters again, or the event with that id: how many events.
    pub(super) async fn replayed(&self, sink: String, id: Option<String>) -> Result<usize, Refusal> {
        let request = |answer| ReplayRequest { sink, id, answer };
        asked(&self.replay, "a replay", request).await?.map_err(|_| Refusal::Store)
    }
}

/// Asks the daemon, unless it is doing one of these `what` already, and waits for its answer.
async fn asked<R, A>(
    daemon: &mpsc::Sender<R>,
    what: &str,
    request: impl FnOnce(oneshot::Sender<A>) -> R,
) -> Result<A, Refusal> {
    let (answer, answered) = oneshot::channel();
    daemon.try_send(request(answer)).map_err(|error| match error {
        TrySendError::Full(_) => Refusal::Busy(format!("{what} is under way: try again")),
        TrySendError::Closed(_) => Refusal::Stopping,
    })?;
    answered.await.map_err(|_| Refusal::Stopping)
}
