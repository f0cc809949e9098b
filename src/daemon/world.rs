//! What one configuration means: its devices, and how they are visited. Immutable; a reload makes a new one.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::aside::aside;
use super::shelf;
use crate::activity::{Judgement, Note, SourceNews, SourceState, Withheld};
use crate::clock::Clock;
use crate::config::{self, Config, ConfigErrors, WebFlags, fetched_policies};
use crate::credential::Credential;
use crate::device::{Device, DeviceId};
use crate::dispatch::{By, Rules};
use crate::document::{Problem, Problems};
use crate::inventory::{Dropped, Inventory, Kept, Stock};
use crate::probe::Prober;
use crate::sweep::Care;
use crate::transport::ssh::{SshSettings, SshSetupError, SshTransport};

/// A configuration with its inventory and the way to its devices.
pub struct World<T> {
    /// The configuration.
    pub config: Arc<Config>,
    /// Its devices, where they came from, and what was not taken.
    pub inventory: Arc<Inventory>,
    /// What is held of each inventory source, in the order of the configuration.
    pub stocks: Vec<Stock>,
    /// How devices are visited.
    pub prober: Arc<Prober<T>>,
    /// What is allowed in the configuration and yet worth a look, one line each.
    pub of_config: Vec<String>,
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
            policies: self.config.policies.all(),
        }
    }
}

impl<T> World<T> {
    /// What all sweeps together keep to.
    #[must_use]
    pub fn rules(&self) -> Rules {
        let rate = |credential: &Arc<Credential>| credential.logins_per_second.map(f64::from);
        let rates = self.config.credentials.iter();
        Rules {
            workers: self.config.workers,
            limits: self.config.limits.clone(),
            breaker: self.config.breaker,
            logins_per_second: rates
                .filter_map(|(id, credential)| Some((id.clone(), rate(credential)?)))
                .collect(),
            fresh_for: self.config.sweeps.iter().map(|sweep| sweep.fresh_for).max().unwrap_or_default(),
        }
    }

    /// Which devices are visited a second time.
    #[must_use]
    pub fn care(&self) -> Care {
        Care { retry: true, confirm_after: self.config.confirm_after }
    }

    /// The sources of which no list is known: never answered, and none kept.
    pub fn unknown(&self) -> impl Iterator<Item = &Stock> {
        self.stocks.iter().filter(|stock| !stock.is_known())
    }

    /// What the recorder is to be told of the devices.
    #[must_use]
    pub fn note(&self) -> Note {
        let devices = self.inventory.devices.clone();
        // What is known of a device must not be lost because its server did not answer at a start.
        if self.unknown().next().is_some() {
            return Note::InventorySoFar(devices, Withheld::Any);
        }
        let withheld = self.withheld();
        if withheld.is_empty() {
            Note::Inventory(devices)
        } else {
            Note::InventorySoFar(devices, Withheld::These(withheld))
        }
    }

    /// What the recorder is to be told of the sources.
    #[must_use]
    pub fn source_news(&self) -> Note {
        Note::Sources(self.stocks.iter().map(source_news).collect())
    }

    /// The devices that a source names and that are not in the inventory, because something is wrong with what is said of
    /// them: they have not left the network.
    fn withheld(&self) -> HashSet<DeviceId> {
        let taken: HashSet<&str> = self.inventory.devices.iter().map(|device| device.id.as_str()).collect();
        let named = self.stocks.iter().flat_map(Stock::names);
        named.filter(|name| !taken.contains(&**name)).filter_map(|name| DeviceId::new(&name).ok()).collect()
    }

    /// Takes what the policies' URL last gave for what the copy on disk holds, which may be older. One that this
    /// configuration can't take leaves the copy's.
    pub fn take_policies(&mut self, text: &str) {
        let Some(source) = &self.config.policies.source else { return };
        if let Ok(fetched) = fetched_policies(&source.peer.target.server(), text, &self.config.references()) {
            Arc::make_mut(&mut self.config).policies.fetched = fetched;
        }
    }

    /// What is allowed and yet worth a look, one line each.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = self.of_config.clone();
        warnings.extend(self.inventory.warnings.iter().cloned());
        if self.unknown().next().is_none() {
            warnings.extend(idle_limits(&self.config, &self.inventory.devices));
        }
        warnings
    }

    /// The entries that are not used, each with the name of its source.
    pub fn dropped(&self) -> impl Iterator<Item = (&str, &Dropped)> {
        let by_sources = self.stocks.iter().flat_map(|stock| {
            let name = stock.source.name.as_str();
            stock.dropped().map(move |dropped| (name, dropped))
        });
        let by_merge =
            self.inventory.dropped.iter().filter_map(|(place, dropped)| {
                Some((self.stocks.get(*place)?.source.name.as_str(), dropped))
            });
        by_sources.chain(by_merge)
    }
}

impl<T> Clone for World<T> {
    fn clone(&self) -> Self {
        Self {
            config: Arc::clone(&self.config),
            inventory: Arc::clone(&self.inventory),
            stocks: self.stocks.clone(),
            prober: Arc::clone(&self.prober),
            of_config: self.of_config.clone(),
        }
    }
}

impl<T> World<T> {
    /// Keeps the last good list of each source on disk, those that differ from what is there. A disk that refuses costs
    /// a restart its fallback, not the daemon its inventory. Blocks.
    pub fn keep_lists(&self) {
        for stock in &self.stocks {
            self.keep(stock);
        }
    }

