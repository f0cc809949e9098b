//! What one configuration means: its devices, and how they are visited. Immutable; a reload makes a new one.

use std::path::Path;
use std::sync::Arc;

use crate::activity::Judgement;
use crate::clock::Clock;
use crate::config::{self, Config, ConfigErrors};
use crate::device::Device;
use crate::inventory;
use crate::probe::Prober;
use crate::status::SourceStatus;
use crate::transport::ssh::{SshSettings, SshTransport};

/// A configuration with its inventory and the way to its devices.
pub struct World<T> {
    /// The configuration.
    pub config: Config,
    /// All devices, sorted by name.
    pub devices: Vec<Arc<Device>>,
    /// What each inventory source gave.
    pub sources: Vec<SourceStatus>,
    /// How devices are visited.
    pub prober: Arc<Prober<T>>,
}

impl<T> World<T> {
    /// What the recorder judges by.
    pub(super) fn judgement(&self) -> Judgement {
        Judgement {
            platforms: Arc::clone(&self.config.platforms),
            down_after: self.config.down_after,
            keep_history: self.config.keep_history,
        }
    }
}

impl World<SshTransport> {
    /// Reads a configuration and all that it names, and makes ready to log in. Nothing is changed by it.
    ///
    /// # Errors
    /// Everything that is wrong, all at once.
    pub fn load(path: &Path, clock: &Arc<dyn Clock>) -> Result<Self, ConfigErrors> {
        let draft = config::draft(path);
        let inventory = inventory::load(&draft.config.inventory, &draft.config.layers, &draft.config.references());
        todo(inventory, draft, clock)
    }
}
