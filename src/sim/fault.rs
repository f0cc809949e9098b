//! The ways a simulated device can be ill.

use std::fmt;
use std::str::FromStr;

use super::SimError;

/// One illness. A device has at most one at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Nothing listens: the connection is refused.
    Refuse,
    /// Requests for a connection get no answer at all, as from a host that is switched off.
    Drop,
    /// Accepts the connection and never says a word.
    Silent,
    /// Sends its identification and then nothing.
    Stall,
    /// Resets the connection in the middle of the key exchange.
    Reset,
    /// Rejects every password and key.
    Password,
    /// Accepts the login and then never answers anything.
    Hang,
    /// Takes a command and never answers it.
    Mute,
    /// Answers one byte a second.
    Drip,
    /// Answers without end.
    Flood,
    /// Answers with bytes that mean nothing.
    Garbage,
    /// Something listens, but it is no SSH server.
    NotSsh,
    /// Shows another host key: after its first login when the fault was there from the start, at once when it was
    /// set at run time.
    HostKey,
}

impl Fault {
    /// All faults, in the order of the documentation.
    pub const ALL: [Self; 13] = [
        Self::Refuse,
        Self::Drop,
        Self::Silent,
        Self::Stall,
        Self::Reset,
        Self::Password,
        Self::Hang,
        Self::Mute,
        Self::Drip,
        Self::Flood,
        Self::Garbage,
        Self::NotSsh,
        Self::HostKey,
    ];

    /// The name used on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Drop => "drop",
            Self::Silent => "silent",
            Self::Stall => "stall",
            Self::Reset => "reset",
            Self::Password => "password",
            Self::Hang => "hang",
            Self::Mute => "mute",
            Self::Drip => "drip",
            Self::Flood => "flood",
            Self::Garbage => "garbage",
            Self::NotSsh => "not_ssh",
            Self::HostKey => "host_key",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Fault {
    type Err = SimError;

    fn from_str(name: &str) -> Result<Self, SimError> {
        Self::ALL
            .into_iter()
            .find(|fault| fault.as_str() == name)
            .ok_or_else(|| SimError::UnknownFault { name: name.to_owned() })
    }
}

/// Which share of a fleet has which fault; the shares add up to the whole at most.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Faults(Vec<(Fault, f64)>);

impl Faults {
    /// Every device is well.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Checks shares between 0 and 1.
    ///
    /// # Errors
    /// A share out of range, or shares that add up to more than the whole fleet.
    pub fn new(shares: Vec<(Fault, f64)>) -> Result<Self, SimError> {
        let whole: f64 = shares.iter().map(|(_, share)| share).sum();
        let each_fits = shares.iter().all(|(_, share)| (0.0..=1.0).contains(share));
        // A hair above one, because ten times 10 % is not quite 1 in binary.
        if each_fits && whole <= 1.0 + 1e-9 { Ok(Self(shares)) } else { Err(SimError::FaultShares) }
    }

    /// The faults of a fleet with this many devices and this seed, in the order of their addresses.
    #[must_use]
    pub fn of_fleet(&self, devices: usize, seed: u64) -> Vec<Option<Fault>> {
        self.assign(devices, &mut fastrand::Rng::with_seed(seed))
    }

    /// The faults of `devices` devices: each share is rounded to whole devices, and the seed alone says which they are.
    fn assign(&self, devices: usize, rng: &mut fastrand::Rng) -> Vec<Option<Fault>> {
        let mut faults: Vec<Option<Fault>> = self
            .0
            .iter()
            .flat_map(|(fault, share)| std::iter::repeat_n(Some(*fault), share_of(devices, *share)))
            .collect();
        faults.resize(devices, None);
        rng.shuffle(&mut faults);
        faults
    }
}

impl FromStr for Faults {
    type Err = SimError;

    /// Reads `refuse=5%,silent=0.02`.
    fn from_str(text: &str) -> Result<Self, SimError> {
        let shares = text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(|part| {
                let (name, share) = part.split_once('=').ok_or(SimError::FaultShares)?;
                Ok((name.trim().parse()?, parse_share(share)?))
            })
            .collect::<Result<_, SimError>>()?;
        Self::new(shares)
    }
}

/// Reads a share: `5%` or `0.05`.
///
/// # Errors
/// Text that is no number.
pub fn parse_share(text: &str) -> Result<f64, SimError> {
    let text = text.trim();
    let (number, scale) = text.strip_suffix('%').map_or((text, 1.0), |percent| (percent, 100.0));
    number.trim().parse::<f64>().map(|value| value / scale).map_err(|_| SimError::FaultShares)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "fleets are far below 2^52 devices, and shares are known to lie between 0 and 1"
)]
fn share_of(devices: usize, share: f64) -> usize {
    (devices as f64 * share).round() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_become_whole_devices_and_the_seed_says_which() {
        let faults: Faults = "refuse=5%, silent=0.02".parse().unwrap();
        let first = faults.assign(200, &mut fastrand::Rng::with_seed(7));
        assert_eq!(first, faults.assign(200, &mut fastrand::Rng::with_seed(7)));
        assert_ne!(first, faults.assign(200, &mut fastrand::Rng::with_seed(8)));
        let count = |wanted| first.iter().filter(|fault| **fault == Some(wanted)).count();
        assert_eq!((count(Fault::Refuse), count(Fault::Silent), first.len()), (10, 4, 200));
    }

    #[test]
    fn every_fault_has_a_name_that_reads_back() {
        for fault in Fault::ALL {
            assert_eq!(fault.as_str().parse::<Fault>().unwrap(), fault);
        }
    }

    #[test]
    fn more_than_the_whole_and_unknown_names_are_refused() {
        for bad in ["refuse=60%,silent=50%", "refuse=-1%", "refuse", "refuse=x", "broken=5%"] {
            assert!(bad.parse::<Faults>().is_err(), "{bad}");
        }
        assert_eq!("".parse::<Faults>().unwrap(), Faults::none());
    }
}
