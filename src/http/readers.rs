//! The store, read beside the recorder: a few connections that can't write, each used by one request at a time.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::http::problem::Refusal;
use crate::store::{Reader, StoreError};

/// Reads at once. More would only wait for the same disk, and take its time from the recorder.
const READERS: usize = 4;

/// Lends readers.
pub(super) struct Readers {
    path: PathBuf,
    permits: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Reader>>>,
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, permits: Arc::new(Semaphore::new(READERS)), idle: Arc::default() }
    }

    /// Reads in a thread that may block. A reader that failed is not used again.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Refusal> {
        // The semaphore is never closed.
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| Refusal::Store)?;
        let (path, idle) = (self.path.clone(), Arc::clone(&self.idle));
        let read = spawn_blocking(move || {
            // It stays with the work: a client that hangs up makes no room for one more read.
            let _permit = permit;
            let held = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let reader = held.map_or_else(|| Reader::open(&path), Ok)?;
            let result = work(&reader)?;
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(reader);
            Ok::<_, StoreError>(result)
        });
        match read.await {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(error)) => {
                tracing::warn!("can't answer a request from the store: {error}");
                Err(Refusal::Store)
            }
            Err(error) => {
                tracing::error!(%error, "reading the store broke off");
                Err(Refusal::Store)
            }
        }
    }
}
