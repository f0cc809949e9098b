//! What a device is to versweep: a name that never changes, where to reach it, and how to log in.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The longest device name: that of a DNS name.
pub const NAME_MAX: usize = 253;

/// A device's name in the inventory: its identity in the store, in metrics and in events.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct DeviceId(Arc<str>);

impl DeviceId {
    /// Checks a name: 1 to 253 bytes, no white space, no control characters.
    ///
    /// # Errors
    /// Says what is wrong with the name.
    pub fn new(name: &str) -> Result<Self, NameError> {
        checked_name(name).map(Self)
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a `[credentials.NAME]` table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct CredentialId(Arc<str>);

impl CredentialId {
    /// Checks a name by the same rule as a device's.
    ///
    /// # Errors
    /// Says what is wrong with the name.
    pub fn new(name: &str) -> Result<Self, NameError> {
        checked_name(name).map(Self)
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CredentialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a name is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameError {
    /// Nothing there.
    Empty,
    /// More than [`NAME_MAX`] bytes.
    TooLong,
    /// White space or a control character in it.
    BadCharacter,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "a name can't be empty",
            Self::TooLong => "a name has at most 253 bytes",
            Self::BadCharacter => "a name has no white space and no control characters",
        })
    }
}

impl std::error::Error for NameError {}

/// Checks the name of a device, a credential or a sweep: 1 to 253 bytes, no white space, no control characters.
///
/// # Errors
/// Says what is wrong with the name.
pub fn check_name(name: &str) -> Result<(), NameError> {
    checked_name(name).map(drop)
}

fn checked_name(name: &str) -> Result<Arc<str>, NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    if name.len() > NAME_MAX {
        return Err(NameError::TooLong);
    }
    if name.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(NameError::BadCharacter);
    }
    Ok(name.into())
}

/// The key of a platform profile, such as `cisco_xr`: named like Netmiko's device types.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct PlatformKey(Arc<str>);

impl PlatformKey {
    /// A key as it stands in a profile; whether a profile of that key exists is the registry's matter.
    #[must_use]
    pub fn new(key: &str) -> Self {
        Self(key.into())
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PlatformKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which profile reads a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PlatformChoice {
    /// Found from the device's own answer, within the same login.
    Auto,
    /// Named by the inventory.
    Named(PlatformKey),
}

impl PlatformChoice {
    /// The named platform, or `auto`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Auto => "auto",
            Self::Named(key) => key.as_str(),
        }
    }
}

/// Where a device's SSH server listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Endpoint {
    /// A host name or an IP address; an IPv6 address stands here without brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// The way to a device.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Route {
    /// Straight from this host.
    #[default]
    Direct,
    /// Through jump hosts in a row, the nearest first; at least one.
    Via(Vec<Arc<JumpHost>>),
}

/// A server that is logged in to only to get further from there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct JumpHost {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// Where its SSH server listens, as seen from the one before it.
    pub endpoint: Endpoint,
    /// Which credential logs in to it.
    pub credential: CredentialId,
    /// How its host key is checked.
    pub host_keys: HostKeyPolicy,
    /// Which SSH algorithms it is offered.
    pub algorithms: SshAlgorithms,
    /// The limits of connecting and logging in to it.
    pub timeouts: Timeouts,
}

/// How a server's host key is checked (rule 15).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostKeyPolicy {
    /// The key must be in a known_hosts file already.
    Strict,
    /// The first key seen is pinned; another one later is refused.
    #[default]
    Learn,
    /// Any key is taken. Loud: for labs only.
    Off,
}

/// Which SSH algorithms are offered to a server (rule 17).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SshAlgorithms {
    /// Those that are held sound today.
    #[default]
    Modern,
    /// After those, the ones that old devices need: SHA-1, 1024-bit groups, DSA, CBC, 3DES. `legacy_ssh = true`.
    Legacy,
}

impl SshAlgorithms {
    /// The algorithms that are offered only under `legacy_ssh`, by their names in SSH's registry.
    pub const LEGACY: [&str; 11] = [
        "diffie-hellman-group14-sha1",
        "diffie-hellman-group-exchange-sha1",
        "diffie-hellman-group1-sha1",
        "ssh-rsa",
        "ssh-dss",
        "aes128-cbc",
        "aes192-cbc",
        "aes256-cbc",
        "3des-cbc",
        "hmac-sha1-etm@openssh.com",
        "hmac-sha1",
    ];
}

/// The time limits of one visit. Each inner one lies within `visit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Timeouts {
    /// The hard deadline of the whole visit; the socket is closed when it passes.
    pub visit: Duration,
    /// Name lookup and TCP connect.
    pub connect: Duration,
    /// Key exchange and authentication.
    pub login: Duration,
    /// One command, from sending it to the end of its output.
    pub command: Duration,
}

/// Key-value labels of a device: site, role and whatever else the inventory gives.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Labels(BTreeMap<String, String>);

impl Labels {
    /// The value of a label.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// All labels, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Sets a label.
    pub fn insert(&mut self, name: String, value: String) {
        self.0.insert(name, value);
    }
}

impl FromIterator<(String, String)> for Labels {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(pairs: T) -> Self {
        Self(pairs.into_iter().collect())
    }
}

/// One device, fully resolved: nothing is left to look up but secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its name.
    pub id: DeviceId,
    /// Where its SSH server listens.
    pub endpoint: Endpoint,
    /// The way there.
    pub route: Route,
    /// Which profile reads it.
    pub platform: PlatformChoice,
    /// Which credential logs in to it.
    pub credential: CredentialId,
    /// How its host key is checked.
    pub host_keys: HostKeyPolicy,
    /// Which SSH algorithms it is offered.
    pub algorithms: SshAlgorithms,
    /// The time limits of a visit.
    pub timeouts: Timeouts,
    /// Its labels.
    pub labels: Labels,
    /// What its inventory source knows it by, whatever its name is at present; absent where no source says.
    pub identity: Option<Arc<str>>,
}

/// Chooses devices: for each name, the value must be among those listed. Empty chooses all. The names `device` and
/// `platform` stand for the device's own name and configured platform.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selector(pub BTreeMap<String, Vec<String>>);

impl Selector {
    /// Whether the selector chooses this device.
    #[must_use]
    pub fn matches(&self, device: &Device) -> bool {
        self.chooses(&device.id, &device.platform, &device.labels)
    }

    /// Whether the selector chooses a device of this name, platform and labels: for one that isn't resolved yet.
    #[must_use]
    pub fn chooses(&self, id: &DeviceId, platform: &PlatformChoice, labels: &Labels) -> bool {
        self.0.iter().all(|(name, wanted)| {
            let value = match name.as_str() {
                "device" => Some(id.as_str()),
                "platform" => Some(platform.as_str()),
                label => labels.get(label),
            };
            value.is_some_and(|value| wanted.iter().any(|w| w == value))
        })
    }
}
