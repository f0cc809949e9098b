//! `versweep inventory`: what each source gives, what won, what was dropped and why; and the difference to what a daemon
//! runs with, before it is told to reload.

use std::io::{self, Write};
use std::sync::Arc;

use anyhow::Context as _;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::client::{self, line};
use super::{ConfigFile, Exit};
use crate::clock::{Clock, SystemClock};
use crate::config::WebFlags;
use crate::daemon::{Ask, PATIENCE, World};
use crate::device::Device;
use crate::inventory::Stock;
use crate::text::tamed;
use crate::transport::ssh::SshTransport;

mod diff;

use diff::{Difference, Entry, List, diff};

/// Entries that are told one by one in a table; JSON tells all.
const TOLD_MAX: usize = 50;

/// Look at every inventory source now and show what they come to
///
/// Files are read and servers are asked; nothing is changed and nothing is kept. Where a source gives nothing, the last good
/// list is used, as the daemon would. With --diff the result is compared with what a running daemon has.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  versweep inventory --config.file versweep.toml --diff\n  versweep inventory --confirm netbox --list 812-3f9a"
)]
pub(crate) struct Args {
    #[command(flatten)]
    config: ConfigFile,
    /// Show one device: which sources name it and what it comes to
    device: Option<String>,
    /// Compare with the inventory that a running daemon has
    #[arg(long)]
    diff: bool,
    /// Tell the running daemon to take the list of this source, which waits because so many devices are missing from it
    #[arg(long, value_name = "SOURCE", requires = "list", conflicts_with_all = ["diff", "device"])]
    confirm: Option<String>,
    /// Which list to take, as it is told where it waits: another one by now is not taken
    #[arg(long, value_name = "LIST", requires = "confirm")]
    list: Option<String>,
    #[command(flatten)]
    daemon: client::DaemonArgs,
    /// How to print; json is one object a line
    #[arg(long, value_enum, default_value_t)]
    output: client::Output,
}

impl Args {
    pub(super) async fn run(self, stop: CancellationToken) -> anyhow::Result<Exit> {
        let mut out = io::stdout();
        if let (Some(source), Some(list)) = (&self.confirm, &self.list) {
            let answer =
                client::post(&self.daemon, "/-/inventory/confirm", &[("source", source), ("list", list)])
                    .await?;
            line(&mut out, &answer)?;
            return Ok(Exit::Done);
        }
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let loaded = World::load_until(&stop, &self.config.path, &WebFlags::default(), &clock).await?;
        let Some(world) = loaded else { return Ok(Exit::Failed) };
        let Some(world) = stop.run_until_cancelled(world.asked(Ask::All, PATIENCE)).await else {
            return Ok(Exit::Failed);
        };
        if let Some(name) = &self.device {
            self.show_device(&world, name, &mut out)?;
        } else if self.diff {
            let running = running(&self.daemon).await?;
            self.show_diff(&world, &running, &mut out)?;
        } else {
            self.show_all(&world, &mut out)?;
        }
        let good = world.stocks.iter().all(|stock| stock.trouble().is_none());
        Ok(if good { Exit::Done } else { Exit::Failed })
    }

    fn show_all(&self, world: &World<SshTransport>, out: &mut impl Write) -> anyhow::Result<()> {
        let inventory = &world.inventory;
        if self.output == client::Output::Json {
            for stock in &world.stocks {
                line(out, &source_json(stock).to_string())?;
            }
            for (device, origins) in world.inventory.devices.iter().zip(&inventory.origins) {
                line(out, &device_json(world, device, origins).to_string())?;
            }
            for conflict in &inventory.conflicts {
                let told = json!({ "conflict": conflict.field, "device": conflict.device, "kept": conflict.kept,
                    "by": conflict.winner, "lost": conflict.lost, "of": conflict.loser });
                line(out, &told.to_string())?;
            }
            for (source, dropped) in world.dropped() {
                let told = json!({ "dropped": dropped.title, "source": source, "place": dropped.place, "why": dropped.why });
                line(out, &told.to_string())?;
            }
            return Ok(());
        }
        let mut table = client::table(&["SOURCE", "DEVICES", "DROPPED", "WAITING", "STATE"]);
        for stock in &world.stocks {
            let status = stock.status();
            let state = stock.trouble().map_or_else(
                || "good".to_owned(),
                |trouble| format!("{}: {}", trouble.kind.as_str(), tamed(&trouble.to_string(), 300)),
            );
            let waiting = status.pending.map(|list| list.devices.to_string()).unwrap_or_default();
            let name = tamed(&status.source, 120).into_owned();
            table.add_row([name, status.devices.to_string(), status.dropped.to_string(), waiting, state]);
        }
        line(out, &table.trim_fmt())?;
        let several = inventory.origins.iter().filter(|origins| origins.len() > 1).count();
        line(
            out,
            &format!("{} devices, {several} of them from several sources", world.inventory.devices.len()),
        )?;
        let conflicts = inventory.conflicts.iter().map(|conflict| format!("conflict: {conflict}"));
        told(out, conflicts, inventory.conflicts.len())?;
        let dropped: Vec<_> = world.dropped().collect();
        let count = dropped.len();
        let lines = dropped.into_iter().map(|(source, dropped)| {
            format!("dropped: {source}: {} ({}): {}", dropped.title, dropped.place, dropped.why)
        });
        told(out, lines, count)?;
        let warnings = inventory.warnings.iter().map(|warning| format!("warning: {warning}"));
        told(out, warnings, inventory.warnings.len())
    }

