//! Work that takes long, done where a stop need not wait for it.

use std::panic::resume_unwind;
use std::thread;

use anyhow::Context as _;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// Does a piece of work on a thread of its own and gives what it comes to; nothing where `stop` comes first. Nobody waits for
/// the thread then: a file server that is gone holds a reading for hours, and the runtime's own threads would be waited for.
///
/// # Errors
/// The machine has no more threads.
pub(crate) async fn aside<T: Send + 'static>(
    stop: &CancellationToken,
    work: impl FnOnce() -> T + Send + 'static,
) -> anyhow::Result<Option<T>> {
    let (sender, done) = oneshot::channel();
    let runtime = Handle::current();
    let thread = move || {
        let _inside = runtime.enter();
        // Whoever asked may have gone on without it.
        let _gone = sender.send(work());
    };
    let thread =
        thread::Builder::new().name("aside".to_owned()).spawn(thread).context("no thread to be had")?;
    match stop.run_until_cancelled(done).await {
        None => Ok(None),
        Some(Ok(result)) => Ok(Some(result)),
        Some(Err(_)) => match thread.join() {
            Err(panic) => resume_unwind(panic),
            Ok(()) => anyhow::bail!("a piece of work came to nothing"),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_stop_waits_for_no_work() {
        let stop = CancellationToken::new();
        assert_eq!(aside(&stop, || 7).await.unwrap(), Some(7));
        let (_held, never) = mpsc::sync_channel::<()>(1);
        stop.cancel();
        assert_eq!(aside(&stop, move || never.recv().is_ok()).await.unwrap(), None);
    }
}
