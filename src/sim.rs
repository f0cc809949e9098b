//! The simulated fleet: SSH routers on loopback addresses, all in this process, behind `demo`, `sim`, `bench` and the
//! tests.
//!
//! A [`Fleet`] listens on one address per device, answers like eight platforms do, changes versions over time and can
//! be ill in thirteen ways. It keeps its own log of what it changed, so that what versweep found can be held against what
//! happened. Waiting costs no CPU: every delay is a timer.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

mod address;
mod answers;
pub mod bare;
mod config;
mod device;
mod error;
mod fault;
mod misbehave;
mod platform;
mod server;
mod shell;
mod stream;

use crate::clock::{Clock, SystemClock};
pub use config::{KeyExchange, PASSWORD, SimConfig, USERNAME};
pub use device::{SimDevice, Upgrade};
pub use error::SimError;
pub use fault::{Fault, Faults, parse_share};
pub use platform::{AfterExec, SimPlatform};
use server::Manners;
use stream::SharedStream;

/// How many upgrades the fleet's log keeps; older ones go. A week of one every ten seconds fits.
pub const UPGRADES_KEPT: usize = 65_536;

/// A running fleet. Dropping it stops it in the background; [`Fleet::stop`] waits until nothing is left.
#[derive(Debug)]
pub struct Fleet {
    devices: Vec<Arc<SimDevice>>,
    shared: Arc<Shared>,
    upgrades: Arc<Mutex<Vec<Upgrade>>>,
    _stop_on_drop: DropGuard,
}

/// What every connection needs.
#[derive(Debug)]
struct Shared {
    manners: Arc<Manners>,
    stop: CancellationToken,
    tasks: TaskTracker,
    open: AtomicU64,
    peak: AtomicU64,
}

/// The whole fleet's connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sessions {
    /// Open now.
    pub open: u64,
    /// The most that were ever open at once.
    pub peak: u64,
    /// Logins that succeeded.
    pub logins: u64,
    /// Passwords that were tried, right or wrong.
    pub password_attempts: u64,
    /// The most connections that one device ever had open at once.
    pub peak_on_one_device: u32,
}

