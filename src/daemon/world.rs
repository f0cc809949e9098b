//! What one configuration means: its devices, and how they are visited. Immutable; a reload makes a new one.

use std::path::Path;
use std::sync::Arc;

use crate::activity::Judgement;
use crate::clock::Clock;
use crate::config::{self, Config, ConfigErrors};
use crate::credential::Credential;
use crate::device::Device;
use crate::document::{Problem, Problems};
use crate::inventory::{self, Inventory};
use crate::probe::Prober;
use crate::status::SourceStatus;
use crate::sweep::{Care, GateRules};
use crate::transport::ssh::{SshSettings, SshSetupError, SshTransport};

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
    /// What is allowed and yet worth a look, one line each.
    pub warnings: Vec<String>,
}

impl<T> World<T> {
    /// What the recorder judges by.
    #[must_use]
    pub fn judgement(&self) -> Judgement {
        Judgement {
            platforms: Arc::clone(&self.config.platforms),
            down_after: self.config.down_after,
            flapping: self.config.flapping,
            keep_history: self.config.keep_history,
        }
    }
}

impl<T> World<T> {
    /// What the gates of credentials keep to.
    #[must_use]
    pub fn gate_rules(&self) -> GateRules {
        let rate = |credential: &Arc<Credential>| credential.logins_per_second.map(f64::from);
        let rates = self.config.credentials.iter();
        GateRules {
            breaker: self.config.breaker,
            logins_per_second: rates
                .filter_map(|(id, credential)| Some((id.clone(), rate(credential)?)))
                .collect(),
        }
    }

    /// Which devices are visited a second time.
    #[must_use]
    pub fn care(&self) -> Care {
        Care { retry: true, confirm_after: self.config.confirm_after }
    }
}

impl World<SshTransport> {
    /// Reads a configuration and all that it names, and makes ready to log in; `before` is the world that it takes the
    /// place of at a reload. Nothing is changed by it. Blocks.
    ///
    /// # Errors
    /// Everything that is wrong, all at once.
    pub fn load(path: &Path, clock: &Arc<dyn Clock>, before: Option<&Self>) -> Result<Self, ConfigErrors> {
        let (config, inventory) = read(path)?;
        let warnings = config.warnings.iter().chain(&inventory.warnings).cloned().collect();
        let settings = ssh_settings(&config);
        let transport = match before {
            Some(before) => before.prober.transport.renew(settings),
            None => SshTransport::new(settings),
        };
        let transport = transport.map_err(|errors| login_problems(path, &errors))?;
        let at = clock.now();
        let sources = inventory.sources.into_iter();
        let sources = sources
            .map(|count| SourceStatus { source: count.source, devices: count.devices, success: true, at })
            .collect();
        let prober = Prober {
            transport: Arc::new(transport),
            platforms: Arc::clone(&config.platforms),
            clock: Arc::clone(clock),
        };
        Ok(Self { config, devices: inventory.devices, sources, prober: Arc::new(prober), warnings })
    }
}

/// Reads both, so that the errors of all files are told at once.
fn read(path: &Path) -> Result<(Config, Inventory), ConfigErrors> {
    let mut draft = config::draft(path);
    let inventory =
        inventory::load(&draft.config.inventory, &draft.config.layers, &draft.config.references());
    let inventory = inventory.unwrap_or_else(|problems| {
        draft.problems.extend(problems);
        Inventory::default()
    });
    let identities = draft.config.take_identities(&inventory.devices);
    draft.problems.extend(identities.err().unwrap_or_default());
    Ok((draft.finish()?, inventory))
}

fn ssh_settings(config: &Config) -> SshSettings {
    SshSettings {
        extra_known_hosts: config.extra_known_hosts.clone(),
        ..SshSettings::new(config.credentials.clone(), config.known_hosts.clone())
    }
}

fn login_problems(path: &Path, errors: &[SshSetupError]) -> ConfigErrors {
    let problem = |error: &SshSetupError| {
        let (key, problem) = match error {
            SshSetupError::Credential { credential, problem } => {
                (format!("credentials.{credential}"), problem.to_string())
            }
            SshSetupError::KnownHosts { .. } => ("ssh".to_owned(), error.to_string()),
        };
        Problem { file: path.display().to_string(), key, problem, ..Problem::default() }
    };
    Problems(errors.iter().map(problem).collect())
}
