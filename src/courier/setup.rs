//! What a `[[sink]]` means to its courier.

use std::path::Path;

use crate::config::{SinkConfig, SinkKind};
use crate::event::Route;
use crate::fetch::FetchError;
use crate::sink::{Command, Journal, Jsonl, Nats, NatsServer, SOCKET, Sink, Slack, Webhook};

/// When many events are told as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DigestRule {
    /// More alike than this, in one sweep.
    pub more_than: usize,
    /// The label that they are counted by.
    pub label: String,
}

/// A sink, and what it is told.
#[derive(Debug)]
pub struct Setup {
    /// Its name: its cursor in the store, its metric label.
    pub name: String,
    /// Where the events go.
    pub sink: Sink,
    /// Which events.
    pub route: Route,
    /// Whether many are told as one.
    pub digest: Option<DigestRule>,
    /// The most events that wait for it; the oldest beyond them are given up.
    pub max_pending: u64,
}

impl Setup {
    /// A sink that is told everything.
    #[must_use]
    pub fn plain(name: &str, sink: Sink) -> Self {
        Self { name: name.to_owned(), sink, route: Route::default(), digest: None, max_pending: u64::MAX }
    }

    /// The sink that a `[[sink]]` means; `source` is what its events say they come from.
    ///
    /// # Errors
    /// When an HTTP client can't be made.
    pub fn new(config: &SinkConfig, source: &str) -> Result<Self, FetchError> {
        let sink = match &config.kind {
            SinkKind::Journal => Sink::journal(Journal::new(Path::new(SOCKET))),
            SinkKind::Jsonl { path, size, keep } => {
                let rotation = size.map(|size| crate::sink::Rotation { size, keep: *keep });
                Sink::jsonl(Jsonl::new(path, rotation, source))
            }
            SinkKind::Webhook { peer, signers } => {
                Sink::Webhook(Box::new(Webhook::new(peer.clone(), signers.clone(), source)?))
            }
            SinkKind::Slack { peer, text } => Sink::Slack(Box::new(Slack::new(peer.clone(), text.clone())?)),
            SinkKind::Command { argv, timeout } => {
                Sink::Command(Command::new(argv.clone(), *timeout, source))
            }
            SinkKind::Nats { address, login, roots, timeout, subject } => {
                let (address, login, roots) = (address.clone(), login.clone(), roots.clone());
                let server = NatsServer { address, login, roots, timeout: *timeout };
                Sink::Nats(Box::new(Nats::new(server, subject.clone(), source)))
            }
        };
        Ok(Self {
            name: config.name.clone(),
            sink,
            route: config.route.clone(),
            digest: config
                .digest
                .as_ref()
                .map(|(more_than, label)| DigestRule { more_than: *more_than, label: label.clone() }),
            max_pending: config.max_pending,
        })
    }
}
