//! Settings of devices in layers: OpenSSH's configuration < defaults < platform < group < device. Both doors read them, the
//! configuration its layers and the inventory its devices, so they meet here.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use crate::device::{
    CredentialId, HostKeyPolicy, JumpHost, PlatformChoice, Route, Selector, SshAlgorithms, Timeouts,
};
use crate::document::Item;
use crate::duration::HumanDuration;
use crate::platform::Platforms;

mod disputed;
mod layers;
mod ssh_file;

pub use layers::{Group, Layers, Unresolved};
pub use ssh_file::{Hints, Identity, SshFile};

/// The keys that any layer may set.
pub const DEVICE_KEYS: [&str; 10] = [
    "port",
    "credential",
    "platform",
    "timeout",
    "connect_timeout",
    "login_timeout",
    "command_timeout",
    "host_keys",
    "legacy_ssh",
    "jump",
];

/// SSH's own port.
pub const DEFAULT_PORT: u16 = 22;

/// The limits of a visit where no layer sets them: a slow router answers `show version` in a few seconds, and a dead
/// one must not cost its worker more than the connect limit.
pub const DEFAULT_TIMEOUTS: Timeouts = Timeouts {
    visit: Duration::from_secs(30),
    connect: Duration::from_secs(5),
    login: Duration::from_secs(15),
    command: Duration::from_secs(20),
};

/// What a time limit may be: shorter than the first is a slip of the unit, longer than the last holds a worker all day.
const TIMEOUTS: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(3600);

/// What settings may refer to.
#[derive(Debug, Clone, Copy)]
pub struct References<'a> {
    /// All platform profiles.
    pub platforms: &'a Platforms,
    /// Whether that is all: `false` when a profile could not be read, so that an unknown name may be no fault.
    pub platforms_complete: bool,
    /// The names of all `[credentials.NAME]` tables.
    pub credentials: &'a BTreeSet<CredentialId>,
    /// All `[jump.NAME]` tables; one that could not be read stands here without its host.
    pub jumps: &'a JumpHosts,
}

/// The jump hosts by name; none for a table with problems of its own.
pub type JumpHosts = BTreeMap<String, Option<Arc<JumpHost>>>;

impl References<'_> {
    /// The platform of that name or alias, or `auto`; a problem otherwise.
    #[must_use]
    pub fn platform(&self, item: &Item<'_>, name: &str) -> Option<PlatformChoice> {
        if name == "auto" {
            return Some(PlatformChoice::Auto);
        }
        let found = self.platforms.find(name).map(|profile| PlatformChoice::Named(profile.key.clone()));
        if found.is_none() && self.platforms_complete {
            item.refuse("is not a known platform", "\"auto\", or one that `versweep platforms` lists");
        }
        found
    }

    /// The credential of that name. A dangling name is a problem and is answered all the same, so that the devices
    /// that rely on it aren't reported as having none.
    #[must_use]
    pub fn credential(&self, item: &Item<'_>, name: &str) -> Option<CredentialId> {
        let id = match CredentialId::new(name) {
            Ok(id) => id,
            Err(error) => {
                item.refuse("is not a name", &error.to_string());
                return None;
            }
        };
        if !self.credentials.contains(&id) {
            let known: Vec<_> = self.credentials.iter().map(CredentialId::as_str).collect();
            let others = if known.is_empty() {
                String::new()
            } else {
                format!(" or name one of: {}", known.join(", "))
            };
            item.refuse("is not a known credential", &format!("add [credentials.{name}]{others}"));
        }
        Some(id)
    }

    /// The way through the jump hosts named, or the direct one where none is named.
    #[must_use]
    pub fn route(&self, item: &Item<'_>) -> Option<Route> {
        let items = match item.as_text() {
            Some(_) => vec![item.clone()],
            None => item.elements("a list of names of [jump.NAME] tables, the nearest first")?,
        };
        let mut hosts: Vec<Arc<JumpHost>> = Vec::with_capacity(items.len());
        for item in items {
            let name = item.text()?;
            match self.jumps.get(name) {
                Some(Some(host)) if hosts.contains(host) => {
                    item.refuse("is named twice", "each jump host once")
                }
                Some(Some(host)) => hosts.push(Arc::clone(host)),
                Some(None) => {}
                None => item.refuse("is not a known jump host", &format!("add [jump.{name}]")),
            }
        }
        Some(if hosts.is_empty() { Route::Direct } else { Route::Via(hosts) })
    }
}

/// The settings that one layer makes; what it leaves out, the layers below decide.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeviceSettings {
    /// The TCP port.
    pub port: Option<u16>,
    /// Which credential logs in.
    pub credential: Option<CredentialId>,
    /// Which profile reads the device.
    pub platform: Option<PlatformChoice>,
    /// The hard deadline of a visit.
    pub timeout: Option<Duration>,
    /// Name lookup and TCP connect.
    pub connect_timeout: Option<Duration>,
    /// Key exchange and authentication.
    pub login_timeout: Option<Duration>,
    /// One command.
    pub command_timeout: Option<Duration>,
    /// How the host key is checked.
    pub host_keys: Option<HostKeyPolicy>,
    /// Which SSH algorithms are offered: `legacy_ssh`.
    pub algorithms: Option<SshAlgorithms>,
    /// The way there: `jump`.
    pub route: Option<Route>,
}

