//! The latest visits of devices, for runs that take another one's result. A device is found again under another name by
//! what its inventory source knows it by, and is not taken for another one that has its old name by now.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::device::{Device, DeviceId};

/// The last visit of a device.
#[derive(Debug, Clone)]
pub(super) struct Last {
    pub(super) ended: Duration,
    pub(super) sweep: Arc<str>,
    pub(super) answered: bool,
}

#[derive(Debug, Default)]
pub(super) struct Recent {
    by_identity: HashMap<Arc<str>, Last>,
    /// With whether the device had an identity: then another device may have its name by now.
    by_name: HashMap<DeviceId, (bool, Last)>,
}

impl Recent {
    /// The last visit of a device.
    pub(super) fn of(&self, device: &Device) -> Option<&Last> {
        let by_name = self.by_name.get(&device.id);
        let Some(identity) = &device.identity else { return by_name.map(|(_, last)| last) };
        // A source that gives no identity until now said of it what it could.
        let without = || by_name.filter(|(identified, _)| !identified).map(|(_, last)| last);
        self.by_identity.get(identity).or_else(without)
    }

    pub(super) fn keep(&mut self, device: &Device, last: Last) {
        if let Some(identity) = &device.identity {
            self.by_identity.insert(Arc::clone(identity), last.clone());
        }
        self.by_name.insert(device.id.clone(), (device.identity.is_some(), last));
    }

    pub(super) fn forget(&mut self, old: impl Fn(&Last) -> bool) {
        self.by_identity.retain(|_, last| !old(last));
        self.by_name.retain(|_, (_, last)| !old(last));
    }
}
