//! Whom a session is with: the device itself, or a jump host on the way to it.

use crate::device::{CredentialId, Device, Endpoint, HostKeyPolicy, SshAlgorithms, Timeouts};

/// What connecting and logging in need to know, of a device or of a jump host.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer<'a> {
    pub(super) endpoint: &'a Endpoint,
    pub(super) credential: &'a CredentialId,
    pub(super) host_keys: HostKeyPolicy,
    pub(super) algorithms: SshAlgorithms,
    pub(super) timeouts: Timeouts,
}

impl<'a> From<&'a Device> for Peer<'a> {
    fn from(device: &'a Device) -> Self {
        Self {
            endpoint: &device.endpoint,
            credential: &device.credential,
            host_keys: device.host_keys,
            algorithms: device.algorithms,
            timeouts: device.timeouts,
        }
    }
}
