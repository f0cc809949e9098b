//! What versweep promises, one file per behaviour; nothing here needs an installed server.

#[path = "support/visits.rs"]
mod visits;

#[path = "behaviours/corpus.rs"]
mod corpus;
#[path = "behaviours/crash.rs"]
mod crash;
#[path = "behaviours/diff.rs"]
mod diff;
#[path = "behaviours/parse.rs"]
mod parse;
#[path = "behaviours/recorder.rs"]
mod recorder;
#[path = "behaviours/sinks.rs"]
mod sinks;
#[path = "behaviours/store.rs"]
mod store;
