//! The fleet of a benchmark: `versweep sim` in as many processes as its sockets need, so that its work isn't counted as
//! ours.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::cli::sim::READY;
use crate::duration::HumanDuration;
use crate::limits::{FILES_BESIDE_VISITS, raise_open_files};
use crate::sim::{Fault, Faults, KeyExchange, SimPlatform};

/// Which fleet it is: the same each time.
const SEED: u64 = 1;

/// The longest inventory that is read: some hundred thousand devices.
const INVENTORY_LIMIT: u64 = 64 * 1024 * 1024;

/// What the fleet is to be.
#[derive(Debug)]
pub(super) struct FleetArgs {
    pub(super) devices: u32,
    pub(super) workers: u32,
    pub(super) listen: Ipv4Addr,
    pub(super) delay: Duration,
    pub(super) login_delay: Duration,
    pub(super) platforms: Vec<SimPlatform>,
    /// Which share is ill, and how, as on the command line of `versweep sim`.
    pub(super) faults: &'static str,
    pub(super) key_exchange: KeyExchange,
    /// As many processes as its sockets need, and no fewer than these.
    pub(super) processes: usize,
}

/// One device of the fleet, as its inventory tells.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Target {
    pub(super) name: String,
    pub(super) address: SocketAddr,
    pub(super) platform: String,
    /// How it is ill, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
}

impl Target {
    /// How it is ill.
    pub(super) fn fault(&self) -> Option<Fault> {
        self.fault.as_deref()?.parse().ok()
    }
}

/// A fleet in other processes, which are killed when this is dropped.
#[derive(Debug)]
pub(super) struct RemoteFleet {
    parts: Vec<Part>,
}

/// One process, and the devices in it.
#[derive(Debug)]
struct Part {
    child: Child,
    targets: Vec<Target>,
}

impl RemoteFleet {
    /// Starts the fleet; when it returns, all its devices listen.
    ///
    /// # Errors
    /// When a process doesn't start, or ends before its devices listen; it says why on standard error itself.
    pub(super) async fn start(args: &FleetArgs) -> anyhow::Result<Self> {
        let parts = parts(args.devices as usize, args.sessions(), raise_open_files()).max(args.processes);
        let mut fleet = Self { parts: Vec::with_capacity(parts) };
        let each = args.devices.div_ceil(u32::try_from(parts)?);
        let mut first = args.listen;
        let mut left = args.devices;
        while left > 0 {
            let devices = left.min(each);
            let part = Part::start(args, devices, first).await?;
            // The next part begins behind the last device of this one.
            let last = part.targets.last().map(|target| target.address.ip());
            if let Some(IpAddr::V4(last)) = last {
                first = Ipv4Addr::from_bits(last.to_bits().saturating_add(1));
            }
            fleet.parts.push(part);
            left -= devices;
        }
        Ok(fleet)
    }

    /// How many processes it has.
    pub(super) fn processes(&self) -> usize {
        self.parts.len()
    }

    /// All devices.
    pub(super) fn targets(&self) -> impl Iterator<Item = &Target> {
        self.parts.iter().flat_map(|part| &part.targets)
    }

    /// Kills the fleet's processes and waits for their end.
    ///
    /// # Errors
    /// When the kernel doesn't let us.
    pub(super) async fn end(self) -> anyhow::Result<()> {
        for mut part in self.parts {
            part.child.kill().await.context("can't end the simulated fleet")?;
        }
        Ok(())
    }
}

impl FleetArgs {
    /// Twice the visits at once, because a session may still be closing while the next one opens.
    fn sessions(&self) -> usize {
        self.workers as usize * 2
    }
}

/// How many processes it takes: each has a socket for each of its devices and one for each session, of which a device has
/// one, or one more that is closing.
fn parts(devices: usize, sessions: usize, limit: usize) -> usize {
    let fits = |parts: &usize| {
        let own = devices.div_ceil(*parts);
        own + sessions.min(own * 2) + FILES_BESIDE_VISITS <= limit
    };
    (1..=devices).find(fits).unwrap_or(devices)
}

impl Part {
    async fn start(args: &FleetArgs, devices: u32, first: Ipv4Addr) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("can't find this program's own file")?;
        let platforms: Vec<_> = args.platforms.iter().map(|platform| platform.key()).collect();
        let sessions = args.sessions().min(devices as usize * 2);
        let mut child = Command::new(program)
            .args(["sim", "--port", "0", "--end-with-parent"])
            .args(["--devices", &devices.to_string(), "--listen", &first.to_string()])
            .args(["--delay", &HumanDuration(args.delay).to_string()])
            .args(["--login-delay", &HumanDuration(args.login_delay).to_string()])
            .args(["--platforms", &platforms.join(",")])
            .args(["--sessions", &sessions.to_string()])
            .args(["--faults", args.faults, "--key-exchange", args.key_exchange.as_str()])
            .args(["--seed", &SEED.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("can't start the simulated fleet")?;
        let mut targets = read_inventory(&mut child).await?;
        let faults = args.faults.parse::<Faults>()?.of_fleet(targets.len(), SEED);
        for (target, fault) in targets.iter_mut().zip(faults) {
            target.fault = fault.map(|fault| fault.as_str().to_owned());
        }
        // Every part calls its first device by the same name, and two visits to one device are never under way at once.
        targets.iter_mut().for_each(|target| target.name = format!("{}-{first}", target.name));
        Ok(Self { child, targets })
    }
}

async fn read_inventory(child: &mut Child) -> anyhow::Result<Vec<Target>> {
    let output = child.stdout.take().context("the simulated fleet has no standard output")?;
    let mut lines = BufReader::new(output.take(INVENTORY_LIMIT)).lines();
    let mut text = String::new();
    loop {
        match lines.next_line().await.context("can't read from the simulated fleet")? {
            Some(line) if line == READY => break,
            Some(line) => {
                text.push_str(&line);
                text.push('\n');
            }
            None => bail!("the simulated fleet ended before it listened"),
        }
    }
    let inventory: Inventory = toml::from_str(&text).context("can't read the simulated fleet's inventory")?;
    Ok(inventory.device.into_iter().map(Target::from).collect())
}

#[derive(Deserialize)]
struct Inventory {
    device: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    name: String,
    address: IpAddr,
    port: u16,
    platform: String,
}

impl From<Entry> for Target {
    fn from(entry: Entry) -> Self {
        Self {
            name: entry.name,
            address: SocketAddr::new(entry.address, entry.port),
            platform: entry.platform,
            fault: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::parts;

    #[test]
    fn a_fleet_has_as_many_processes_as_its_sockets_need() {
        assert_eq!(parts(2000, 512, 20_000), 1);
        // 10,000 sockets to listen at and 10,000 sessions don't fit, two times 5,000 of each do.
        assert_eq!(parts(10_000, 20_000, 20_000), 2);
        assert_eq!(parts(100_000, 4_096, 20_000), 7);
    }
}
