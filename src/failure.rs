//! Why a visit failed: one kind of a closed set, the stage it happened in, and a detail for people.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Every way a visit can fail (rule 14). The name is the metric label, so variants are an API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The host name doesn't resolve.
    Dns,
    /// The TCP connection was refused.
    Refused,
    /// The network says that there is no way there.
    Unreachable,
    /// Connect, login or command took longer than its own limit.
    Timeout,
    /// The peer closed or reset the connection.
    Disconnected,
    /// No agreement on algorithms, or a broken key exchange.
    Kex,
    /// The host key is not the known one, or unknown where it must be known. No secret was sent.
    HostKey,
    /// The device refused the login.
    Auth,
    /// Logged in, but not allowed to run the command.
    Denied,
    /// No prompt was found in the shell.
    Prompt,
    /// The device didn't know or didn't finish the command.
    Command,
    /// The answer is not what the profile can read.
    Parse,
    /// The output passed its cap.
    OutputLimit,
    /// The whole visit took longer than its hard deadline.
    Deadline,
    /// Not visited: the credential's breaker is open.
    Breaker,
    /// Not visited, or broken off, because versweep was asked to stop.
    Cancelled,
    /// A defect of versweep's own.
    Internal,
}

impl FailureKind {
    /// All kinds, in the order of the documentation.
    pub const ALL: [Self; 17] = [
        Self::Dns,
        Self::Refused,
        Self::Unreachable,
        Self::Timeout,
        Self::Disconnected,
        Self::Kex,
        Self::HostKey,
        Self::Auth,
        Self::Denied,
        Self::Prompt,
        Self::Command,
        Self::Parse,
        Self::OutputLimit,
        Self::Deadline,
        Self::Breaker,
        Self::Cancelled,
        Self::Internal,
    ];

    /// The name used in metrics, the store, events and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Disconnected => "disconnected",
            Self::Kex => "kex",
            Self::HostKey => "host_key",
            Self::Auth => "auth",
            Self::Denied => "denied",
            Self::Prompt => "prompt",
            Self::Command => "command",
            Self::Parse => "parse",
            Self::OutputLimit => "output_limit",
            Self::Deadline => "deadline",
            Self::Breaker => "breaker",
            Self::Cancelled => "cancelled",
            Self::Internal => "internal",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Whether one more try in the same sweep may help and does no harm. Never after an authentication failure or a
    /// wrong host key: a second try could lock the account.
    #[must_use]
    pub fn may_retry(self) -> bool {
        match self {
            Self::Dns | Self::Refused | Self::Unreachable | Self::Timeout | Self::Disconnected => true,
            Self::Kex
            | Self::HostKey
            | Self::Auth
            | Self::Denied
            | Self::Prompt
            | Self::Command
            | Self::Parse
            | Self::OutputLimit
            | Self::Deadline
            | Self::Breaker
            | Self::Cancelled
            | Self::Internal => false,
        }
    }

    /// Whether the device was asked at all. One that was not says nothing about its reachability.
    #[must_use]
    pub fn was_visited(self) -> bool {
        !matches!(self, Self::Breaker | Self::Cancelled)
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The stages of a visit, in order. `Connect`, `Kex`, `Auth` and `Command` are also the histogram's label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Name lookup and TCP connect.
    Connect,
    /// SSH identification, key exchange and host key check.
    Kex,
    /// Authentication.
    Auth,
    /// Opening a channel, the command, its output.
    Command,
    /// Reading the output.
    Parse,
}

impl Stage {
    /// The stages that take time on the wire: the label values of the stage histogram.
    pub const ON_THE_WIRE: [Self; 4] = [Self::Connect, Self::Kex, Self::Auth, Self::Command];

    /// The name used in metrics, the store and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Kex => "kex",
            Self::Auth => "auth",
            Self::Command => "command",
            Self::Parse => "parse",
        }
    }

    /// The stage of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Connect, Self::Kex, Self::Auth, Self::Command, Self::Parse]
            .into_iter()
            .find(|stage| stage.as_str() == name)
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is wrong with a host key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostKeyTrouble {
    /// It is not known, where only known ones are taken (`strict`). Nothing says that it is another one than before.
    Unknown,
    /// Another one is known.
    Changed,
    /// It is listed as revoked.
    Revoked,
    /// The certificate that vouches for it is not good.
    Certificate,
}

impl HostKeyTrouble {
    /// Whether somebody else may answer there. A key that is only unknown is a matter of the configuration.
    #[must_use]
    pub fn is_suspicious(self) -> bool {
        self != Self::Unknown
    }
}

/// A failed visit. The detail is for logs, the API and the debug view; it never becomes a label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Which kind.
    pub kind: FailureKind,
    /// In which stage.
    pub stage: Stage,
    /// What happened and what to do about it, bounded and free of secrets.
    pub detail: String,
    /// For `host_key`: what is wrong with the key. Known while the visit is new; it isn't stored.
    pub host_key: Option<HostKeyTrouble>,
}

impl Failure {
    /// A failure that is not about a host key.
    #[must_use]
    pub fn new(kind: FailureKind, stage: Stage, detail: impl Into<String>) -> Self {
        Self { kind, stage, detail: detail.into(), host_key: None }
    }
}
