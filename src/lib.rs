//! versweep sweeps a fleet of routers and switches over SSH, knows which OS version each runs, and tells what changed.
//!
//! Modules in reading order; a floor imports only downward (ARCHITECTURE.md has the picture, `tests/tidy.rs` keeps it).

// floor 0: nouns
pub mod change;
pub mod clock;
pub mod credential;
pub mod device;
pub mod duration;
pub mod event;
pub mod expression;
pub mod facts;
pub mod failure;
pub mod hash;
pub mod known;
pub mod observation;
pub mod order;
pub mod status;
pub mod text;
pub mod version;
pub mod wildcard;

// floor 1: thought, pure
pub mod breaker;
pub mod budget;
pub mod dialogue;
pub mod diff;
pub mod dispatch;
pub mod document;
pub mod forecast;
pub mod holdoff;
pub mod parse;
pub mod platform;
pub mod policy;
pub mod settings;
pub mod ssh_config;
pub mod textdiff;
pub mod timetable;

// floor 2: doors to the outside
pub mod config;
pub mod fetch;
pub mod inventory;
pub mod limits;
pub mod metrics;
pub mod sink;
pub mod source;
pub mod store;
pub mod transport;
pub mod web_config;

// floor 3: motion
pub mod activity;
pub mod courier;
pub mod http;
pub mod probe;
pub mod recorder;
pub mod schedule;
pub mod sim;
pub mod sweep;

pub mod cli;
pub mod daemon;

#[cfg(test)]
#[path = "../tests/support/seeds.rs"]
mod seeds;
