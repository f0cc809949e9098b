//! versweep as a visitor: its own engine over its own transport, with a recorder that only counts.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use secrecy::SecretString;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use super::fleet::Target;
use crate::activity::{NOTES_WAITING, Note, Notes, Reason};
use crate::clock::{Clock as _, SystemClock};
use crate::credential::Credential;
use crate::device::{
    CredentialId, Device, DeviceId, Endpoint, HostKeyPolicy, Labels, PlatformChoice, PlatformKey, Route,
    SshAlgorithms, Timeouts,
};
use crate::dialogue::{Channel, Errand};
use crate::failure::{Failure, FailureKind, Stage};
use crate::known::Snapshot;
use crate::observation::{Observation, Outcome, SweepId};
use crate::platform::Platforms;
use crate::probe::Prober;
use crate::sim::{Fault, PASSWORD, USERNAME};
use crate::status::SweepStatus;
use crate::sweep::{self, Care, Engine, Outlet, Plan, Stop};
use crate::timetable::Windows;
use crate::transport::ssh::{SshSettings, SshTransport};
use crate::transport::{Trace, Transport, TransportError};

/// What a visit may take beyond the simulated delays: far more than it does, so that a slow machine shows as a bad
/// ratio, not as failures.
const SLACK: Duration = Duration::from_secs(60);

/// How long what visits tell gathers.
const GATHER: Duration = Duration::from_millis(5);

/// How the visits ended.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) answered: usize,
    /// Ill devices that were told as what they are.
    pub(super) ill: usize,
    /// All others, by kind and stage.
    pub(super) failures: BTreeMap<String, usize>,
    /// How long all visits took together.
    pub(super) work: Duration,
}

/// versweep, ready to sweep a fleet, once or several times.
pub(super) struct Versweep {
    /// Sorted by name.
    pub(super) devices: Vec<Arc<Device>>,
    pub(super) platforms: Arc<Platforms>,
    prober: Arc<Prober<OnChannel>>,
    /// The devices that are ill.
    faults: HashMap<DeviceId, Fault>,
}

/// What visits may take.
#[derive(Debug, Clone, Copy)]
pub(super) enum Patience {
    /// Far longer than a device that answers after this time.
    Beyond(Duration),
    /// So long for each step.
    Step(Duration),
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
    /// One that visits all targets on that channel.
    pub(super) fn of(
        targets: &[Target],
        platforms: Arc<Platforms>,
        channel: Channel,
        patience: Patience,
    ) -> anyhow::Result<Self> {
        let credential = CredentialId::new(USERNAME).context("the simulator's user is no credential name")?;
        let devices = targets.iter().map(|target| device(target, &credential, patience).map(Arc::new));
        let mut devices = devices.collect::<anyhow::Result<Vec<_>>>()?;
        let ill = targets.iter().zip(&devices);
        let faults = ill.filter_map(|(target, device)| Some((device.id.clone(), target.fault()?))).collect();
        devices.sort_by(|one, other| one.id.cmp(&other.id));
        let transport = Arc::new(OnChannel { ssh: transport(credential)?, channel });
        let clock = Arc::new(SystemClock);
        let prober = Arc::new(Prober { transport, platforms: Arc::clone(&platforms), clock });
        Ok(Self { devices, platforms, prober, faults })
    }

    /// Sweeps once, to the end.
    pub(super) async fn sweep(&self, engine: &Engine) -> anyhow::Result<Tally> {
        self.sweep_of(engine, self.devices.clone(), Arc::default(), None).await
    }

    /// Sweeps these once, to the end; what is found also goes to a recorder.
    pub(super) async fn sweep_of(
        &self,
        engine: &Engine,
        devices: Vec<Arc<Device>>,
        before: Arc<Snapshot>,
        recorder: Option<Notes>,
    ) -> anyhow::Result<Tally> {
        let plan = Plan {
            id: SweepId::starting(SystemClock.now()),
            name: "bench".into(),
            reason: Reason::Command,
            devices,
            spread: Duration::ZERO,
            prober: Arc::clone(&self.prober),
            before,
            care: Care::default(),
            blackout: Windows::default(),
            fresh_for: Duration::ZERO,
        };
        let (notes, mut told) = mpsc::channel(NOTES_WAITING);
        let outlet = Outlet { notes, status: watch::Sender::new(SweepStatus::default()) };
        let counting = async {
            let (mut tally, mut some) = (Tally::default(), Vec::new());
            while told.recv_many(&mut some, NOTES_WAITING).await > 0 {
                for note in some.drain(..) {
                    if let Note::Visited(observation) = &note {
                        tally.count(observation, self.faults.get(&observation.device).copied());
                    }
                    if let Some(recorder) = &recorder {
                        recorder.send(note).await.context("the recorder has ended")?;
                    }
                }
                // As the recorder does: whoever tells of a visit is not to wake somebody for it.
                sleep(GATHER).await;
            }
            anyhow::Ok(tally)
        };
        let sweeping = async {
            let record = sweep::run(engine, plan, &outlet, &Stop::default()).await;
            // The counting ends when nobody is left to tell it more.
            drop(outlet);
            record
        };
        let (record, tally) = tokio::join!(sweeping, counting);
        record?;
        tally
    }
}

impl Tally {
    fn count(&mut self, observation: &Observation, fault: Option<Fault>) {
        self.work += observation.took;
        match (&observation.outcome, fault) {
            (Outcome::Answered { .. }, None) => self.answered += 1,
            // An ill device has nothing to answer with.
            (Outcome::Answered { .. }, Some(fault)) => self.fail(format!("answered though {fault}")),
            (Outcome::Failed { failure, .. }, Some(fault)) if is_right(failure, fault) => self.ill += 1,
            (Outcome::Failed { failure, .. }, _) => {
                self.fail(format!("{} at {}", failure.kind, failure.stage))
            }
        }
    }

    fn fail(&mut self, how: String) {
        *self.failures.entry(how).or_default() += 1;
    }

    /// How many devices were visited.
    pub(super) fn visits(&self) -> usize {
        self.answered + self.ill + self.failures.values().sum::<usize>()
    }
}

/// Whether a device with this illness fails so; of illnesses that no scenario has, none is right.
fn is_right(failure: &Failure, fault: Fault) -> bool {
    let right = match fault {
        Fault::Refuse => (FailureKind::Refused, Stage::Connect),
        Fault::Drop => (FailureKind::Timeout, Stage::Connect),
        Fault::Silent | Fault::Stall => (FailureKind::Timeout, Stage::Kex),
        Fault::Hang | Fault::Mute => (FailureKind::Timeout, Stage::Command),
        _ => return false,
    };
    (failure.kind, failure.stage) == right
}

fn device(target: &Target, credential: &CredentialId, patience: Patience) -> anyhow::Result<Device> {
    let (step, visit) = match patience {
        Patience::Beyond(delay) => (delay + SLACK, delay + SLACK),
        Patience::Step(step) => (step, step * 3 + SLACK),
    };
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
        timeouts: Timeouts { visit, connect: step, login: step, command: step },
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
