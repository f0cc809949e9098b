//! What a fleet is to be.

use std::net::Ipv4Addr;
use std::str::FromStr;
use std::time::Duration;

use secrecy::SecretString;

use super::SimError;
use super::fault::Faults;
use super::platform::SimPlatform;

/// The user that a simulated device knows unless told otherwise.
pub const USERNAME: &str = "versweep";

/// That user's password. It protects nothing: the fleet listens on loopback only and its answers are made up.
pub const PASSWORD: &str = "versweep";

/// Which key exchange the devices offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeyExchange {
    /// Curve25519 and nothing else.
    #[default]
    Curve25519,
    /// Diffie-Hellman in the group of 2048 bits and nothing else, as old routers do.
    DhGroup14,
}

impl KeyExchange {
    /// The name used on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Curve25519 => "curve25519",
            Self::DhGroup14 => "dh-group14",
        }
    }
}

impl FromStr for KeyExchange {
    type Err = SimError;

    fn from_str(name: &str) -> Result<Self, SimError> {
        let found = [Self::Curve25519, Self::DhGroup14].into_iter().find(|one| one.as_str() == name);
        found.ok_or_else(|| SimError::UnknownKeyExchange { name: name.to_owned() })
    }
}

/// A fleet's description. The same description gives the same fleet, down to serial numbers and host keys.
#[derive(Debug, Clone)]
pub struct SimConfig {
    /// How many devices.
    pub devices: usize,
    /// The first address, in 127.0.0.0/8; addresses ending in .0 and .255 are left out.
    pub first_address: Ipv4Addr,
    /// The port of all devices; 0 for one that is free on all their addresses.
    pub port: u16,
    /// From a command to its answer.
    pub command_delay: Duration,
    /// From an authentication request to its reply.
    pub login_delay: Duration,
    /// How far delays vary, as a share between 0 and 1: 0.2 is 20 % either way.
    pub jitter: f64,
    /// What everything random comes from.
    pub seed: u64,
    /// How often one device of the fleet changes its version; never when absent.
    pub upgrade_every: Option<Duration>,
    /// Which share of the devices is ill, and how.
    pub faults: Faults,
    /// The platforms, dealt out in turn; all when empty.
    pub platforms: Vec<SimPlatform>,
    /// The one user.
    pub username: String,
    /// The user's password.
    pub password: SecretString,
    /// A public key in OpenSSH's one-line format that may log in as well.
    pub authorized_key: Option<String>,
    /// Which key exchange they offer.
    pub key_exchange: KeyExchange,
    /// How many sessions at once the file limit is checked for. A caller that sweeps from the same process doubles it,
    /// because both ends are its own.
    pub sessions: usize,
}

impl Default for SimConfig {
    fn default() -> Self {
        Self {
            devices: 20,
            first_address: Ipv4Addr::new(127, 1, 0, 0),
            port: 0,
            command_delay: Duration::ZERO,
            login_delay: Duration::ZERO,
            jitter: 0.0,
            seed: 1,
            upgrade_every: None,
            faults: Faults::none(),
            platforms: Vec::new(),
            username: USERNAME.to_owned(),
            password: SecretString::from(PASSWORD),
            authorized_key: None,
            key_exchange: KeyExchange::default(),
            sessions: 1024,
        }
    }
}
