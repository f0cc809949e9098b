//! Behaviours of versweep, one file each; one binary, so that it links once.

#[path = "behaviours/corpus.rs"]
mod corpus;
#[path = "behaviours/parse.rs"]
mod parse;
