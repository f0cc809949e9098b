//! In which order devices are visited.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use super::RunId;
use crate::device::{Device, DeviceId};
use crate::hash::fnv1a;

/// Whether somebody waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Somebody asked: before everything that a schedule wants.
    Urgent,
    /// A schedule wants it.
    Usual,
}

/// A device that a run is to visit.
#[derive(Debug, Clone)]
pub struct Wish {
    /// The device.
    pub device: Arc<Device>,
    /// Not before this time.
    pub due: Duration,
    /// How long its visit will take, as far as is known: of those that are due together the slowest begin first, so
    /// that none of them is left alone at the end.
    pub expected: Duration,
    /// Whether it answered when it was last visited: it may be the canary of an open breaker.
    pub good: bool,
}

/// The place in the queue: urgent ones first, then by due time, then the slowest first, then by a stable hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Order {
    urgency: Urgency,
    pub(super) due: Duration,
    slowness: Reverse<u32>,
    place: u32,
    number: u64,
}

/// A wish in the queue.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) run: RunId,
    pub(super) order: Order,
    pub(super) device: Arc<Device>,
    pub(super) good: bool,
}

impl Job {
    pub(super) fn new(wish: Wish, run: RunId, urgency: Urgency, number: u64) -> Self {
        let order = Order {
            urgency,
            due: wish.due,
            slowness: Reverse(slowness(wish.expected)),
            place: place(&wish.device.id),
            number,
        };
        Self { run, order, device: wish.device, good: wish.good }
    }
}

/// The binary logarithm of the milliseconds: coarse, so that a few milliseconds more or less don't shuffle the order
/// from one sweep to the next.
fn slowness(expected: Duration) -> u32 {
    let milliseconds = u64::try_from(expected.as_millis()).unwrap_or(u64::MAX);
    u64::BITS - milliseconds.leading_zeros()
}

/// A device's place in every sweep: FNV-1a, the same in every release and on every machine, which the standard hasher
/// does not promise. By itself it gives names that differ in their last letters nearly the same place, so that a site's
/// switches would be visited at once; MurmurHash3's last step mixes what it gives.
fn place(device: &DeviceId) -> u32 {
    let hash = fnv1a(device.as_str().as_bytes());
    let mixed = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    // The upper 32 bits are all that is left.
    (mixed >> 32) as u32
}

/// When a device is due in a sweep whose starts are spread over that time: by its stable place, so that neither a restart
/// nor the alphabet sends the whole fleet, or one whole site, at once (rule 5).
#[must_use]
pub fn spread_over(spread: Duration, device: &DeviceId) -> Duration {
    spread.mul_f64(f64::from(place(device)) / (f64::from(u32::MAX) + 1.0))
}
