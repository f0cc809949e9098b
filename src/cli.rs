//! (being built)

pub mod check;
