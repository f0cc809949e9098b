//! `versweep schema`: the shape of the configuration and of an inventory, for editors and for programs that write them.

use std::io::{self, Write as _};

use clap::ValueEnum;

use super::Exit;

/// Print the JSON Schema (2020-12) of a file, for editors and for programs that write such files.
///
/// A schema knows keys and types; `versweep check` also follows references, reads secrets and tells the line.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: versweep schema > versweep.schema.json")]
pub(crate) struct Args {
    /// Of which file
    #[arg(value_enum, default_value_t)]
    of: Of,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Of {
    /// versweep.toml
    #[default]
    Configuration,
    /// An inventory in versweep's own form, such as devices.toml
    Inventory,
}

impl Of {
    fn schema(self) -> &'static str {
        match self {
            Self::Configuration => include_str!("schema/configuration.json"),
            Self::Inventory => include_str!("schema/inventory.json"),
        }
    }
}

impl Args {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        io::stdout().write_all(self.of.schema().as_bytes())?;
        Ok(Exit::Done)
    }
}

#[cfg(test)]
mod tests;
