//! One simulated device: who it is, what it runs, what happened to it.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use russh::server;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::answers::Subject;
use super::fault::Fault;
use super::platform::SimPlatform;
use crate::clock::Timestamp;

/// Sites that devices are dealt to.
const SITES: [&str; 8] = ["ams", "fra", "lon", "par", "nyc", "sjc", "sin", "syd"];

/// One change of a version, as the simulator made it: what a sweep should have found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upgrade {
    /// The device's name.
    pub device: String,
    /// When it came up with the new version.
    pub at: Timestamp,
    /// What it ran before.
    pub old: String,
    /// What it runs now.
    pub new: String,
}

/// What never changes about a device; all of it follows from the seed and the device's place in the fleet.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) name: String,
    pub(super) hostname: String,
    pub(super) platform: SimPlatform,
    pub(super) model: &'static str,
    pub(super) serial: String,
    pub(super) site: &'static str,
    pub(super) role: &'static str,
    pub(super) address: Ipv4Addr,
    pub(super) port: u16,
}

/// What changes.
#[derive(Debug)]
struct State {
    version: String,
    /// How long it had been up at `counted`.
    uptime: Duration,
    counted: Instant,
    fault: Option<Fault>,
    rng: fastrand::Rng,
}

/// One simulated device.
#[derive(Debug)]
pub struct SimDevice {
    pub(super) identity: Identity,
    state: Mutex<State>,
    key_seed: [u8; 32],
    /// Its SSH configuration with its host key, made at the first connection: most of a large fleet's starting time.
    pub(super) ssh: OnceLock<Arc<server::Config>>,
    other_key: AtomicBool,
    pub(super) listener: tokio::sync::Mutex<Option<JoinHandle<()>>>,
    open: AtomicU32,
    peak: AtomicU32,
    logins: AtomicU64,
    password_attempts: AtomicU64,
}

impl SimDevice {
    /// The device at place `index` of a fleet with this seed.
    pub(super) fn new(
        index: usize,
        seed: u64,
        platform: SimPlatform,
        address: Ipv4Addr,
        port: u16,
        fault: Option<Fault>,
    ) -> Self {
        // Mixed with an odd constant, so that neighbouring seeds and neighbouring devices share nothing.
        let mut rng = fastrand::Rng::with_seed(seed ^ (index as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let role = match index % 10 {
            0 => "core",
            1..=3 => "edge",
            _ => "access",
        };
        let site = SITES[rng.usize(..SITES.len())];
        let hostname = format!("{role}-{:04}", index + 1);
        let models = platform.models();
        let identity = Identity {
            name: format!("{hostname}.{site}"),
            hostname,
            platform,
            model: if models.is_empty() { "" } else { models[rng.usize(..models.len())] },
            serial: serial(platform, &mut rng),
            site,
            role,
            address,
            port,
        };
        let mut key_seed = [0; 32];
        rng.fill(&mut key_seed);
        // The last version is left out, so that each device has an upgrade before it.
        let versions = platform.versions();
        let state = State {
            version: versions[rng.usize(..versions.len() - 1)].to_owned(),
            uptime: Duration::from_secs(rng.u64(3_600..400 * 86_400)),
            counted: Instant::now(),
            fault,
            rng,
        };
        Self {
            identity,
            state: Mutex::new(state),
            key_seed,
            ssh: OnceLock::new(),
            other_key: AtomicBool::new(false),
            listener: tokio::sync::Mutex::new(None),
            open: AtomicU32::new(0),
            peak: AtomicU32::new(0),
            logins: AtomicU64::new(0),
            password_attempts: AtomicU64::new(0),
        }
    }

    /// Its name in the inventory: host name and site.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.identity.name
    }

    /// Its own host name.
    #[must_use]
    pub fn hostname(&self) -> &str {
        &self.identity.hostname
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> Ipv4Addr {
        self.identity.address
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.identity.port
    }

    /// Its platform.
    #[must_use]
    pub fn platform(&self) -> SimPlatform {
        self.identity.platform
    }

    /// Its site label.
    #[must_use]
    pub fn site(&self) -> &str {
        self.identity.site
    }

    /// Its role label.
    #[must_use]
    pub fn role(&self) -> &str {
        self.identity.role
    }

    /// Its hardware model; empty where the platform doesn't tell.
    #[must_use]
    pub fn model(&self) -> &str {
        self.identity.model
    }

    /// Its serial number, whether or not the platform tells it.
    #[must_use]
    pub fn serial(&self) -> &str {
        &self.identity.serial
    }

    /// The version it runs now.
    #[must_use]
    pub fn version(&self) -> String {
        self.state().version.clone()
    }

    /// Its illness, if any.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        self.state().fault
    }

    /// Connections open now.
    #[must_use]
    pub fn open_sessions(&self) -> u32 {
        self.open.load(Ordering::Relaxed)
    }

    /// The most connections that were ever open at once.
    #[must_use]
    pub fn peak_sessions(&self) -> u32 {
        self.peak.load(Ordering::Relaxed)
    }

    /// Logins that succeeded.
    #[must_use]
    pub fn logins(&self) -> u64 {
        self.logins.load(Ordering::Relaxed)
    }

    /// Passwords that were tried, right or wrong.
    #[must_use]
    pub fn password_attempts(&self) -> u64 {
        self.password_attempts.load(Ordering::Relaxed)
    }

    /// Boots into `version`; returns the one before.
    pub(super) fn upgrade(&self, version: &str) -> String {
        let mut state = self.state();
        state.uptime = Duration::ZERO;
        state.counted = Instant::now();
        std::mem::replace(&mut state.version, version.to_owned())
    }

    /// The version after the present one on the platform's way; the first one after the last, and after a version that
    /// isn't on it.
    pub(super) fn next_version(&self) -> &'static str {
        let versions = self.identity.platform.versions();
        let present = self.version();
        let next = versions.iter().position(|version| *version == present).map_or(0, |place| place + 1);
        versions[next % versions.len()]
    }

