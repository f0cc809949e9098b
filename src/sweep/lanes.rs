//! Where visits run. A visit is two tasks, its own and russh's, that hand packets to each other; on a runtime of one
//! thread neither ever wakes another core for that. So visits are dealt out to as many such runtimes as there are cores,
//! each of which keeps its sockets, timers and memory to itself, while everything else stays on the program's runtime.

use std::future::Future;
use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, JoinSet};

/// Runtimes of one thread each; without any, visits run on the caller's runtime. The threads end with the last copy.
#[derive(Debug, Clone, Default)]
pub struct Lanes {
    lanes: Arc<[Lane]>,
    next: Arc<AtomicUsize>,
}

#[derive(Debug)]
pub(super) struct Lane {
    runtime: Handle,
    /// Dropping it ends the thread, and with it all that still runs there.
    _open: oneshot::Sender<()>,
}

impl Lanes {
    /// Starts that many.
    ///
    /// # Errors
    /// When the system has no room for a thread or for what its runtime waits by.
    pub fn start(count: NonZeroUsize) -> io::Result<Self> {
        let lanes = (0..count.get()).map(Lane::start).collect::<io::Result<Vec<_>>>()?;
        Ok(Self { lanes: lanes.into(), next: Arc::default() })
    }

    /// As many as there are cores.
    ///
    /// # Errors
    /// As [`Lanes::start`].
    pub fn one_per_core() -> io::Result<Self> {
        Self::start(thread::available_parallelism().unwrap_or(NonZeroUsize::MIN))
    }

    /// How many tasks live there.
    #[must_use]
    pub fn tasks(&self) -> usize {
        self.lanes.iter().map(|lane| lane.runtime.metrics().num_alive_tasks()).sum()
    }

    /// Whether visits run on threads of their own.
    pub(super) fn are_there(&self) -> bool {
        !self.lanes.is_empty()
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.lanes.len()
    }

    /// The next one in turn.
    pub(super) fn next(&self) -> Option<&Lane> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        self.lanes.get(turn.checked_rem(self.lanes.len())?)
    }
}

impl Lane {
    fn start(number: usize) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (open, closed) = oneshot::channel::<()>();
        thread::Builder::new().name(format!("visits-{number}")).spawn(move || {
            // An error is the sender's end, which is what is waited for.
            let _ = runtime.block_on(closed);
            // Name lookups that are left are not waited for.
            runtime.shutdown_background();
        })?;
        Ok(Self { runtime: handle, _open: open })
    }

    /// Spawns a visit there.
    pub(super) fn spawn<T: Send + 'static>(
        &self,
        tasks: &mut JoinSet<T>,
        visit: impl Future<Output = T> + Send + 'static,
    ) -> AbortHandle {
        tasks.spawn_on(visit, &self.runtime)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> String {
        thread::current().name().unwrap_or_default().to_owned()
    }

    #[tokio::test]
    async fn visits_are_dealt_out_in_turn_and_end_with_their_lanes() {
        let lanes = Lanes::start(NonZeroUsize::new(2).unwrap()).unwrap();
        let mut tasks = JoinSet::new();
        for _ in 0..4 {
            lanes.next().unwrap().spawn(&mut tasks, async { name() });
        }
        let mut names = tasks.join_all().await;
        names.sort();
        assert_eq!(names, ["visits-0", "visits-0", "visits-1", "visits-1"]);

        let mut tasks = JoinSet::new();
        lanes.next().unwrap().spawn(&mut tasks, std::future::pending::<()>());
        drop(lanes);
        assert!(tasks.join_next().await.unwrap().unwrap_err().is_cancelled());
    }
}
