//! `versweep platforms`: which platforms there are, and one as TOML to copy and adapt.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use comfy_table::{Table, presets};

use super::Exit;
use crate::platform::Platforms;

/// The arguments of `versweep platforms`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: versweep platforms cisco_xr > profiles/my_xr.toml")]
pub(crate) struct Args {
    /// Print this platform's profile as TOML, to copy and adapt
    name: Option<String>,
    /// Lay the profiles (*.toml) of this folder over the built-in ones
    #[arg(long, value_name = "FOLDER")]
    profiles: Option<PathBuf>,
}

/// Lists the platforms, or prints one.
///
/// # Errors
/// An unknown name, a profile that doesn't hold, an output that can't be written.
pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    let platforms = load(args.profiles.as_deref())?;
    print(&platforms, args.name.as_deref(), &mut io::stdout().lock())?;
    Ok(Exit::Done)
}

fn print(platforms: &Platforms, name: Option<&str>, out: &mut impl Write) -> anyhow::Result<()> {
    let Some(name) = name else { return list(platforms, out) };
    let Some(profile) = platforms.find(name) else {
        let known: Vec<_> = platforms.keys().map(ToString::to_string).collect();
        bail!("no platform {name:?}: known are {}", known.join(", "));
    };
    out.write_all(profile.source.as_bytes()).context("writing the profile")
}

fn list(platforms: &Platforms, out: &mut impl Write) -> anyhow::Result<()> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["PLATFORM", "NAME", "VENDOR", "ALIASES", "COMMANDS"]);
    for profile in platforms.iter() {
        table.add_row([
            profile.key.as_str(),
            &profile.name,
            &profile.vendor,
            &profile.aliases.join(", "),
            &profile.commands.join("; "),
        ]);
    }
    writeln!(out, "{}", table.trim_fmt()).context("writing the table")
}

/// The built-in profiles, with those of a folder over them.
pub(super) fn load(folder: Option<&Path>) -> anyhow::Result<Platforms> {
    let Some(folder) = folder else { return Ok(Platforms::builtin()) };
    let entries = fs::read_dir(folder).with_context(|| format!("reading the folder {}", folder.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.with_context(|| format!("reading the folder {}", folder.display()))?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
            files.push((path.display().to_string(), text));
        }
    }
    files.sort();
    Platforms::builtin().with_user_profiles(files).map_err(|errors| {
        let lines: Vec<_> = errors.iter().map(ToString::to_string).collect();
        anyhow::anyhow!(lines.join("\n"))
    })
}

#[cfg(test)]
mod tests {
    use super::{Platforms, load, print};

    fn printed(name: Option<&str>) -> anyhow::Result<String> {
        let mut out = Vec::new();
        print(&load(None)?, name, &mut out)?;
        Ok(String::from_utf8(out)?)
    }

    #[test]
    fn the_list_has_a_line_a_platform() {
        let list = printed(None).unwrap();
        assert_eq!(list.lines().count(), Platforms::builtin().keys().count() + 1, "{list}");
        assert!(list.contains("cisco_xr") && list.contains("Cisco IOS XR"), "{list}");
    }

    #[test]
    fn a_printed_profile_can_be_used_as_a_users() {
        let text = printed(Some("eos")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let own = |line: &str| {
            if line.starts_with("revision = ") { "revision = 77".into() } else { line.to_owned() }
        };
        let text: Vec<String> = text.lines().map(own).collect();
        std::fs::write(folder.path().join("mine.toml"), text.join("\n")).unwrap();
        std::fs::write(folder.path().join("notes.txt"), "not a profile").unwrap();
        let platforms = load(Some(folder.path())).unwrap();
        assert_eq!(platforms.find("arista_eos").unwrap().revision, 77);
    }

    #[test]
    fn an_unknown_name_is_told_what_is_known() {
        let error = printed(Some("cisco_xyz")).unwrap_err().to_string();
        assert!(error.starts_with("no platform \"cisco_xyz\": known are a10, "), "{error}");
    }
}
