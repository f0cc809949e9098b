//! Where change events go. A sink delivers a handful of posts in order, or says how far it came and what stopped it; which
//! are next, and when to try again, is the courier's matter.

mod cloud_event;
mod command;
mod journal;
mod jsonl;
mod lent;
mod nats;
mod slack;
mod webhook;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use self::cloud_event::{CloudEvent, SCHEMA};
pub use self::command::Command;
pub use self::journal::{DIGEST_ID, Journal, SOCKET, message_id};
pub use self::jsonl::{Jsonl, Rotation};
pub use self::lent::Lent;
pub use self::nats::{Nats, Server as NatsServer};
pub use self::slack::Slack;
pub use self::webhook::Webhook;
use crate::clock::Timestamp;
use crate::event::Post;

/// A place for events.
#[derive(Debug)]
pub enum Sink {
    /// The systemd journal.
    Journal(Lent<Journal>),
    /// A file of JSON lines.
    Jsonl(Lent<Jsonl>),
    /// A server that takes CloudEvents by POST.
    Webhook(Box<Webhook>),
    /// A chat that takes messages as Slack's incoming webhooks do.
    Slack(Box<Slack>),
    /// A program that is run for each event.
    Command(Command),
    /// A NATS server.
    Nats(Box<Nats>),
}

/// How far a delivery came.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// So many posts of the beginning are delivered for good.
    pub count: usize,
    /// What stopped the others.
    pub stop: Option<Stop>,
}

/// What stops a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// The sink takes nothing now.
    Down {
        /// Why.
        error: String,
        /// How long it wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// The sink works, but refuses the post after those that were delivered.
    Refused {
        /// Why.
        error: String,
    },
}

impl Stop {
    /// A sink that is down and says no more.
    #[must_use]
    pub fn down(error: impl fmt::Display) -> Self {
        Self::Down { error: error.to_string(), retry_after: None }
    }

    /// Why.
    #[must_use]
    pub fn error(&self) -> &str {
        match self {
            Self::Down { error, .. } | Self::Refused { error } => error,
        }
    }
}

impl Sink {
    /// Events to the journal at that socket.
    #[must_use]
    pub fn journal(journal: Journal) -> Self {
        Self::Journal(Lent::new(journal))
    }

    /// Events to that file.
    #[must_use]
    pub fn jsonl(jsonl: Jsonl) -> Self {
        Self::Jsonl(Lent::new(jsonl))
    }

    /// How many posts make one delivery, and so the most that come twice after a crash.
    #[must_use]
    pub fn handful(&self) -> usize {
        match self {
            Self::Journal(_) | Self::Jsonl(_) | Self::Nats(_) => 256,
            Self::Webhook(_) | Self::Slack(_) | Self::Command(_) => 16,
        }
    }

    /// Delivers posts in order; `now` is the present instant.
    pub async fn deliver(&mut self, posts: Arc<[Post]>, now: Timestamp) -> Delivery {
        match self {
            Self::Journal(journal) => {
                journal.with(move |journal| journal.deliver(&posts)).await.unwrap_or_else(Delivery::broken)
            }
            Self::Jsonl(jsonl) => {
                jsonl.with(move |jsonl| jsonl.deliver(&posts)).await.unwrap_or_else(Delivery::broken)
            }
            Self::Nats(nats) => nats.deliver(&posts).await,
            Self::Webhook(_) | Self::Slack(_) | Self::Command(_) => self.one_by_one(&posts, now).await,
        }
    }

    /// Delivers each post by itself, up to the first that stops it.
    async fn one_by_one(&self, posts: &[Post], now: Timestamp) -> Delivery {
        for (count, post) in posts.iter().enumerate() {
            let delivered = match self {
                Self::Webhook(webhook) => webhook.deliver(post, now).await,
                Self::Slack(slack) => slack.deliver(post, now).await,
                Self::Command(command) => command.deliver(post).await,
                Self::Journal(_) | Self::Jsonl(_) | Self::Nats(_) => Ok(()),
            };
            if let Err(stop) = delivered {
                return Delivery { count, stop: Some(stop) };
            }
        }
        Delivery { count: posts.len(), stop: None }
    }
}

impl Delivery {
    fn broken(error: tokio::task::JoinError) -> Self {
        Self { count: 0, stop: Some(Stop::down(error)) }
    }
}
