//! Devices that go by another name than before: found again by what their inventory source knows them by.
//!
//! A name is where a device's past is kept, and a stable identity is what the past moves along with. It moves only on
//! plain evidence: the identity stands under another name now, and the old name is gone or is another identity's.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::device::{Device, DeviceId};
use crate::known::Known;
use crate::store::Renaming;

/// What a new inventory means for the names of the devices that are known.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// What moves, all at once: two devices may have exchanged their names.
    pub(super) moved: Vec<Renaming>,
    /// What makes room: its name is another device's now, and its own source no longer names it.
    pub(super) aside: Vec<Renaming>,
    /// Names whose identity is another device's by now, and whose past stays where it is.
    pub(super) lost: Vec<DeviceId>,
}

impl Names {
    /// Compares what is known, by the names of before, with a new inventory.
    pub(super) fn of(known: &HashMap<DeviceId, Known>, devices: &[Arc<Device>]) -> Self {
        let by_identity: HashMap<&str, &DeviceId> =
            known.iter().filter_map(|(name, known)| Some((known.identity.as_deref()?, name))).collect();
        let mut names = Self::default();
        if by_identity.is_empty() {
            return names;
        }
        let named: HashMap<&DeviceId, Option<&str>> =
            devices.iter().map(|device| (&device.id, device.identity.as_deref())).collect();
        for device in devices {
            let Some(identity) = &device.identity else { continue };
            let Some(&before) = by_identity.get(&**identity).filter(|before| ***before != device.id) else {
                continue;
            };
            // Another source, which knows no identities, calls a device by the old name or by the new one: which of the
            // two is the one of before, nobody can say.
            let still_there = named.get(before).is_some_and(Option::is_none);
            let there_already = known
                .get(&device.id)
                .is_some_and(|held| held.removed.is_none() && held.identity.is_none() && is_remembered(held));
            if still_there || there_already {
                names.lost.push(before.clone());
            } else {
                names.moved.push(Renaming::new(before, &device.id));
            }
        }
        names.make_room(known, &named);
        names
    }

    /// What is known under a name that another device takes is kept under a name that nobody has.
    fn make_room(&mut self, known: &HashMap<DeviceId, Known>, named: &HashMap<&DeviceId, Option<&str>>) {
        let leaving: HashSet<&DeviceId> = self.moved.iter().map(|moved| &moved.from).collect();
        let taken = |name: &DeviceId| known.contains_key(name) || named.contains_key(name);
        for moved in &self.moved {
            let held = known.get(&moved.to).filter(|_| !leaving.contains(&moved.to));
            if !held.is_some_and(is_remembered) {
                continue;
            }
            let free = (1_u64..).find_map(|number| former(&moved.to, number).filter(|name| !taken(name)));
            self.aside.extend(free.map(|free| Renaming::new(&moved.to, &free)));
        }
    }
}

/// Whether it was ever visited: of others nothing is kept.
pub(super) fn is_remembered(known: &Known) -> bool {
    known.visit.is_some() || known.facts.is_some()
}

/// The name of a device whose own name is another's now. A name that is as long as names may be is cut short.
fn former(name: &DeviceId, number: u64) -> Option<DeviceId> {
    let ending = format!("~{number}");
    let room = crate::device::NAME_MAX - ending.len();
    let kept = name.as_str().floor_char_boundary(room);
    DeviceId::new(&format!("{}{ending}", &name.as_str()[..kept])).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_the_greatest_length_has_room_for_the_ending() {
        let longest = DeviceId::new(&"ü".repeat(126)).unwrap();
        let former = former(&longest, 12).unwrap();
        assert!(former.as_str().ends_with("ü~12") && former.as_str().len() <= crate::device::NAME_MAX);
    }
}
