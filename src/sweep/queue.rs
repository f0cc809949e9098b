//! Who is visited next: devices in the order of their due times, in a lane for each credential, so that one whose budget
//! is used up holds up nobody else.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::gates::{Answer, Gates, Pass};
use super::workers::{Claim, Claims};
use crate::device::{CredentialId, Device, DeviceId};

/// A visit that may begin now.
pub(super) struct Ready {
    pub(super) device: Arc<Device>,
    pub(super) claim: Claim,
    pub(super) pass: Pass,
}

/// What the queue has for whoever asks.
pub(super) enum Next {
    /// A visit.
    Visit(Ready),
    /// A device that is not visited in this sweep, because its credential's breaker is open.
    Held(Arc<Device>),
    /// Nothing before that instant; `for_claims` says that another sweep may give a device back before.
    Wait { until: Instant, for_claims: bool },
}

/// Devices that wait for their visit.
pub(super) struct Queue {
    lanes: BTreeMap<CredentialId, Lane>,
    /// The devices that answered when they were last visited: canaries for an open breaker.
    good: HashSet<DeviceId>,
}

#[derive(Default)]
struct Lane {
    waiting: VecDeque<(Instant, Arc<Device>)>,
    /// Whether any of the lane's devices is known to be good. Where none is, each may be the canary.
    any_good: bool,
}

impl Queue {
    /// Orders devices by a stable hash and spreads their starts over `spread` from now on, so that neither a restart nor
    /// the alphabet sends the whole fleet, or one whole site, at once (rule 5).
    pub(super) fn spread(devices: Vec<Arc<Device>>, spread: Duration, good: HashSet<DeviceId>) -> Self {
        let now = Instant::now();
        let mut placed: Vec<_> = devices.into_iter().map(|device| (place(&device.id), device)).collect();
        placed.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.id.cmp(&b.1.id)));
        let due = |(place, device)| (now + spread.mul_f64(fraction(place)), device);
        Self::due(placed.into_iter().map(due).collect(), good)
    }

    /// Devices with the times at which they are due.
    pub(super) fn due(mut devices: Vec<(Instant, Arc<Device>)>, good: HashSet<DeviceId>) -> Self {
        devices.sort_by_key(|(due, _)| *due);
        let mut lanes: BTreeMap<CredentialId, Lane> = BTreeMap::new();
        for (due, device) in devices {
            let lane = lanes.entry(device.credential.clone()).or_default();
            lane.any_good |= good.contains(&device.id);
            lane.waiting.push_back((due, device));
        }
        Self { lanes, good }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    /// The first device that is due, that nobody else visits, and whose credential may log in now.
    pub(super) fn next(&mut self, gates: &Arc<Gates>, claims: &Arc<Claims>) -> Next {
        let now = Instant::now();
        let mut wait = now + super::gates::NEVER;
        let mut for_claims = false;
        let mut order: Vec<_> =
            self.lanes.iter().map(|(credential, lane)| (lane.due(), credential.clone())).collect();
        order.sort();
        for (due, credential) in order {
            if due > now {
                wait = wait.min(due);
                break;
            }
            let Some(lane) = self.lanes.get_mut(&credential) else { continue };
            let (index, claim) = match lane.claim_first(now, claims) {
                Ok(found) => found,
                Err(later) => {
                    for_claims = true;
                    wait = wait.min(later);
                    continue;
                }
            };
            let Some((_, device)) = lane.waiting.get(index) else { continue };
            let known_good = !lane.any_good || self.good.contains(&device.id);
            let next = match gates.ask(&credential, &device.id, known_good) {
                Answer::NotBefore(instant) => {
                    wait = wait.min(instant);
                    continue;
                }
                Answer::Held => None,
                Answer::Go(pass) => Some((claim, pass)),
            };
            let Some((_, device)) = lane.waiting.remove(index) else { continue };
            if lane.waiting.is_empty() {
                self.lanes.remove(&credential);
            }
            return match next {
                Some((claim, pass)) => Next::Visit(Ready { device, claim, pass }),
                None => Next::Held(device),
            };
        }
        Next::Wait { until: wait, for_claims }
    }

    /// Whether every device of some lane that is due now is being visited by another sweep.
    pub(super) fn is_blocked(&self, held: &HashSet<DeviceId>) -> bool {
        let now = Instant::now();
        self.lanes.values().any(|lane| {
            let mut due = lane.waiting.iter().take_while(|(due, _)| *due <= now).peekable();
            due.peek().is_some() && due.all(|(_, device)| held.contains(&device.id))
        })
    }

    /// When the first device is due.
    pub(super) fn first_due(&self) -> Option<Instant> {
        self.lanes.values().map(Lane::due).min()
    }
}

impl Lane {
    fn due(&self) -> Instant {
        self.waiting.front().map_or_else(|| Instant::now() + super::gates::NEVER, |(due, _)| *due)
    }

    /// Claims the first device that is due and free; else when the next one is due.
    fn claim_first(&self, now: Instant, claims: &Arc<Claims>) -> Result<(usize, Claim), Instant> {
        for (index, (due, device)) in self.waiting.iter().enumerate() {
            if *due > now {
                return Err(*due);
            }
            if let Some(claim) = claims.claim(&device.id) {
                return Ok((index, claim));
            }
        }
        Err(now + super::gates::NEVER)
    }
}

/// A device's place in every sweep: FNV-1a, the same in every release and on every machine, which the standard hasher
/// does not promise. By itself it gives names that differ in their last letters nearly the same place, so that a site's
/// switches would be visited at once; MurmurHash3's last step mixes what it gives.
fn place(device: &DeviceId) -> u32 {
    let hash = device.as_str().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mixed = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    // The upper 32 bits are all that is left.
    (mixed >> 32) as u32
}

/// Where in 0..1 a place lies.
fn fraction(place: u32) -> f64 {
    f64::from(place) / (f64::from(u32::MAX) + 1.0)
}
