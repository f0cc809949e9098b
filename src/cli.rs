//! (being built)

pub mod parse;
pub mod platforms;
