//! Signals: the first SIGINT or SIGTERM asks for a graceful stop, a second one leaves at once.

use std::future::Future;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::Exit;

/// Runs a command on a runtime of its own. It is told to stop by the first signal; the second one drops it where it
/// stands.
pub(super) fn run_until_signal<F: Future<Output = anyhow::Result<Exit>>>(
    command: impl FnOnce(CancellationToken) -> F,
) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime could not start")?;
    let result = runtime.block_on(async {
        let stop = CancellationToken::new();
        let mut signals = Signals::listen()?;
        tokio::select! {
            biased;
            () = signals.second(&stop) => {
                warn!("second signal: leaving at once, not gracefully");
                Ok(Exit::Failed)
            }
            result = command(stop.clone()) => result,
        }
    });
    // Blocking work that is left, such as a name lookup, is not waited for.
    runtime.shutdown_background();
    result
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("signals can't be listened for");
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    async fn any(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    async fn second(&mut self, stop: &CancellationToken) {
        self.any().await;
        info!("stopping; a second signal leaves at once");
        stop.cancel();
        self.any().await;
    }
}