impl Fleet {
    /// Starts a fleet; when it returns, all its devices listen.
    ///
    /// # Errors
    /// Addresses outside loopback, too few files, a port in use, or an authorized key that is none.
    pub async fn start(config: SimConfig) -> Result<Self, SimError> {
        let addresses = address::addresses(config.first_address, config.devices)?;
        address::allow_files(config.devices, config.sessions)?;
        let manners = manners(&config)?;
        let listeners = address::listen(&addresses, config.port).await?;
        let port =
            listeners.first().and_then(|one| one.local_addr().ok()).map_or(config.port, |local| local.port());
        let devices = devices(&config, &addresses, port);
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared {
            manners: Arc::new(manners),
            stop: stop.clone(),
            tasks: TaskTracker::new(),
            open: AtomicU64::new(0),
            peak: AtomicU64::new(0),
        });
        let fleet = Self {
            devices,
            shared,
            upgrades: Arc::new(Mutex::new(Vec::new())),
            _stop_on_drop: stop.drop_guard(),
        };
        for (device, listener) in fleet.devices.iter().zip(listeners) {
            *device.listener.lock().await = match device.fault() {
                // It needed its port only to show that the port is free.
                Some(Fault::Refuse) => None,
                Some(Fault::Drop) => {
                    drop(listener);
                    Some(fleet.shared.drop_requests(device).await?)
                }
                _ => Some(fleet.shared.accept(device, listener)),
            };
        }
        if let Some(every) = config.upgrade_every {
            fleet.upgrade_now_and_then(every, config.seed);
        }
        Ok(fleet)
    }

    /// The devices, in the order of their addresses.
    #[must_use]
    pub fn devices(&self) -> &[Arc<SimDevice>] {
        &self.devices
    }

    /// The device of that name.
    ///
    /// # Errors
    /// When there is none.
    pub fn device(&self, name: &str) -> Result<&Arc<SimDevice>, SimError> {
        let found = self.devices.iter().find(|device| device.name() == name);
        found.ok_or_else(|| SimError::UnknownDevice { name: name.to_owned() })
    }

    /// An inventory file for this fleet, in the format of `devices.toml`.
    #[must_use]
    pub fn inventory_toml(&self) -> String {
        let mut text = String::from("# A simulated fleet; `versweep sim` wrote this.\n");
        for device in &self.devices {
            let (name, address, port) = (device.name(), device.address(), device.port());
            let (platform, site, role) = (device.platform(), device.site(), device.role());
            // Writing to a String can't fail.
            let _ = write!(
                text,
                "\n[[device]]\nname = \"{name}\"\naddress = \"{address}\"\nport = {port}\nplatform = \"{platform}\"\n\
                 labels = {{ site = \"{site}\", role = \"{role}\" }}\n"
            );
        }
        text
    }

    /// What the fleet changed so far, oldest first: at most [`UPGRADES_KEPT`].
    #[must_use]
    pub fn upgrades(&self) -> Vec<Upgrade> {
        self.upgrades.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Boots a device into `version`; its uptime begins anew. A version it runs already is a reboot and no upgrade.
    ///
    /// # Errors
    /// When there is no such device.
    pub fn upgrade(&self, name: &str, version: &str) -> Result<(), SimError> {
        upgrade(&self.upgrades, self.device(name)?, version);
        Ok(())
    }

    /// Makes a device ill, or well again with `None`. When it returns, new connections see it; open ones go on as they
    /// began.
    ///
    /// # Errors
    /// When there is no such device, or its port was taken while it refused.
    pub async fn set_fault(&self, name: &str, fault: Option<Fault>) -> Result<(), SimError> {
        let device = self.device(name)?;
        device.set_fault(fault);
        let mut listening = device.listener.lock().await;
        if let Some(task) = listening.take() {
            task.abort();
            // Cancelled is what it shall be; once it is over, its listener is closed.
            let _ = task.await;
        }
        *listening = match fault {
            Some(Fault::Refuse) => None,
            Some(Fault::Drop) => {
                Some(address::once_free(async || self.shared.drop_requests(device).await).await?)
            }
            _ => {
                let (address, port) = (device.address(), device.port());
                let listener = address::once_free(async || address::bind(address, port).await).await?;
                Some(self.shared.accept(device, listener))
            }
        };
        Ok(())
    }

    /// The fleet's connections so far.
    #[must_use]
    pub fn sessions(&self) -> Sessions {
        Sessions {
            open: self.shared.open.load(Ordering::Relaxed),
            peak: self.shared.peak.load(Ordering::Relaxed),
            logins: self.devices.iter().map(|device| device.logins()).sum(),
            password_attempts: self.devices.iter().map(|device| device.password_attempts()).sum(),
            peak_on_one_device: self.devices.iter().map(|device| device.peak_sessions()).max().unwrap_or(0),
        }
    }

    /// Ends everything: when it returns, no task and no socket of the fleet is left.
    pub async fn stop(self) {
        self.shared.stop.cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }

    fn upgrade_now_and_then(&self, every: Duration, seed: u64) {
        let devices = self.devices.clone();
        let upgrades = Arc::clone(&self.upgrades);
        let stop = self.shared.stop.clone();
        let mut rng = fastrand::Rng::with_seed(seed);
        self.shared.tasks.spawn(async move {
            // The first one comes after a period, so that a first sweep sees the fleet as it began.
            while tokio::time::timeout(every, stop.cancelled()).await.is_err() {
                if let Some(device) = rng.choice(&devices) {
                    upgrade(&upgrades, device, device.next_version());
                }
            }
        });
    }
}

fn upgrade(log: &Mutex<Vec<Upgrade>>, device: &SimDevice, version: &str) {
    // The log is held meanwhile, so that its order is the order of the changes.
    let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
    let old = device.upgrade(version);
    if old == version {
        return;
    }
    if log.len() == UPGRADES_KEPT {
        log.remove(0);
    }
    log.push(Upgrade {
        device: device.name().to_owned(),
        at: SystemClock.now(),
        old,
        new: version.to_owned(),
    });
}