    /// The same for one source.
    pub(super) fn keep_list(&self, source: &str) {
        for stock in self.stocks.iter().filter(|stock| stock.source.name == source) {
            self.keep(stock);
        }
    }

    fn keep(&self, stock: &Stock) {
        if let Err(error) = stock.keep(&Kept::beside(&self.config.store)) {
            let source = stock.source.name.as_str();
            tracing::error!(source, %error, "the last good list could not be kept for a restart");
        }
    }
}

/// A source as the recorder is told of it.
pub(super) fn source_news(stock: &Stock) -> SourceNews {
    let state = match (stock.trouble(), stock.status().looked) {
        (Some(trouble), _) => {
            // First, where a long reason doesn't cut it off.
            let stays = if stock.is_known() {
                format!("its last good list of {} devices stays in force", stock.devices())
            } else {
                "no good list of it is known".to_owned()
            };
            SourceState::Failing { reason: trouble.kind, why: format!("{stays}: {trouble}") }
        }
        (None, Some(_)) => SourceState::Good { why: "the last look at it was good" },
        (None, None) => SourceState::Unseen,
    };
    SourceNews { source: stock.source.name.as_str().into(), state }
}

/// What inventory sources fall back to while they can't be read.
pub enum Before<'a> {
    /// Nothing: `versweep check` tells everything that is wrong.
    Nothing,
    /// The last good lists on disk: a start.
    Kept,
    /// What the daemon holds: a reload.
    Running(&'a World<SshTransport>),
}

impl World<SshTransport> {
    /// Reads a configuration and all that it names, and makes ready to log in. Nothing is changed by it. Blocks.
    ///
    /// # Errors
    /// Everything that is wrong, all at once.
    pub fn load(path: &Path, clock: &Arc<dyn Clock>, before: &Before<'_>) -> Result<Self, ConfigErrors> {
        Self::load_with(path, &WebFlags::default(), clock, before)
    }

    /// Reads the configuration of a start, on a thread of its own; nothing where `stop` comes before that is done.
    ///
    /// # Errors
    /// Everything that is wrong, all at once.
    pub async fn load_until(
        stop: &CancellationToken,
        path: &Path,
        flags: &WebFlags,
        clock: &Arc<dyn Clock>,
    ) -> anyhow::Result<Option<Self>> {
        let (path, flags, clock) = (path.to_owned(), flags.clone(), Arc::clone(clock));
        let loaded = aside(stop, move || Self::load_with(&path, &flags, &clock, &Before::Kept)).await?;
        Ok(loaded.transpose()?)
    }

    /// Like [`World::load`], with what the command line says over the file.
    ///
    /// # Errors
    /// Everything that is wrong, all at once.
    pub fn load_with(
        path: &Path,
        flags: &WebFlags,
        clock: &Arc<dyn Clock>,
        before: &Before<'_>,
    ) -> Result<Self, ConfigErrors> {
        let mut draft = config::draft_with(path, flags);
        let mut warnings = std::mem::take(&mut draft.config.warnings);
        let (stocks, problems) = shelf::stocks(&draft.config, before, clock, &mut warnings);
        if !problems.is_empty() {
            draft.problems.extend(problems);
            draft.problems.extend(Inventory::examine(&stocks, &draft.config.layers));
        }
        let inventory = Inventory::assemble(&stocks, &draft.config.layers).unwrap_or_else(|others| {
            draft.problems.extend(others);
            Inventory::default()
        });
        let identities = draft.config.take_identities(&inventory.devices);
        draft.problems.extend(identities.err().unwrap_or_default());
        warnings.append(&mut draft.config.warnings);
        draft.problems.0.dedup();
        let config = draft.finish()?;
        let settings = ssh_settings(&config);
        let transport = match before {
            Before::Running(before) => before.prober.transport.renew(settings),
            Before::Nothing | Before::Kept => SshTransport::new(settings),
        };
        let transport = transport.map_err(|errors| login_problems(path, &errors))?;
        let prober = Prober {
            transport: Arc::new(transport),
            platforms: Arc::clone(&config.platforms),
            clock: Arc::clone(clock),
        };
        Ok(Self {
            config: Arc::new(config),
            inventory: Arc::new(inventory),
            stocks,
            prober: Arc::new(prober),
            of_config: warnings,
        })
    }
}

/// Limits that limit nothing: most likely a label that is spelled another way in the inventory.
fn idle_limits(config: &Config, devices: &[Arc<Device>]) -> Vec<String> {
    let label = |by: &By| match by {
        By::Label(name) if name != "platform" => Some(name.clone()),
        _ => None,
    };
    let unknown = |name: &String| {
        !devices.is_empty() && !devices.iter().any(|device| device.labels.get(name).is_some())
    };
    let idle = config.limits.iter().filter_map(|limit| label(&limit.by)).filter(unknown);
    let file = config.path.display();
    idle.map(|name| format!("{file}: workers.limit: no device of the inventory has the label {name:?}"))
        .collect()
}

pub(super) fn ssh_settings(config: &Config) -> SshSettings {
    SshSettings {
        extra_known_hosts: config.extra_known_hosts.clone(),
        ..SshSettings::new(config.credentials.clone(), config.known_hosts.clone())
    }
}

pub(super) fn login_problems(path: &Path, errors: &[SshSetupError]) -> ConfigErrors {
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
