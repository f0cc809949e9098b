//! A visit, and what this process holds before, during and after it.

use std::fs;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, timeout};
use versweep::device::{Device, Timeouts};
use versweep::dialogue::Errand;
use versweep::failure::FailureKind;
use versweep::transport::ssh::{SshSettings, SshTransport};
use versweep::transport::{Trace, Transport, TransportError};

use crate::devices::{PASSWORD, credential, device_at, settings};

/// What a visit may take of memory beyond what was there, whatever the device says: its buffers, the output's cap several
/// times over, and the server's own work in this process.
const GROWTH_MAX: u64 = 12 * 1024 * 1024;

/// The most that one command may print in these tests.
pub(crate) const OUTPUT_MAX: usize = 256 * 1024;

/// How long after a visit's end its task and socket may take to go.
const AFTERMATH: Duration = Duration::from_secs(10);

/// Limits that are meant to be run into. The visit's own is the last to strike.
pub(crate) const HASTY: Timeouts = Timeouts {
    visit: Duration::from_secs(5),
    connect: Duration::from_secs(5),
    login: Duration::from_millis(400),
    command: Duration::from_millis(400),
};

/// A row's turn, with a runtime for its server.
pub(crate) struct Turn {
    pub(crate) servers: Runtime,
    _alone: MutexGuard<'static, ()>,
}

impl Turn {
    pub(crate) fn take() -> Self {
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        Self { servers: runtime(), _alone: alone }
    }

    /// Visits that server with limits that a busy machine doesn't run into.
    pub(crate) fn visit(&self, address: SocketAddr, errand: &Errand) -> Result<Vec<String>, TransportError> {
        self.visit_device(&device_at(address), errand)
    }

    /// The same with limits that are meant to be run into.
    pub(crate) fn visit_hastily(
        &self,
        address: SocketAddr,
        errand: &Errand,
    ) -> Result<Vec<String>, TransportError> {
        self.visit_device(&Device { timeouts: HASTY, ..device_at(address) }, errand)
    }

    /// As the prober does: the visit's deadline drops it wherever it is.
    pub(crate) fn visit_device(
        &self,
        device: &Device,
        errand: &Errand,
    ) -> Result<Vec<String>, TransportError> {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(credential(Some(PASSWORD), None), folder.path());
        let transport = SshTransport::new(SshSettings { output_limit: OUTPUT_MAX, ..settings }).unwrap();
        let runtime = runtime();
        // The first use of the runtime opens what it waits by.
        runtime.block_on(tokio::task::yield_now());
        let (sockets, resident) = (sockets(), begin_peak());
        let began = Instant::now();
        let outcome = runtime.block_on(async {
            let mut trace = Trace::begin();
            timeout(device.timeouts.visit, transport.visit(device, errand, &mut trace)).await
        });
        let took = began.elapsed();
        assert!(took < device.timeouts.visit + Duration::from_secs(5), "it ended after {took:?}");
        wait_until("no task is left", || runtime.metrics().num_alive_tasks() == 0);
        wait_until("no socket is left", || self::sockets() <= sockets);
        let growth = memory("VmHWM:").saturating_sub(resident);
        assert!(growth < GROWTH_MAX, "it took {growth} bytes of memory");
        outcome.unwrap_or_else(|_| {
            let detail = "dropped at its deadline".to_owned();
            Err(TransportError::new(FailureKind::Deadline, versweep::failure::Stage::Command, detail))
        })
    }
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

fn wait_until(what: &str, done: impl Fn() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < AFTERMATH, "{what} should hold by now");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// How many sockets this process has.
fn sockets() -> usize {
    let descriptors = fs::read_dir("/proc/self/fd").unwrap().filter_map(Result::ok);
    let targets = descriptors.filter_map(|descriptor| fs::read_link(descriptor.path()).ok());
    targets.filter(|target| target.to_string_lossy().starts_with("socket:")).count()
}

/// Forgets the peak of memory so far; what is resident now.
fn begin_peak() -> u64 {
    fs::write("/proc/self/clear_refs", "5").unwrap();
    memory("VmRSS:")
}

fn memory(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}
