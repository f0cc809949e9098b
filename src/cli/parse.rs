//! `versweep parse`: device output from files or stdin through a profile.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::ValueEnum;
use comfy_table::{Table, presets};
use serde::Serialize;

use super::{Exit, platforms};
use crate::facts::{Member, Reading};
use crate::parse;
use crate::platform::{Platforms, Profile};

/// The arguments of `versweep parse`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: ssh core1 show version | versweep parse --platform auto --output json")]
pub(crate) struct Args {
    /// The platform's key or alias, or `auto` to find it from the text
    #[arg(long, default_value = "auto")]
    platform: String,
    /// How to print what was read
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
    /// Lay the profiles (*.toml) of this folder over the built-in ones
    #[arg(long, value_name = "FOLDER")]
    profiles: Option<PathBuf>,
    /// Files with the output of one device each; `-` or none for stdin
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// A table for people, errors below it
    Table,
    /// One JSON object a line
    Json,
}

/// Reads every file; the exit code is 1 if any could not be read.
///
/// # Errors
/// An unknown platform, a profile that doesn't hold, an output that can't be written.
pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    let platforms = platforms::load(args.profiles.as_deref())?;
    let all_read = read_all(args, &platforms, &mut io::stdin().lock(), &mut io::stdout().lock())?;
    Ok(if all_read { Exit::Done } else { Exit::Failed })
}

/// One file's result, as it is printed.
#[derive(Debug, Serialize)]
#[serde(untagged)]
#[expect(clippy::large_enum_variant, reason = "one a file, and nearly all of them the large one")]
enum Line {
    Read {
        file: String,
        platform: String,
        version: String,
        model: Option<String>,
        serial: Option<String>,
        hostname: Option<String>,
        image: Option<String>,
        uptime_seconds: Option<u64>,
        members: Vec<Member>,
        patches: Vec<String>,
        next_boot: Option<String>,
        vendor: String,
        os: String,
        cpe: Option<String>,
        purl: String,
        pattern: String,
    },
    Failed {
        file: String,
        error: String,
    },
}

impl Line {
    fn of(file: String, result: Result<(&Profile, Reading), String>) -> Self {
        let (profile, reading) = match result {
            Ok(read) => read,
            Err(error) => return Self::Failed { file, error },
        };
        let facts = reading.facts;
        let more = facts.more.map(|more| *more).unwrap_or_default();
        Self::Read {
            file,
            platform: reading.platform.to_string(),
            vendor: profile.vendor.clone(),
            os: profile.os.clone(),
            cpe: profile.cpe_of(&facts.version),
            purl: profile.purl_of(&facts.version),
            version: facts.version.to_string(),
            model: facts.model,
            serial: facts.serial,
            hostname: facts.hostname,
            image: facts.image,
            uptime_seconds: facts.uptime.map(|uptime| uptime.as_secs()),
            members: more.members,
            patches: more.patches,
            next_boot: more.next_boot,
            pattern: reading.pattern,
        }
    }
}

fn read_all(
    args: &Args,
    platforms: &Platforms,
    stdin: &mut impl Read,
    out: &mut impl Write,
) -> anyhow::Result<bool> {
    if args.platform != "auto" && platforms.find(&args.platform).is_none() {
        let known: Vec<_> = platforms.keys().map(ToString::to_string).collect();
        bail!("no platform {:?}: `auto`, or one of {}", args.platform, known.join(", "));
    }
    let mut lines = Vec::new();
    let stdin_alone = [PathBuf::from("-")];
    let files = if args.files.is_empty() { &stdin_alone[..] } else { &args.files };
    for file in files {
        let text =
            if file.as_os_str() == "-" { bounded(&mut *stdin) } else { File::open(file).and_then(bounded) };
        let result = match text {
            Ok(text) => read_one(platforms, &args.platform, &text),
            Err(error) => Err(error.to_string()),
        };
        let line = Line::of(file.display().to_string(), result);
        match args.output {
            // At once, so that a long list can be watched.
            Output::Json => {
                writeln!(out, "{}", serde_json::to_string(&line)?).context("writing the result")?
            }
            Output::Table => {}
        }
        lines.push(line);
    }
    if args.output == Output::Table {
        print_table(&lines, out).context("writing the table")?;
    }
    Ok(!lines.iter().any(|line| matches!(line, Line::Failed { .. })))
}

/// At most one byte more than is read, so that the parser can say that it is too much.
fn bounded(from: impl Read) -> io::Result<String> {
    let mut bytes = Vec::new();
    from.take(parse::INPUT_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn read_one<'p>(
    platforms: &'p Platforms,
    platform: &str,
    text: &str,
) -> Result<(&'p Profile, Reading), String> {
    let result = match platforms.find(platform) {
        Some(profile) => parse::parse(profile, text),
        None => parse::parse_any(platforms, text),
    };
    let reading = result.map_err(|error| error.to_string())?;
    let profile = platforms.get(&reading.platform).ok_or("the profile is gone")?;
    Ok((profile, reading))
}

fn print_table(lines: &[Line], out: &mut impl Write) -> io::Result<()> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["FILE", "PLATFORM", "VERSION", "MODEL", "SERIAL", "HOSTNAME", "UP", "PATTERN"]);
    let or_dash = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
    for line in lines {
        if let Line::Read {
            file, platform, version, model, serial, hostname, uptime_seconds, pattern, ..
        } = line
        {
            table.add_row([
                file.clone(),
                platform.clone(),
                version.clone(),
                or_dash(model),
                or_dash(serial),
                or_dash(hostname),
                uptime_seconds.map_or_else(|| "-".to_owned(), in_words),
                pattern.clone(),
            ]);
        }
    }
    if !table.is_empty() {
        writeln!(out, "{}", table.trim_fmt())?;
    }
    for line in lines {
        if let Line::Failed { file, error } = line {
            writeln!(out, "{file}: {error}")?;
        }
    }
    Ok(())
}

/// `12d 3h`, `4h 5m`, `59s`: the two largest units.
fn in_words(seconds: u64) -> String {
    let uptime = Duration::from_secs(seconds);
    let minutes = uptime.as_secs() / 60;
    let (days, hours) = (minutes / 1440, minutes / 60 % 24);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, minutes) => format!("{minutes}m {}s", seconds % 60),
        (0, hours, minutes) => format!("{hours}h {}m", minutes % 60),
        (days, hours, _) => format!("{days}d {hours}h"),
    }
}

#[cfg(test)]
mod tests;
