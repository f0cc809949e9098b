//! What was known of a run's devices when it began. A fleet is large and its visits come in any order: a search among all
//! its devices' names for each would be most of what a sweep does about a visit.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::device::{Device, DeviceId};
use crate::dispatch::{Wish, spread_over};
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

    /// Every device once, spread over time by its stable place. Times are counted from the beginning.
    pub(super) fn first_visits(&self, devices: &[Arc<Device>], spread: Duration) -> Vec<Wish> {
        let wish = |device: &Arc<Device>| {
            let known = self.known(&device.id).map(|state| &state.known);
            let took = known.and_then(|known| known.visit.as_ref()).map(|visit| visit.took);
            Wish {
                device: Arc::clone(device),
                due: spread_over(spread, &device.id),
                // One that was never visited may be dead: it is taken for slow.
                expected: took.unwrap_or(Duration::MAX),
                good: known.is_some_and(|known| known.is_up() == Some(true)),
            }
        };
        devices.iter().map(wish).collect()
    }

    pub(super) fn known(&self, device: &DeviceId) -> Option<&Arc<DeviceState>> {
        self.0.get(device)
    }
}
