//! Where the log goes: to the journal with its fields where systemd started us, else to standard error.

use std::env;
use std::io::{self, IsTerminal as _};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// The variable that sets the level, such as `debug` or `versweep::sweep=debug`.
const LEVEL: &str = "VERSWEEP_LOG";

/// Starts logging: a daemon tells what it does, a command only what is wrong.
pub(super) fn start(daemon: bool) {
    let default =
        if daemon { "info,russh=error,rusqlite_migration=warn,tokio_cron_scheduler=error" } else { "error" };
    let filter = EnvFilter::try_from_env(LEVEL).unwrap_or_else(|_| EnvFilter::new(default));
    let registry = tracing_subscriber::registry().with(filter);
    // systemd sets JOURNAL_STREAM where standard error goes to the journal anyway.
    if env::var_os("JOURNAL_STREAM").is_some()
        && let Ok(journald) = tracing_journald::layer()
    {
        registry.with(journald.with_field_prefix(Some("VERSWEEP".to_owned()))).init();
        return;
    }
    let stderr =
        tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    registry.with(stderr).init();
}