    fn show_device(
        &self,
        world: &World<SshTransport>,
        name: &str,
        out: &mut impl Write,
    ) -> anyhow::Result<()> {
        let place = world.inventory.devices.iter().position(|device| device.id.as_str() == name);
        let place = place.with_context(|| format!("no device {name:?} in the inventory"))?;
        let told = device_json(world, &world.inventory.devices[place], &world.inventory.origins[place]);
        if self.output == client::Output::Json {
            return line(out, &told.to_string());
        }
        for (key, value) in told.as_object().into_iter().flatten() {
            line(out, &format!("{key}: {}", client::cell(value)))?;
        }
        for conflict in world.inventory.conflicts.iter().filter(|conflict| conflict.device.as_str() == name) {
            line(out, &format!("conflict: {conflict}"))?;
        }
        Ok(())
    }

    fn show_diff(
        &self,
        world: &World<SshTransport>,
        running: &List,
        out: &mut impl Write,
    ) -> anyhow::Result<()> {
        let [mut added, mut removed, mut renamed, mut changed] = [0_usize; 4];
        for difference in diff(running, &listed(world)) {
            let (told, text) = match difference {
                Difference::Added(name, address) => {
                    added += 1;
                    (json!({ "added": name, "detail": address }), format!("+ {name} {address}"))
                }
                Difference::Removed(name, address) => {
                    removed += 1;
                    (json!({ "removed": name, "detail": address }), format!("- {name} {address}"))
                }
                Difference::Renamed { name, from, identity } => {
                    renamed += 1;
                    let text = format!("> {from} -> {name} ({identity})");
                    (json!({ "renamed": name, "from": from, "identity": identity }), text)
                }
                Difference::Changed(name, what, [before, now]) => {
                    changed += 1;
                    let detail = format!("{what} {before} -> {now}");
                    (json!({ "changed": name, "detail": detail }), format!("~ {name} {detail}"))
                }
            };
            match self.output {
                client::Output::Json => line(out, &told.to_string())?,
                client::Output::Table => line(out, &tamed(&text, 600))?,
            }
        }
        let count = running.len();
        match self.output {
            client::Output::Json => {
                let summary = json!({ "added": added, "removed": removed, "renamed": renamed, "changed": changed, "running": count });
                line(out, &json!({ "summary": summary }).to_string())
            }
            client::Output::Table => {
                let told = format!("{added} added, {removed} removed, {renamed} renamed, {changed} changed");
                line(out, &format!("{told}; {count} run now"))
            }
        }
    }
}

/// The devices of a world, to be compared.
fn listed(world: &World<SshTransport>) -> List {
    let entry = |device: &Device| Entry {
        address: device.endpoint.host.clone(),
        platform: device.platform.as_str().to_owned(),
        identity: device.identity.as_deref().map(str::to_owned),
    };
    world.inventory.devices.iter().map(|device| (device.id.to_string(), entry(device))).collect()
}

/// Lines of one kind, the first of them where there are many.
fn told(out: &mut impl Write, lines: impl Iterator<Item = String>, count: usize) -> anyhow::Result<()> {
    for text in lines.take(TOLD_MAX) {
        line(out, &tamed(&text, 600))?;
    }
    if count > TOLD_MAX {
        line(out, &format!("and {} more; --output json tells all", count - TOLD_MAX))?;
    }
    Ok(())
}

fn source_json(stock: &Stock) -> Value {
    let status = stock.status();
    json!({
        "source": status.source, "devices": status.devices, "dropped": status.dropped, "waiting": status.pending.as_ref().map(|list| list.devices),
        "list": status.pending.as_ref().map(|list| &list.token),
        "good": status.failure.is_none(), "reason": status.failure.map(crate::status::RefreshFailure::as_str),
        "detail": stock.trouble().map(ToString::to_string),
    })
}

fn device_json(world: &World<SshTransport>, device: &Device, origins: &[usize]) -> Value {
    let names: Vec<&str> =
        origins.iter().filter_map(|place| Some(world.stocks.get(*place)?.source.name.as_str())).collect();
    json!({
        "device": device.id, "address": device.endpoint.to_string(), "platform": device.platform.as_str(),
        "credential": device.credential, "identity": device.identity, "labels": device.labels, "sources": names,
    })
}

/// The devices of a running daemon.
async fn running(daemon: &client::DaemonArgs) -> anyhow::Result<List> {
    let mut devices = List::new();
    let mut cursor: Option<String> = None;
    loop {
        let mut query = vec![("limit", "1000")];
        query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let answer = client::get_json(daemon, "/api/v1/devices", &query).await?;
        for device in answer["devices"].as_array().into_iter().flatten() {
            let text = |key: &str| device[key].as_str().map(str::to_owned);
            if let (Some(name), Some(address)) = (text("device"), text("address")) {
                let platform = text("platform").unwrap_or_else(|| "auto".to_owned());
                devices.insert(name, Entry { address, platform, identity: text("identity") });
            }
        }
        // A cursor that does not move on would never end.
        match answer["next"].as_str() {
            Some(next) if cursor.as_deref() != Some(next) => cursor = Some(next.to_owned()),
            _ => return Ok(devices),
        }
    }
}
