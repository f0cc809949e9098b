//! Which devices are being visited: never two sessions on one device at once (rule 1). Who wants a device that is taken
//! waits here for it. A device is the same under the same name, and under any name where its inventory source knows it by
//! the same identity: runs that overlap may know it by the names of before and after a renaming.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::RunId;
use super::order::Job;
use crate::device::{Device, DeviceId};

/// The least time from one visit to a device to the next: IOS XR takes one new session a second by default and refuses
/// another one, and a line that was just closed isn't free at once. Only runs that overlap come near it.
pub(super) const BETWEEN_VISITS: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct Claims {
    /// By the name that the visit began with.
    held: HashMap<DeviceId, Claim>,
    /// The same names by what their sources know the devices by.
    identities: HashMap<Arc<str>, DeviceId>,
    /// The visits that ended within [`BETWEEN_VISITS`], by the time at which their device is free.
    freeing: BTreeSet<(Duration, DeviceId)>,
    waiting: usize,
}

#[derive(Debug)]
struct Claim {
    taken: Duration,
    identity: Option<Arc<str>>,
    waiting: Vec<Job>,
}

impl Claims {
    pub(super) fn is_held(&self, device: &Device) -> bool {
        self.holder(device).is_some()
    }

    /// The name that the visit began with which holds this device.
    fn holder(&self, device: &Device) -> Option<DeviceId> {
        if self.held.contains_key(&device.id) {
            return Some(device.id.clone());
        }
        self.identities.get(device.identity.as_ref()?).cloned()
    }

    /// Takes a device that is not held.
    pub(super) fn take(&mut self, device: &Device, now: Duration) {
        let identity = device.identity.clone();
        if let Some(identity) = &identity {
            self.identities.insert(Arc::clone(identity), device.id.clone());
        }
        self.held.insert(device.id.clone(), Claim { taken: now, identity, waiting: Vec::new() });
    }

    /// The visit begins only now.
    pub(super) fn begin(&mut self, device: &DeviceId, now: Duration) {
        if let Some(claim) = self.held.get_mut(device) {
            claim.taken = now;
        }
    }

    /// Lets a job wait until its device is free; gives it back when it is.
    pub(super) fn wait(&mut self, job: Job) -> Option<Job> {
        match self.holder(&job.device).and_then(|holder| self.held.get_mut(&holder)) {
            Some(claim) => {
                claim.waiting.push(job);
                self.waiting += 1;
                None
            }
            None => Some(job),
        }
    }

    /// The visit has ended; gives those that waited for its device, if that is free at once.
    pub(super) fn end(&mut self, device: &DeviceId, now: Duration) -> Vec<Job> {
        let Some(claim) = self.held.get(device) else { return Vec::new() };
        let free = claim.taken + BETWEEN_VISITS;
        if free > now {
            self.freeing.insert((free, device.clone()));
            return Vec::new();
        }
        self.free(device)
    }

    /// The device was not visited after all.
    pub(super) fn free(&mut self, device: &DeviceId) -> Vec<Job> {
        let Some(claim) = self.held.remove(device) else { return Vec::new() };
        if let Some(identity) = &claim.identity {
            self.identities.remove(identity);
        }
        self.waiting -= claim.waiting.len();
        claim.waiting
    }

    /// Those whose devices are free by now.
    pub(super) fn freed(&mut self, now: Duration) -> Vec<Job> {
        let mut freed = Vec::new();
        while self.next().is_some_and(|next| next <= now) {
            if let Some((_, device)) = self.freeing.pop_first() {
                freed.extend(self.free(&device));
            }
        }
        freed
    }

    /// When the next device is free.
    pub(super) fn next(&self) -> Option<Duration> {
        self.freeing.first().map(|(free, _)| *free)
    }

    /// How many jobs wait for a device.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Forgets the jobs of a run.
    pub(super) fn close(&mut self, run: RunId) {
        for claim in self.held.values_mut() {
            claim.waiting.retain(|job| job.run != run);
        }
        self.waiting = self.held.values().map(|claim| claim.waiting.len()).sum();
    }
}
