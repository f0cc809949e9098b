//! `versweep check`: tells everything that is wrong with a configuration and its inventory, and changes nothing.

use std::io::{self, Write};
use std::path::PathBuf;

use crate::config::{self, Config, ConfigErrors, ScheduleConfig};
use crate::inventory::{self, Inventory};

/// The exit code for a bad configuration or usage.
pub const EXIT_BAD_CONFIG: u8 = 64;

/// Check a configuration and its inventory without starting anything.
///
/// Reads the file, the secrets, platform profiles and inventories that it names, and tells everything that is wrong, one
/// error a line. Exits with 0 when all is well and with 64 otherwise.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  versweep check /etc/versweep/versweep.toml")]
pub struct Args {
    /// The configuration file.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// Checks the file and writes the findings: errors and warnings to `err`, a summary to `out`. Returns the exit code.
///
/// # Errors
/// When nothing can be written.
pub fn run(args: &Args, out: &mut impl Write, err: &mut impl Write) -> io::Result<u8> {
    match load(args) {
        Ok((config, inventory)) => {
            for warning in config.warnings.iter().chain(&inventory.warnings) {
                writeln!(err, "warning: {warning}")?;
            }
            summary(args, &config, &inventory, out, err)?;
            Ok(0)
        }
        Err(errors) => {
            writeln!(err, "{errors}")?;
            Ok(EXIT_BAD_CONFIG)
        }
    }
}

/// Loads both, so that the errors of all files are told at once.
fn load(args: &Args) -> Result<(Config, Inventory), ConfigErrors> {
    let mut draft = config::draft(&args.file);
    let inventory =
        inventory::load(&draft.config.inventory, &draft.config.layers, &draft.config.references());
    let inventory = inventory.unwrap_or_else(|problems| {
        draft.problems.extend(problems);
        Inventory::default()
    });
    Ok((draft.finish()?, inventory))
}

fn summary(
    args: &Args,
    config: &Config,
    inventory: &Inventory,
    out: &mut impl Write,
    err: &mut impl Write,
) -> io::Result<()> {
    let counts = [
        counted(inventory.devices.len(), "device"),
        counted(config.sweeps.len(), "sweep"),
        counted(config.sinks.len(), "sink"),
        counted(config.credentials.len(), "credential"),
    ];
    writeln!(out, "{}: ok: {}", args.file.display(), counts.join(", "))?;
    for source in &inventory.sources {
        writeln!(out, "  inventory {}: {}", source.source, counted(source.devices, "device"))?;
    }
    for sweep in &config.sweeps {
        let devices = inventory.devices.iter().filter(|device| sweep.select.matches(device)).count();
        let when = match &sweep.schedule {
            ScheduleConfig::Cron { expression, timezone } => format!("at \"{expression}\" {timezone}"),
            ScheduleConfig::Every(period) => format!("every {}", crate::duration::HumanDuration(*period)),
            ScheduleConfig::Never => "on demand".to_owned(),
        };
        writeln!(out, "  sweep {}: {}, {when}", sweep.name, counted(devices, "device"))?;
        if devices == 0 {
            writeln!(err, "warning: sweep {} selects no device", sweep.name)?;
        }
    }
    Ok(())
}

fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}
