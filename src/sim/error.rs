//! Why a fleet can't be had.

use std::io;
use std::net::Ipv4Addr;

use crate::limits::TooFewFiles;

/// Why a fleet can't be had.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// An address would lie outside 127.0.0.0/8.
    #[error(
        "{devices} devices from {first} on don't fit into 127.0.0.0/8: the simulator listens on loopback only; begin at \
         an address such as 127.1.0.0"
    )]
    NotLoopback {
        /// The first address asked for.
        first: Ipv4Addr,
        /// How many devices.
        devices: usize,
    },
    /// The process may not open enough files.
    #[error("{devices} devices and {sessions} sessions at once are too many for this process: {limit}")]
    FileLimit {
        /// One file each.
        devices: usize,
        /// One file each.
        sessions: usize,
        /// The figure needed, and the one allowed.
        limit: TooFewFiles,
    },
    /// A device can't listen.
    #[error("can't listen on {address}:{port}: {error}; choose another --port or --listen")]
    Bind {
        /// Where.
        address: Ipv4Addr,
        /// At which port.
        port: u16,
        /// What the kernel says.
        error: io::Error,
    },
    /// No such fault.
    #[error(
        "unknown fault `{name}`: there are refuse, silent, reset, password, hang, drip, flood, garbage, not_ssh, host_key"
    )]
    UnknownFault {
        /// What was asked for.
        name: String,
    },
    /// No such key exchange.
    #[error("unknown key exchange `{name}`: there are curve25519 and dh-group14")]
    UnknownKeyExchange {
        /// What was asked for.
        name: String,
    },
    /// Shares that can't be.
    #[error(
        "fault shares are written `refuse=5%,silent=2%`, each between 0 and 100 %, together at most 100 %"
    )]
    FaultShares,
    /// No such platform.
    #[error(
        "unknown platform `{name}`: simulated are cisco_ios, cisco_xe, cisco_nxos, cisco_xr, juniper_junos, arista_eos, \
         frr, linux"
    )]
    UnknownPlatform {
        /// What was asked for.
        name: String,
    },
    /// No such device.
    #[error("the fleet has no device `{name}`")]
    UnknownDevice {
        /// What was asked for.
        name: String,
    },
    /// The key that may log in is no key.
    #[error("the authorized key is no OpenSSH public key: {detail}")]
    Key {
        /// Why not.
        detail: String,
    },
}
