//! Behaviours of versweep, one file each; one binary, so that it links once.

#[cfg(test)]
#[path = "behaviours/config.rs"]
mod config;
#[cfg(test)]
#[path = "behaviours/corpus.rs"]
mod corpus;
#[cfg(test)]
#[path = "behaviours/inventory.rs"]
mod inventory;
#[cfg(test)]
#[path = "behaviours/parse.rs"]
mod parse;