impl DeviceSettings {
    /// Reads the settings of one table or row; `get` answers the value of a key. Problems are noted where the values
    /// stand. An inner limit longer than the `timeout` beside it, or than `outer` where there is none beside it, is one.
    #[must_use]
    pub fn read<'d>(
        get: impl Fn(&str) -> Option<Item<'d>>,
        references: &References<'_>,
        outer: Option<Duration>,
    ) -> Self {
        let duration = |key: &str| get(key).and_then(|item| item.duration(&TIMEOUTS));
        let timeout = duration("timeout");
        let limit = timeout.or(outer);
        let inner = |key: &str| {
            let duration = duration(key)?;
            if let (Some(limit), Some(item)) = (limit.filter(|limit| duration > *limit), get(key)) {
                let allowed = format!("at most \"{}\", or a longer timeout", HumanDuration(limit));
                item.refuse("is longer than the timeout of the whole visit", &allowed);
            }
            Some(duration)
        };
        Self {
            port: get("port")
                .and_then(|item| item.number(1..=65535))
                .and_then(|port| u16::try_from(port).ok()),
            credential: get("credential").and_then(|item| references.credential(&item, item.text()?)),
            platform: get("platform").and_then(|item| references.platform(&item, item.text()?)),
            timeout,
            connect_timeout: inner("connect_timeout"),
            login_timeout: inner("login_timeout"),
            command_timeout: inner("command_timeout"),
            host_keys: get("host_keys").and_then(|item| host_keys(&item)),
            algorithms: get("legacy_ssh").and_then(|item| item.boolean()).map(algorithms),
            route: get("jump").and_then(|item| references.route(&item)),
        }
    }

    /// These settings, with what they leave out taken from a lower layer.
    #[must_use]
    pub fn over(self, lower: &Self) -> Self {
        Self {
            port: self.port.or(lower.port),
            credential: self.credential.or_else(|| lower.credential.clone()),
            platform: self.platform.or_else(|| lower.platform.clone()),
            timeout: self.timeout.or(lower.timeout),
            connect_timeout: self.connect_timeout.or(lower.connect_timeout),
            login_timeout: self.login_timeout.or(lower.login_timeout),
            command_timeout: self.command_timeout.or(lower.command_timeout),
            host_keys: self.host_keys.or(lower.host_keys),
            algorithms: self.algorithms.or(lower.algorithms),
            route: self.route.or_else(|| lower.route.clone()),
        }
    }

    /// An inner limit of this very layer that is longer than the whole visit.
    #[must_use]
    pub fn longer_than(&self, visit: Duration) -> Option<&'static str> {
        let inner = [
            ("connect_timeout", self.connect_timeout),
            ("login_timeout", self.login_timeout),
            ("command_timeout", self.command_timeout),
        ];
        inner.into_iter().find(|(_, limit)| limit.is_some_and(|limit| limit > visit)).map(|(key, _)| key)
    }

    /// The time limits. Where layers together would let an inner limit outlast the visit, it ends with the visit.
    fn timeouts(&self) -> Timeouts {
        let visit = self.timeout.unwrap_or(DEFAULT_TIMEOUTS.visit);
        Timeouts {
            visit,
            connect: self.connect_timeout.unwrap_or(DEFAULT_TIMEOUTS.connect).min(visit),
            login: self.login_timeout.unwrap_or(DEFAULT_TIMEOUTS.login).min(visit),
            command: self.command_timeout.unwrap_or(DEFAULT_TIMEOUTS.command).min(visit),
        }
    }
}

fn host_keys(item: &Item<'_>) -> Option<HostKeyPolicy> {
    match item.text()? {
        "strict" => Some(HostKeyPolicy::Strict),
        "learn" => Some(HostKeyPolicy::Learn),
        "off" => Some(HostKeyPolicy::Off),
        _ => {
            item.refuse("is not a host key policy", "\"strict\", \"learn\" or \"off\"");
            None
        }
    }
}

fn algorithms(legacy: bool) -> SshAlgorithms {
    if legacy { SshAlgorithms::Legacy } else { SshAlgorithms::Modern }
}

/// Reads a `select` table: label names, `device` or `platform`, each with a text or a list of texts.
#[must_use]
pub fn selector(item: &Item<'_>, references: &References<'_>) -> Option<Selector> {
    Some(selector_of(item.section()?.items(), references))
}

/// The selector of these keys, for a table that has other keys beside them.
#[must_use]
pub fn selector_of(items: Vec<(&str, Item<'_>)>, references: &References<'_>) -> Selector {
    let mut selector = BTreeMap::new();
    for (key, item) in items {
        if check_label_name(key).is_err() || key == "address" {
            item.refuse_hidden("can't select by this name", "device, platform or the name of a label");
            continue;
        }
        let values = item.texts().unwrap_or_default();
        let wanted = values.into_iter().filter_map(|(item, text)| match key {
            "platform" => Some(references.platform(&item, text)?.as_str().to_owned()),
            _ => Some(text.to_owned()),
        });
        selector.insert(key.to_owned(), wanted.collect());
    }
    Selector(selector)
}

/// A name that can't be a label's; what is allowed instead is its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("letters, digits and _, not starting with a digit or __")]
pub struct BadLabelName;

/// Checks the name of a label, which becomes the name of a metric label: the rule is Prometheus's own, which keeps
/// names that start with two underscores for itself.
///
/// # Errors
/// When the name breaks that rule.
pub fn check_label_name(name: &str) -> Result<(), BadLabelName> {
    let mut bytes = name.bytes();
    let starts_well = bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    let good =
        starts_well && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_') && !name.starts_with("__");
    if good { Ok(()) } else { Err(BadLabelName) }
}

/// Names that metrics and selectors use for the device itself, so that no label can have them.
pub const RESERVED_LABELS: [&str; 3] = ["device", "address", "platform"];
