//! `versweep demo`: a simulated fleet, the daemon, a temporary store. The daemon is the real one, configured by files as
//! everywhere; only the routers are not.

use std::fs;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use secrecy::SecretString;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::Exit;
use crate::daemon::Daemon;
use crate::sim::{Faults, Fleet, SimConfig};

/// Where the simulated routers begin; `versweep sim` has its own by default, so that both can run.
const FIRST_ROUTER: Ipv4Addr = Ipv4Addr::new(127, 1, 0, 1);

/// A simulated fleet, the daemon and a temporary store; Ctrl-C ends all of it
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: versweep demo --devices 500")]
pub(crate) struct Args {
    /// How many routers to simulate
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    devices: u16,
    /// Where the daemon serves its pages and metrics
    #[arg(long, default_value = "127.0.0.1:9948")]
    listen: SocketAddr,
    /// How often the fleet is swept, in whole seconds
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    every: u64,
}

impl Args {
    pub(super) async fn run(self, stop: CancellationToken) -> anyhow::Result<Exit> {
        let folder = Folder::create()?;
        let fleet = Fleet::start(self.fleet()?).await?;
        fs::write(folder.0.join("devices.toml"), fleet.inventory_toml())?;
        write_secret(&folder.0.join("password"), PASSWORD)?;
        let config = folder.0.join("versweep.toml");
        fs::write(&config, self.config())?;
        let daemon = Daemon::build(&config).await?;
        self.announce(&fleet, daemon.addresses(), &folder.0)?;
        end_with_terminal(&stop)?;
        let ended = daemon.run(stop).await;
        fleet.stop().await;
        ended.map(|()| Exit::Done)
    }

    fn fleet(&self) -> anyhow::Result<SimConfig> {
        Ok(SimConfig {
            devices: usize::from(self.devices),
            first_address: FIRST_ROUTER,
            port: 0,
            command_delay: Duration::from_millis(300),
            login_delay: Duration::from_millis(50),
            jitter: 0.5,
            seed: 1,
            upgrade_every: Some(Duration::from_secs(4)),
            faults: "refuse=1%,silent=1%,password=0.5%,hang=0.5%".parse::<Faults>()?,
            username: "versweep".to_owned(),
            password: SecretString::from(PASSWORD),
            ..SimConfig::default()
        })
    }

    fn config(&self) -> String {
        let (listen, every) = (self.listen, self.every);
        format!(
            r#"[web]
listen = ["{listen}"]

[store]
path = "versweep.db"

[workers]
max = 64

[credentials.demo]
username = "versweep"
password = {{ file = "password" }}

[defaults]
credential = "demo"
timeout = "2s"
connect_timeout = "1s"
login_timeout = "1500ms"
command_timeout = "1500ms"

[changes]
confirm_after = "1s"
down_after = 2
flapping = 0

[holdoff]
first = "5s"
longest = "1m"

[[inventory]]
type = "file"
path = "devices.toml"

[[sweep]]
name = "all"
every = "{every}s"

[[policy]]
name = "campus"
select = {{ platform = "cisco_xe" }}
approved = ">=17.6, <17.13"
preferred = "17.12.4"
banned = [{{ version = "16.12.*", reason = "no longer supported" }}]

[[policy]]
name = "backbone"
select = {{ platform = "juniper_junos", role = ["core", "edge"] }}
minimum = "21.4R3"

[[policy]]
name = "data-centre"
select = {{ platform = "cisco_nxos" }}
approved = ["9.3.*", ">=10.2(5), <10.4"]

[[sink]]
type = "jsonl"
path = "events.jsonl"
"#
        )
    }

    fn announce(&self, fleet: &Fleet, addresses: &[SocketAddr], folder: &Path) -> io::Result<()> {
        let mut out = io::stdout().lock();
        let devices = fleet.devices();
        if let (Some(first), Some(last)) = (devices.first(), devices.last()) {
            writeln!(
                out,
                "{} simulated routers on {} to {}, port {}, one upgraded every 4 s; swept every {} s by 64 workers",
                devices.len(),
                first.address(),
                last.address(),
                first.port(),
                self.every
            )?;
        }
        writeln!(out, "events and database, gone when this ends: {}", folder.display())?;
        for address in addresses {
            writeln!(
                out,
                "open http://{address}/ (metrics: http://{address}/metrics); Ctrl-C ends all of it"
            )?;
        }
        out.flush()
    }
}

/// A terminal that is closed ends the demo as Ctrl-C does; the daemon alone would reload.
fn end_with_terminal(stop: &CancellationToken) -> io::Result<()> {
    let (mut hangup, stop) = (signal(SignalKind::hangup())?, stop.clone());
    tokio::spawn(async move {
        hangup.recv().await;
        stop.cancel();
    });
    Ok(())
}

/// Writes a file that only its owner can read, as the daemon wants its secrets.
fn write_secret(path: &Path, secret: &str) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(secret.as_bytes())
}

/// What the simulated routers accept. It guards nothing: they are on loopback and have no configuration.
const PASSWORD: &str = "demo";

/// A folder that is removed with all that is in it when the demo ends.
struct Folder(std::path::PathBuf);

impl Folder {
    fn create() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("versweep-demo-{}", std::process::id()));
        fs::create_dir(&path).with_context(|| format!("no folder for the demo: {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What can't be removed from the temporary folder now is the system's to remove.
        let _ = fs::remove_dir_all(&self.0);
    }
}
