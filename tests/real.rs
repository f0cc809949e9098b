//! Tests against real servers, installed and run by `make test`; plain `cargo test` shows them as ignored.
