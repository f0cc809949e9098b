//! `versweep check`: tells everything that is wrong with a configuration and its inventory, and changes nothing.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use super::{Exit, signals};
use crate::clock::{Clock, SystemClock};
use crate::daemon::{Before, World, fixed_keys};
use crate::duration::HumanDuration;
use crate::timetable::Timetable;
use crate::transport::ssh::SshTransport;

mod connect;

/// Check a configuration and its inventory without starting anything.
///
/// Reads the file, the secrets, platform profiles and inventories that it names, and tells everything that is wrong, one
/// error a line. Exits with 0 when all is well and with 64 otherwise.
///
/// With --connect it then logs in, once you agree, to as few devices as try every credential and every jump host, one after
/// the other; it exits with 1 when one of them didn't answer.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  versweep check /etc/versweep/versweep.toml\n  versweep check --connect versweep.toml"
)]
pub(crate) struct Args {
    /// The configuration file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Log in to a device of each credential and of each jump host
    #[arg(long)]
    connect: bool,
    /// Don't ask before logging in
    #[arg(long, requires = "connect")]
    yes: bool,
}

impl Args {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let world = World::load(&self.file, &clock, &Before::Nothing)?;
        let mut err = io::stderr().lock();
        for warning in &world.warnings() {
            writeln!(err, "warning: {warning}")?;
        }
        self.summary(&world, &mut io::stdout().lock(), &mut err)?;
        if self.connect {
            return signals::run_until_signal(|stop| connect::run(self, world, stop));
        }
        Ok(Exit::Done)
    }

    fn summary(
        &self,
        world: &World<SshTransport>,
        out: &mut impl Write,
        err: &mut impl Write,
    ) -> io::Result<()> {
        let config = &world.config;
        let counts = [
            counted(world.inventory.devices.len(), "device"),
            counted(config.sweeps.len(), "sweep"),
            counted(config.sinks.len(), "sink"),
            counted(config.credentials.len(), "credential"),
        ];
        writeln!(out, "{}: ok: {}", self.file.display(), counts.join(", "))?;
        writeln!(
            out,
            "  a change of {} waits for a restart, all else for a reload",
            fixed_keys().join(", ")
        )?;
        for stock in &world.stocks {
            match stock.source.kind.peer() {
                Some(_) => {
                    writeln!(out, "  inventory {}: a server, which is not asked here", stock.source.name)?
                }
                None => {
                    let devices = counted(stock.devices(), "device");
                    writeln!(out, "  inventory {}: {devices}", stock.source.name)?;
                }
            }
        }
        for sweep in &config.sweeps {
            let devices =
                world.inventory.devices.iter().filter(|device| sweep.select.matches(device)).count();
            let when = match &sweep.timetable {
                Timetable::Cron(times) => format!("at {times}"),
                Timetable::Every(period) => format!("every {}", HumanDuration(*period)),
                Timetable::OnDemand => "on demand".to_owned(),
            };
            writeln!(out, "  sweep {}: {}, {when}", sweep.name, counted(devices, "device"))?;
            // What a server gives, nobody knows here.
            let all_known = world.stocks.iter().all(|stock| stock.source.kind.peer().is_none());
            if devices == 0 && all_known {
                writeln!(err, "warning: sweep {} selects no device", sweep.name)?;
            }
        }
        Ok(())
    }
}

fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}
