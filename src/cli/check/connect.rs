//! `versweep check --connect`: the smallest number of devices that tries every credential and every jump host.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead as _, IsTerminal as _, Write};
use std::sync::Arc;

use anyhow::ensure;
use tokio_util::sync::CancellationToken;

use super::super::Exit;
use super::{Args, counted};
use crate::clock::{Clock as _, SystemClock};
use crate::daemon::{Ask, PATIENCE, World};
use crate::device::{CredentialId, Device, Route};
use crate::event::clean;
use crate::failure::{FailureKind, Stage};
use crate::observation::{Outcome, SweepId};
use crate::probe::Visit;
use crate::transport::ssh::SshTransport;

/// Looks at the inventory's servers too, asks for consent, and visits the chosen devices one after the other.
pub(super) async fn run(
    args: &Args,
    world: World<SshTransport>,
    stop: CancellationToken,
) -> anyhow::Result<Exit> {
    let Some(world) = stop.run_until_cancelled(world.asked(Ask::Unknown, PATIENCE)).await else {
        return Ok(Exit::Failed);
    };
    let mut out = io::stdout();
    for stock in &world.stocks {
        if let Some(trouble) = stock.trouble() {
            writeln!(
                io::stderr(),
                "warning: inventory {}: {}",
                stock.source.name,
                clean(&trouble.to_string())
            )?;
        }
    }
    let chosen = choose(&world.inventory.devices);
    if chosen.is_empty() {
        writeln!(out, "no device, so there is nothing to log in to")?;
        let all_known = world.stocks.iter().all(|stock| stock.trouble().is_none());
        return Ok(if all_known { Exit::Done } else { Exit::Failed });
    }
    for Trial { device, tries } in &chosen {
        let tries: Vec<String> = tries.iter().map(Part::to_string).collect();
        writeln!(out, "{} at {} tries {}", device.id, device.endpoint, tries.join(", "))?;
    }
    if !args.yes && !agreed(chosen.len(), &stop).await? {
        writeln!(out, "nothing was logged in to")?;
        return Ok(Exit::Failed);
    }
    let mut refused = BTreeSet::new();
    let mut all_well = true;
    for Trial { device, .. } in chosen {
        let visited = stop.run_until_cancelled(visit(&world, &device, &mut refused)).await;
        let Some(result) = visited else {
            writeln!(out, "{}: broken off", device.id)?;
            return Ok(Exit::Failed);
        };
        all_well &= result.is_ok();
        let (Ok(line) | Err(line)) = result;
        writeln!(out, "{}: {line}", device.id)?;
    }
    Ok(if all_well { Exit::Done } else { Exit::Failed })
}

/// What one login shows to be good.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Credential(CredentialId),
    JumpHost(Arc<str>),
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Credential(id) => write!(f, "credential {id}"),
            Self::JumpHost(name) => write!(f, "jump host {name}"),
        }
    }
}

/// A device to visit, and what no device before it tries.
struct Trial {
    device: Arc<Device>,
    tries: Vec<Part>,
}

fn parts(device: &Device) -> BTreeSet<Part> {
    let mut parts = BTreeSet::from([Part::Credential(device.credential.clone())]);
    if let Route::Via(hosts) = &device.route {
        parts.extend(hosts.iter().map(|host| Part::JumpHost(Arc::clone(&host.name))));
    }
    parts
}

/// One device of each way to log in is enough; of these, the one that tries most comes first, so that few are visited.
fn choose(devices: &[Arc<Device>]) -> Vec<Trial> {
    let mut ways: BTreeMap<BTreeSet<Part>, &Arc<Device>> = BTreeMap::new();
    for device in devices {
        ways.entry(parts(device)).or_insert(device);
    }
    let mut untried: BTreeSet<Part> = ways.keys().flatten().cloned().collect();
    let mut chosen = Vec::new();
    while !untried.is_empty() {
        let tries = |way: &BTreeSet<Part>| way.intersection(&untried).cloned().collect::<Vec<_>>();
        // The shorter way of two that try as much: less can go wrong for another reason.
        let best = ways.iter().max_by_key(|(way, _)| (tries(way).len(), usize::MAX - way.len()));
        let Some((way, device)) = best else { break };
        let tries = tries(way);
        untried.retain(|part| !tries.contains(part));
        chosen.push(Trial { device: Arc::clone(device), tries });
    }
    chosen
}

/// Whether somebody at the terminal agrees. Asked on a thread of its own, so that a signal is heard meanwhile.
async fn agreed(devices: usize, stop: &CancellationToken) -> anyhow::Result<bool> {
    let asked = tokio::task::spawn_blocking(move || consent(&mut io::stdout(), devices));
    stop.run_until_cancelled(asked).await.unwrap_or(Ok(Ok(false)))?
}

/// Logging in leaves traces in others' logs, and a wrong password counts against an account: somebody must want it.
fn consent(out: &mut impl Write, devices: usize) -> anyhow::Result<bool> {
    let stdin = io::stdin();
    ensure!(
        stdin.is_terminal(),
        "--connect logs in to {}: say --yes where nobody can be asked",
        counted(devices, "device")
    );
    write!(out, "log in to {} now, once each? [y/N] ", counted(devices, "device"))?;
    out.flush()?;
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Visits the device, unless a credential on its way was refused before: one wrong password is enough.
async fn visit(
    world: &World<SshTransport>,
    device: &Device,
    refused: &mut BTreeSet<CredentialId>,
) -> Result<String, String> {
    let on_the_way = credentials_of_jump_hosts(device);
    if let Some(bad) = on_the_way.iter().chain([&device.credential]).find(|id| refused.contains(id)) {
        return Err(format!("not tried: credential {bad} was refused already, or may have been"));
    }
    let sweep = SweepId::starting(SystemClock.now());
    let Visit { observation, trace } = world.prober.device(device, sweep).await;
    match observation.outcome {
        Outcome::Answered { reading, .. } => Ok(format!(
            "ok: {} {} in {} ms",
            reading.platform,
            clean(reading.facts.version.as_str()),
            observation.took.as_millis()
        )),
        Outcome::Failed { failure, .. } => {
            match failure.stage {
                Stage::Auth if failure.kind != FailureKind::Internal => {
                    refused.insert(device.credential.clone());
                }
                // A jump host that refuses is one that the device can't be reached through, and seen from here no more.
                Stage::Connect => refused.extend(on_the_way),
                _ => {}
            }
            let server = trace.server.map(|server| format!(" ({})", clean(&server))).unwrap_or_default();
            Err(format!("failed: {} at {}{server}: {}", failure.kind, failure.stage, clean(&failure.detail)))
        }
    }
}

fn credentials_of_jump_hosts(device: &Device) -> Vec<CredentialId> {
    match &device.route {
        Route::Direct => Vec::new(),
        Route::Via(hosts) => hosts.iter().map(|host| host.credential.clone()).collect(),
    }
}

#[cfg(test)]
mod tests;
