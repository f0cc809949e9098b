//! A tool whose work blocks, lent to a thread that may.

use tokio::task::{JoinError, spawn_blocking};

/// A tool that is away while it works.
#[derive(Debug)]
pub struct Lent<T>(Option<T>);

impl<T: Send + 'static> Lent<T> {
    /// A tool that is here.
    pub fn new(tool: T) -> Self {
        Self(Some(tool))
    }

    /// Has the tool work off the async threads.
    ///
    /// # Errors
    /// When the work panics; then the tool is lost, and nothing is done with it ever again.
    pub async fn with<R: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut T) -> R + Send + 'static,
    ) -> Result<R, JoinError> {
        let Some(mut tool) = self.0.take() else {
            // Only a panic or a wait that was given up loses it, and either ends the courier that asks here.
            return std::future::pending().await;
        };
        let (tool, result) = spawn_blocking(move || {
            let result = work(&mut tool);
            (tool, result)
        })
        .await?;
        self.0 = Some(tool);
        Ok(result)
    }
}
