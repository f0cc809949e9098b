//! What was known of a run's devices when it began. A fleet is large and its visits come in any order: a search among all
//! its devices' names for each would be most of what a sweep does about a visit.

use std::collections::HashMap;
use std::sync::Arc;

use crate::device::{Device, DeviceId};
use crate::known::{DeviceState, Snapshot};

/// By device.
#[derive(Debug)]
pub(super) struct Before(HashMap<DeviceId, Arc<DeviceState>>);

impl Before {
    /// What the snapshot says of these.
    pub(super) fn of(snapshot: &Snapshot, devices: &[Arc<Device>]) -> Self {
        let known = devices.iter().filter_map(|device| snapshot.device(device.id.as_str()));
        Self(known.map(|state| (state.device.id.clone(), Arc::clone(state))).collect())
    }

    pub(super) fn known(&self, device: &DeviceId) -> Option<&Arc<DeviceState>> {
        self.0.get(device)
    }
}
