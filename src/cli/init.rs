//! `versweep init`: the files of a first start, to edit.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::Exit;

/// The files, as the package installs them too.
const FILES: [(&str, &str); 2] = [
    ("versweep.toml", include_str!("../../etc/start/versweep.toml")),
    ("devices.toml", include_str!("../../etc/start/devices.toml")),
];

/// Where `{ credential = "NAME" }` is read from when there is no systemd to hand it over.
const CREDENTIALS: &str = "credentials";

/// Write a commented configuration and inventory for a first start.
///
/// Files that are there already are never overwritten.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: versweep init /etc/versweep")]
pub(crate) struct Args {
    /// The folder; it is made where it is not there
    #[arg(value_name = "FOLDER", default_value = ".")]
    folder: PathBuf,
}

impl Args {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        write_all(&self.folder)?;
        let config = self.folder.join("versweep.toml");
        let mut out = io::stdout();
        writeln!(out, "wrote {} and devices.toml beside it; next:", config.display())?;
        writeln!(out, "  put a password into {}", self.folder.join(CREDENTIALS).join("netops").display())?;
        writeln!(out, "  name your devices in {}", self.folder.join("devices.toml").display())?;
        writeln!(out, "  versweep check {}", config.display())?;
        Ok(Exit::Done)
    }
}

fn write_all(folder: &Path) -> anyhow::Result<()> {
    // Looked at before anything is written: half a set of files would be found by the next try.
    if let Some((name, _)) = FILES.iter().find(|(name, _)| folder.join(name).exists()) {
        bail!("{} is there already: nothing was written; take another folder", folder.join(name).display());
    }
    // Secrets will lie here: for nobody but the owner.
    let secrets = folder.join(CREDENTIALS);
    fs::create_dir_all(folder)
        .and_then(|()| DirBuilder::new().mode(0o700).recursive(true).create(&secrets))
        .with_context(|| format!("making the folder {}", secrets.display()))?;
    for (name, text) in FILES {
        let path = folder.join(name);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&path);
        file.and_then(|mut file| file.write_all(text.as_bytes()))
            .with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}