    pub(super) fn set_fault(&self, fault: Option<Fault>) {
        self.state().fault = fault;
        self.other_key.store(fault == Some(Fault::HostKey), Ordering::Relaxed);
    }

    /// Notes a login; a device whose host key changes changes it after the first one.
    pub(super) fn logged_in(&self) {
        self.logins.fetch_add(1, Ordering::Relaxed);
        if self.fault() == Some(Fault::HostKey) {
            self.other_key.store(true, Ordering::Relaxed);
        }
    }

    pub(super) fn password_tried(&self) {
        self.password_attempts.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether it shows another host key than the one it began with.
    pub(super) fn shows_other_key(&self) -> bool {
        self.other_key.load(Ordering::Relaxed)
    }

    /// What its host key is made from.
    pub(super) fn key_seed(&self) -> [u8; 32] {
        self.key_seed
    }

    pub(super) fn connection_opened(&self) {
        let open = self.open.fetch_add(1, Ordering::Relaxed) + 1;
        self.peak.fetch_max(open, Ordering::Relaxed);
    }

    pub(super) fn connection_closed(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }

    /// `delay`, varied by `jitter` either way.
    pub(super) fn vary(&self, delay: Duration, jitter: f64) -> Duration {
        if jitter == 0.0 || delay.is_zero() {
            return delay;
        }
        let swing = self.state().rng.f64().mul_add(2.0, -1.0);
        delay.mul_f64(jitter.mul_add(swing, 1.0).max(0.0))
    }

    /// Bytes that mean nothing.
    pub(super) fn noise(&self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.state().rng.fill(&mut bytes);
        bytes
    }

    /// What it would say of itself at this moment.
    pub(super) fn subject(&self, now: Timestamp) -> Subject<'_> {
        let state = self.state();
        Subject {
            platform: self.identity.platform,
            hostname: &self.identity.hostname,
            model: self.identity.model,
            serial: &self.identity.serial,
            version: state.version.clone(),
            uptime: state.uptime + state.counted.elapsed(),
            now,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A serial number in the vendor's manner.
fn serial(platform: SimPlatform, rng: &mut fastrand::Rng) -> String {
    let prefix = match platform {
        SimPlatform::CiscoIos => "FTX",
        SimPlatform::CiscoXe => "FCW",
        SimPlatform::CiscoNxos => "FDO",
        SimPlatform::CiscoXr => "FOC",
        SimPlatform::JuniperJunos => "JN",
        SimPlatform::AristaEos => "SSJ",
        SimPlatform::Frr | SimPlatform::Linux => "VM",
    };
    // Year and week of production, then four characters.
    let tail: String = (0..4)
        .map(|_| rng.choice(b"0123456789ABCDEFGHJKLMNPQRSTUVWXYZ").map_or('0', |c| char::from(*c)))
        .collect();
    format!("{prefix}{}{:02}{tail}", rng.u32(17..29), rng.u32(1..53))
}
