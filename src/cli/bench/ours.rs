//! versweep as a visitor: its own engine over its own transport, with a recorder that only counts.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use secrecy::SecretString;
use tokio::sync::{mpsc, watch};

use super::fleet::Target;
use crate::activity::{NOTES_WAITING, Note, Reason};
use crate::clock::{Clock as _, SystemClock};
use crate::credential::Credential;
use crate::device::{
    CredentialId, Device, DeviceId, Endpoint, HostKeyPolicy, Labels, PlatformChoice, PlatformKey, Route,
    SshAlgorithms, Timeouts,
};
use crate::dialogue::{Channel, Errand};
use crate::observation::{Outcome, SweepId};
use crate::platform::Platforms;
use crate::probe::Prober;
use crate::sim::{PASSWORD, USERNAME};
use crate::status::SweepStatus;
use crate::sweep::{self, Care, Engine, Outlet, Plan, Stop};
use crate::timetable::Windows;
use crate::transport::ssh::{SshSettings, SshTransport};
use crate::transport::{Trace, Transport, TransportError};

/// What a visit may take beyond the simulated delays: far more than it does, so that a slow machine shows as a bad
/// ratio, not as failures.
const SLACK: Duration = Duration::from_secs(60);

/// How the visits ended.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) answered: usize,
    pub(super) failures: BTreeMap<String, usize>,
}

/// versweep, ready to sweep a fleet, once or several times.
pub(super) struct Versweep {
    devices: Vec<Arc<Device>>,
    prober: Arc<Prober<OnChannel>>,
}

/// versweep's transport with the channel of all errands chosen.
struct OnChannel {
    ssh: SshTransport,
    channel: Channel,
}

impl Transport for OnChannel {
    async fn visit(
        &self,
        device: &Device,
        errand: &Errand,
        trace: &mut Trace,
    ) -> Result<Vec<String>, TransportError> {
        let errand = Errand { channel: self.channel, ..errand.clone() };
        self.ssh.visit(device, &errand, trace).await
    }
}

impl Versweep {
    /// One that visits all targets on that channel; each answers after `delay`.
    pub(super) fn of(
        targets: &[Target],
        platforms: Arc<Platforms>,
        channel: Channel,
        delay: Duration,
    ) -> anyhow::Result<Self> {
        let credential = CredentialId::new(USERNAME).context("the simulator's user is no credential name")?;
        let devices = targets.iter().map(|target| device(target, &credential, delay).map(Arc::new));
        let devices = devices.collect::<anyhow::Result<_>>()?;
        let transport = Arc::new(OnChannel { ssh: transport(credential)?, channel });
        let prober = Prober { transport, platforms, clock: Arc::new(SystemClock) };
        Ok(Self { devices, prober: Arc::new(prober) })
    }

    /// Sweeps once, to the end.
    pub(super) async fn sweep(&self, engine: &Engine) -> anyhow::Result<Tally> {
        let plan = Plan {
            id: SweepId::starting(SystemClock.now()),
            name: "bench".into(),
            reason: Reason::Command,
            devices: self.devices.clone(),
            spread: Duration::ZERO,
            prober: Arc::clone(&self.prober),
            before: Arc::default(),
            care: Care::default(),
            blackout: Windows::default(),
            fresh_for: Duration::ZERO,
        };
        let (notes, mut told) = mpsc::channel(NOTES_WAITING);
        let outlet = Outlet { notes, status: watch::Sender::new(SweepStatus::default()) };
        let counting = async {
            let mut tally = Tally::default();
            while let Some(note) = told.recv().await {
                tally.count(&note);
            }
            tally
        };
        let sweeping = async {
            let record = sweep::run(engine, plan, &outlet, &Stop::default()).await;
            // The counting ends when nobody is left to tell it more.
            drop(outlet);
            record
        };
        let (record, tally) = tokio::join!(sweeping, counting);
        record?;
        Ok(tally)
    }
}

impl Tally {
    fn count(&mut self, note: &Note) {
        if let Note::Visited(observation) = note {
            match &observation.outcome {
                Outcome::Answered { .. } => self.answered += 1,
                Outcome::Failed { failure, .. } => {
                    *self.failures.entry(failure.kind.as_str().to_owned()).or_default() += 1
                }
            }
        }
    }
}

fn device(target: &Target, credential: &CredentialId, delay: Duration) -> anyhow::Result<Device> {
    let limit = delay + SLACK;
    Ok(Device {
        id: DeviceId::new(&target.name)
            .with_context(|| format!("the fleet's device {} has a bad name", target.name))?,
        endpoint: Endpoint { host: target.address.ip().to_string(), port: target.address.port() },
        route: Route::Direct,
        platform: PlatformChoice::Named(PlatformKey::new(&target.platform)),
        credential: credential.clone(),
        // The baseline checks no host keys either; what checking costs is the conformance suite's matter.
        host_keys: HostKeyPolicy::Off,
        algorithms: SshAlgorithms::Modern,
        timeouts: Timeouts { visit: limit, connect: limit, login: limit, command: limit },
        labels: Labels::default(),
        identity: None,
    })
}

fn transport(id: CredentialId) -> anyhow::Result<SshTransport> {
    let credential = Credential {
        id: id.clone(),
        username: USERNAME.to_owned(),
        password: Some(SecretString::from(PASSWORD)),
        enable: None,
        private_key: None,
        logins_per_second: None,
        certificate: None,
        agent: None,
    };
    // Nothing is learned where keys are not checked, so that this file is neither read nor written.
    let known_hosts = PathBuf::from("/nonexistent/known_hosts");
    let settings = SshSettings::new(BTreeMap::from([(id, Arc::new(credential))]), known_hosts);
    SshTransport::new(settings).map_err(|errors| anyhow!("the bench can't log in: {errors:?}"))
}
