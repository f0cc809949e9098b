//! What is known of every device, those of the inventory ready to be shown.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::clock::Timestamp;
use crate::device::{Device, DeviceId};
use crate::known::{DeviceState, Known, PolicyStanding};
use crate::policy::Judged;
use crate::store::Renaming;

use super::names::{Names, is_remembered};

/// The devices of the inventory with what is known of them, and what is known of all others.
pub(super) struct Fleet {
    /// Sorted by name, as the snapshot wants them.
    shown: Vec<Arc<DeviceState>>,
    /// Where a device stands in `shown`.
    places: HashMap<DeviceId, usize>,
    /// Known from the store or from before, not in the inventory now: they come back with what was known.
    absent: HashMap<DeviceId, Known>,
    /// The names of devices by what their sources know them by.
    identities: HashMap<Arc<str>, DeviceId>,
}

/// What a new inventory means for the devices that are known.
#[derive(Debug, Default)]
pub(super) struct Moves {
    /// Devices that go by other names from now on.
    pub(super) renamed: Vec<Renaming>,
    /// Devices whose names are others' from now on.
    pub(super) aside: Vec<Renaming>,
    /// Devices that their sources know by something else than before.
    pub(super) identities: Vec<(DeviceId, Option<Arc<str>>)>,
    pub(super) removed: Vec<DeviceId>,
    /// With the time of the removal.
    pub(super) returned: Vec<(DeviceId, Timestamp)>,
}

impl Fleet {
    pub(super) fn new(known: HashMap<DeviceId, Known>) -> Self {
        Self { shown: Vec::new(), places: HashMap::new(), absent: known, identities: HashMap::new() }
    }

    /// Takes a new inventory and gives the devices that are back, of those that were ever visited, sorted by name.
    pub(super) fn set_inventory(&mut self, mut devices: Vec<Arc<Device>>) -> Moves {
        for state in std::mem::take(&mut self.shown) {
            self.absent.insert(state.device.id.clone(), state.known.clone());
        }
        devices.sort_by(|a, b| a.id.cmp(&b.id));
        let mut moves = self.rename(&devices);
        self.shown = devices
            .into_iter()
            .map(|device| {
                let mut known = self.absent.remove(&device.id).unwrap_or_default();
                // One that is in the inventory by a source without identities may be found again all the same.
                if device.identity.is_some() && known.identity != device.identity {
                    known.identity.clone_from(&device.identity);
                    if is_remembered(&known) {
                        moves.identities.push((device.id.clone(), known.identity.clone()));
                    }
                }
                if let Some(since) = known.removed.take() {
                    moves.returned.push((device.id.clone(), since));
                }
                Arc::new(DeviceState { device, known })
            })
            .collect();
        self.places =
            self.shown.iter().enumerate().map(|(at, state)| (state.device.id.clone(), at)).collect();
        // A device that was never visited has nothing to come back with: how it stands by the policies is no memory of it.
        self.absent.retain(|_, known| is_remembered(known));
        self.identities = self.identified();
        moves
    }

    /// Moves what is known along with devices that have other names in a new inventory.
    fn rename(&mut self, devices: &[Arc<Device>]) -> Moves {
        let Names { moved, aside, lost } = Names::of(&self.absent, devices);
        let leaving: Vec<_> = moved
            .iter()
            .chain(&aside)
            .filter_map(|renaming| Some((renaming.to.clone(), self.absent.remove(&renaming.from)?)))
            .collect();
        self.absent.extend(leaving);
        let mut moves = Moves { aside, ..Moves::default() };
        for name in lost {
            if let Some(known) = self.absent.get_mut(&name) {
                known.identity = None;
                moves.identities.push((name, None));
            }
        }
        let remembered = |renaming: &Renaming| self.absent.get(&renaming.to).is_some_and(is_remembered);
        moves.renamed = moved.into_iter().filter(remembered).collect();
        moves
    }

    fn identified(&self) -> HashMap<Arc<str>, DeviceId> {
        let shown = self.shown.iter().map(|state| (&state.device.id, &state.known));
        let named =
            |(name, known): (&DeviceId, &Known)| Some((Arc::clone(known.identity.as_ref()?), name.clone()));
        shown.chain(&self.absent).filter_map(named).collect()
    }

    /// The name by now of a device that was visited by this name; nothing where the name is another device's by now, and
    /// the one that was visited is not known any more.
    pub(super) fn name_now(&self, device: &DeviceId, identity: Option<&Arc<str>>) -> Option<DeviceId> {
        let Some(identity) = identity else { return Some(device.clone()) };
        if let Some(name) = self.identities.get(identity) {
            return Some(name.clone());
        }
        let place = self.places.get(device).and_then(|&at| self.shown.get(at));
        place.is_none_or(|state| state.known.identity.is_none()).then(|| device.clone())
    }

    /// Takes it that what the inventory doesn't have is gone, but for those that are withheld, and gives the devices that
    /// have left it, sorted by name.
    pub(super) fn miss(&mut self, now: Timestamp, withheld: &HashSet<DeviceId>) -> Vec<DeviceId> {
        let mut removed = Vec::new();
        for (device, known) in &mut self.absent {
            if known.removed.is_none() && !withheld.contains(device) {
                known.removed = Some(now);
                removed.push(device.clone());
            }
        }
        removed.sort_unstable();
        removed
    }

    /// What is known of a device; nothing of one never heard of.
    pub(super) fn known(&self, device: &DeviceId) -> Known {
        match self.places.get(device) {
            Some(&at) => self.shown[at].known.clone(),
            None => self.absent.get(device).cloned().unwrap_or_default(),
        }
    }

    /// Replaces what is known of a device.
    pub(super) fn set_known(&mut self, device: &DeviceId, known: Known) {
        match self.places.get(device) {
            Some(&at) => {
                let device = Arc::clone(&self.shown[at].device);
                self.shown[at] = Arc::new(DeviceState { device, known });
            }
            None => {
                self.absent.insert(device.clone(), known);
            }
        }
    }

    /// The device, if the inventory has it.
    pub(super) fn device(&self, device: &DeviceId) -> Option<&Arc<Device>> {
        self.places.get(device).map(|&at| &self.shown[at].device)
    }

    /// Judges all devices of the inventory by the policies, and gives those whose results people may have to hear of.
    pub(super) fn judge(
        &mut self,
        mut judge: impl FnMut(&Device, &Known) -> Judged,
    ) -> Vec<(DeviceId, Judged)> {
        let mut moved = Vec::new();
        for state in &mut self.shown {
            let judged = judge(&state.device, &state.known);
            let before = &state.known.standings;
            if judged.standings == *before {
                continue;
            }
            let held = |standings: &[PolicyStanding]| -> Vec<_> {
                standings.iter().map(|standing| (standing.policy.name.clone(), standing.held)).collect()
            };
            let told = held(before) != held(&judged.standings);
            let known = Known { standings: judged.standings.clone(), ..state.known.clone() };
            *state = Arc::new(DeviceState { device: Arc::clone(&state.device), known });
            if told {
                moved.push((state.device.id.clone(), judged));
            }
        }
        moved
    }

    /// The devices of the inventory: as many pointers, no copies of what they point at.
    pub(super) fn shown(&self) -> Vec<Arc<DeviceState>> {
        self.shown.clone()
    }
}