impl Shared {
    fn accept(self: &Arc<Self>, device: &Arc<SimDevice>, listener: TcpListener) -> JoinHandle<()> {
        let (shared, device) = (Arc::clone(self), Arc::clone(device));
        self.tasks.spawn(async move {
            loop {
                tokio::select! {
                    accepted = listener.accept() => match accepted {
                        Ok((stream, _)) => shared.receive(&device, stream),
                        // Out of files, mostly: a moment later some session has ended.
                        Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                    },
                    () = shared.stop.cancelled() => return,
                }
            }
        })
    }

    /// Holds a listener that takes nobody.
    async fn drop_requests(&self, device: &SimDevice) -> Result<JoinHandle<()>, SimError> {
        let held = address::full(device.address(), device.port()).await?;
        let stop = self.stop.clone();
        Ok(self.tasks.spawn(async move {
            stop.cancelled().await;
            drop(held);
        }))
    }

    fn receive(self: &Arc<Self>, device: &Arc<SimDevice>, stream: TcpStream) {
        let counted = Counted::new(self, device);
        let (shared, device) = (Arc::clone(self), Arc::clone(device));
        self.tasks.spawn(async move {
            let _counted = counted;
            // Without it small packets wait for acknowledgements: 40 ms a login. A socket that refuses it still works.
            let _ = stream.set_nodelay(true);
            shared.serve(device, stream).await;
        });
    }

    async fn serve(&self, device: Arc<SimDevice>, stream: TcpStream) {
        let ssh_id = device.platform().ssh_id();
        let stop = &self.stop;
        match device.fault() {
            Some(Fault::Silent | Fault::Refuse | Fault::Drop) => {
                until(stop, misbehave::stay_silent(stream)).await
            }
            Some(Fault::Stall) => until(stop, misbehave::stall(stream, ssh_id)).await,
            Some(Fault::Reset) => until(stop, misbehave::reset_in_kex(stream, ssh_id)).await,
            Some(Fault::NotSsh) => until(stop, misbehave::speak_http(stream)).await,
            fault => {
                let manners = Arc::clone(&self.manners);
                server::serve(device, manners, SharedStream::new(stream), fault, stop.clone()).await;
            }
        }
    }
}

/// Runs `work` until it is done or the fleet stops.
async fn until(stop: &CancellationToken, work: impl Future<Output = ()>) {
    tokio::select! {
        () = work => {}
        () = stop.cancelled() => {}
    }
}

/// A connection that is counted as open as long as this lives.
struct Counted {
    shared: Arc<Shared>,
    device: Arc<SimDevice>,
}

impl Counted {
    fn new(shared: &Arc<Shared>, device: &Arc<SimDevice>) -> Self {
        let open = shared.open.fetch_add(1, Ordering::Relaxed) + 1;
        shared.peak.fetch_max(open, Ordering::Relaxed);
        device.connection_opened();
        Self { shared: Arc::clone(shared), device: Arc::clone(device) }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.shared.open.fetch_sub(1, Ordering::Relaxed);
        self.device.connection_closed();
    }
}

fn manners(config: &SimConfig) -> Result<Manners, SimError> {
    let authorized_key =
        config.authorized_key.as_deref().map(russh::keys::PublicKey::from_openssh).transpose();
    Ok(Manners {
        command_delay: config.command_delay,
        login_delay: config.login_delay,
        jitter: config.jitter.clamp(0.0, 1.0),
        key_exchange: config.key_exchange,
        username: config.username.clone(),
        password: config.password.clone(),
        authorized_key: authorized_key.map_err(|error| SimError::Key { detail: error.to_string() })?,
    })
}

fn devices(config: &SimConfig, addresses: &[Ipv4Addr], port: u16) -> Vec<Arc<SimDevice>> {
    let platforms = if config.platforms.is_empty() { &SimPlatform::ALL[..] } else { &config.platforms };
    let faults = config.faults.of_fleet(addresses.len(), config.seed);
    let described = addresses.iter().zip(faults).zip(platforms.iter().cycle()).enumerate();
    described
        .map(|(index, ((address, fault), platform))| {
            Arc::new(SimDevice::new(index, config.seed, *platform, *address, port, fault))
        })
        .collect()
}
