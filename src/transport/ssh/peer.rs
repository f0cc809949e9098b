//! Whom a session is with: the device itself, or a jump host on the way to it.

use crate::device::{CredentialId, Device, Endpoint, HostKeyPolicy, JumpHost, SshAlgorithms, Timeouts};

/// What connecting and logging in need to know, of a device or of a jump host.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer<'a> {
    pub(super) endpoint: &'a Endpoint,
    pub(super) credential: &'a CredentialId,
    pub(super) host_keys: HostKeyPolicy,
    pub(super) algorithms: SshAlgorithms,
    pub(super) timeouts: Timeouts,
    pub(super) role: Role,
}

/// What a session with a peer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// One visit.
    Device,
    /// Tunnels of any number of visits.
    JumpHost,
}

impl<'a> From<&'a JumpHost> for Peer<'a> {
    fn from(host: &'a JumpHost) -> Self {
        Self {
            endpoint: &host.endpoint,
            credential: &host.credential,
            host_keys: host.host_keys,
            algorithms: host.algorithms,
            timeouts: host.timeouts,
            role: Role::JumpHost,
        }
    }
}

impl<'a> From<&'a Device> for Peer<'a> {
    fn from(device: &'a Device) -> Self {
        Self {
            endpoint: &device.endpoint,
            credential: &device.credential,
            host_keys: device.host_keys,
            algorithms: device.algorithms,
            timeouts: device.timeouts,
            role: Role::Device,
        }
    }
}
