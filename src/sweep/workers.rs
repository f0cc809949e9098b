//! The cap on devices visited at once, shared by all sweeps, and the claim that keeps two of them off one device.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until};

use crate::device::DeviceId;

/// The worker cap. A permit is taken before a visit is spawned and given back when its result is handed over.
#[derive(Debug)]
pub struct Workers {
    permits: Arc<Semaphore>,
    limit: Mutex<usize>,
    /// Counted beside the semaphore: after a lower cap more can be busy than it has places.
    busy: Arc<AtomicUsize>,
}

impl Workers {
    /// At most `limit` visits at once.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { permits: Arc::new(Semaphore::new(limit)), limit: Mutex::new(limit), busy: Arc::default() }
    }

    /// Waits for a free worker.
    pub async fn take(&self) -> Permit {
        // The semaphore is never closed: it has no owner that could close it.
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok();
        self.busy.fetch_add(1, Ordering::Relaxed);
        Permit { _permit: permit, busy: Arc::clone(&self.busy) }
    }

    /// The cap.
    #[must_use]
    pub fn limit(&self) -> usize {
        *self.limit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Workers that are busy now; for a while after a lower cap, more than it.
    #[must_use]
    pub fn busy(&self) -> usize {
        self.busy.load(Ordering::Relaxed)
    }

    /// Changes the cap at a reload. A lower cap comes into force as visits end; none is broken off.
    pub fn resize(&self, limit: usize) {
        let mut current = self.limit.lock().unwrap_or_else(PoisonError::into_inner);
        if limit > *current {
            self.permits.add_permits(limit - *current);
        } else if limit < *current {
            let surplus = *current - limit;
            let forgotten = self.permits.forget_permits(surplus);
            self.forget_as_visits_end(surplus - forgotten);
        }
        *current = limit;
    }

    fn forget_as_visits_end(&self, surplus: usize) {
        for _ in 0..surplus {
            let permits = Arc::clone(&self.permits);
            tokio::spawn(async move {
                if let Ok(permit) = permits.acquire_owned().await {
                    permit.forget();
                }
            });
        }
    }
}

/// A worker's place. Given back when dropped.
#[derive(Debug)]
pub struct Permit {
    _permit: Option<OwnedSemaphorePermit>,
    busy: Arc<AtomicUsize>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The least time from one visit to a device to the next: IOS XR takes one new session a second by default and refuses
/// another one, and a line that was just closed isn't free at once. Only sweeps that overlap come near it.
const BETWEEN_VISITS: Duration = Duration::from_secs(1);

/// Which devices are being visited: never two sessions on one device at once (rule 1).
#[derive(Debug, Default)]
pub struct Claims {
    held: Mutex<HashSet<DeviceId>>,
    released: Notify,
}

impl Claims {
    /// Claims a device, unless someone visits it now.
    pub fn claim(self: &Arc<Self>, device: &DeviceId) -> Option<Claim> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let claim = || Claim { claims: Arc::clone(self), device: device.clone(), taken: Instant::now() };
        held.insert(device.clone()).then(claim)
    }

    fn release(&self, device: &DeviceId) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).remove(device);
        self.released.notify_waiters();
    }

    /// Waits until a claim is given back; `while_held` is asked after the waiting has begun, so that a release in
    /// between isn't missed.
    pub async fn released(&self, still_held: impl Fn(&HashSet<DeviceId>) -> bool) {
        let released = self.released.notified();
        tokio::pin!(released);
        released.as_mut().enable();
        if still_held(&self.held.lock().unwrap_or_else(PoisonError::into_inner)) {
            released.await;
        }
    }
}

/// The exclusive right to visit a device. Given back when dropped, but not before [`BETWEEN_VISITS`] has passed.
#[derive(Debug)]
pub struct Claim {
    claims: Arc<Claims>,
    device: DeviceId,
    taken: Instant,
}

impl Drop for Claim {
    fn drop(&mut self) {
        let (claims, device) = (Arc::clone(&self.claims), self.device.clone());
        let free = self.taken + BETWEEN_VISITS;
        match Handle::try_current() {
            Ok(runtime) if free > Instant::now() => {
                runtime.spawn(async move {
                    sleep_until(free).await;
                    claims.release(&device);
                });
            }
            _ => claims.release(&device),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_cap_grows_at_once_and_shrinks_as_visits_end() {
        let workers = Workers::new(2);
        let (first, second) = (workers.take().await, workers.take().await);
        assert_eq!((workers.limit(), workers.busy()), (2, 2));
        workers.resize(3);
        let third = workers.take().await;
        workers.resize(1);
        assert_eq!(workers.limit(), 1);
        drop(first);
        drop(second);
        // The two surplus places are taken out of use by tasks that wait in front of any later visit.
        tokio::task::yield_now().await;
        assert_eq!(workers.permits.available_permits(), 0);
        drop(third);
        let _last = workers.take().await;
        assert_eq!(workers.permits.available_permits(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_device_is_claimed_once_and_once_a_second() {
        let claims = Arc::new(Claims::default());
        let device = DeviceId::new("r1").expect("a name");
        let claim = claims.claim(&device).expect("free");
        assert!(claims.claim(&device).is_none());
        drop(claim);
        tokio::time::sleep(BETWEEN_VISITS / 2).await;
        assert!(claims.claim(&device).is_none(), "a second has not passed");
        tokio::time::sleep(BETWEEN_VISITS).await;
        let claim = claims.claim(&device).expect("free again");
        tokio::time::sleep(BETWEEN_VISITS * 2).await;
        drop(claim);
        assert!(claims.claim(&device).is_some(), "after a long visit at once");
    }
}
