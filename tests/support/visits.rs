//! Made-up visits for the tests of diff, store, recorder and sinks.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use chrono::{TimeZone as _, Utc};
use versweep::activity::Judgement;
use versweep::clock::Timestamp;
use versweep::device::{
    CredentialId, Device, DeviceId, Endpoint, HostKeyPolicy, Labels, PlatformChoice, PlatformKey, Route,
    SshAlgorithms, Timeouts,
};
use versweep::diff::FlapRules;
use versweep::facts::{Facts, Reading};
use versweep::failure::{Failure, FailureKind, HostKeyTrouble, Stage};
use versweep::known::SweepRecord;
use versweep::observation::{Observation, Outcome, SshSession, StageTimes, SweepId};
use versweep::platform::Platforms;
use versweep::version::Version;

/// An instant, in seconds after the tests' beginning of time.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Utc.timestamp_opt(1_790_000_000 + seconds, 0).unwrap()
}

pub(crate) fn id(name: &str) -> DeviceId {
    DeviceId::new(name).unwrap()
}

/// A sweep's identity that follows from its number.
pub(crate) fn sweep_id(number: u32) -> SweepId {
    format!("01900000-0000-7000-8000-{number:012x}").parse().unwrap()
}

pub(crate) fn facts(version: &str) -> Facts {
    Facts {
        version: Version::new(version),
        model: Some("C9300-48P".into()),
        serial: Some("FOC0001TEST".into()),
        hostname: Some("core1".into()),
        image: Some("flash:packages.conf".into()),
        uptime: None,
        more: None,
    }
}

pub(crate) fn reading(facts: Facts) -> Reading {
    Reading { platform: PlatformKey::new("cisco_xe"), revision: 1, pattern: "version".into(), facts }
}

pub(crate) fn observed(device: &str, seconds: i64, outcome: Outcome) -> Observation {
    Observation {
        device: id(device),
        identity: None,
        sweep: sweep_id(u32::try_from(seconds).unwrap()),
        at: at(seconds),
        took: Duration::from_millis(1500),
        stages: StageTimes { connect: Some(Duration::from_millis(3)), ..StageTimes::default() },
        attempts: 1,
        confirmed: false,
        ssh: matches!(outcome, Outcome::Answered { .. }).then(session),
        outcome,
    }
}

pub(crate) fn answered_with(device: &str, seconds: i64, facts: Facts) -> Observation {
    let raw = format!("Cisco IOS XE Software, Version {}\n", facts.version).into();
    observed(device, seconds, Outcome::Answered { reading: reading(facts), raw })
}

pub(crate) fn answered(device: &str, seconds: i64, version: &str) -> Observation {
    answered_with(device, seconds, facts(version))
}

/// A session with an old device.
pub(crate) fn session() -> Box<SshSession> {
    let algorithms = "diffie-hellman-group14-sha1, ssh-rsa, aes128-ctr, hmac-sha2-256".to_owned();
    Box::new(SshSession { server: "SSH-2.0-Cisco-1.25".to_owned(), algorithms })
}

pub(crate) fn failed(device: &str, seconds: i64, kind: FailureKind) -> Observation {
    let trouble = (kind == FailureKind::HostKey).then_some(HostKeyTrouble::Changed);
    let failure =
        Failure { kind, stage: Stage::Connect, detail: format!("made up: {kind}"), host_key: trouble };
    observed(device, seconds, Outcome::Failed { failure, raw: Some("half an ans".into()) })
}

pub(crate) fn judgement() -> Judgement {
    // Compiling the profiles takes a while in a test build.
    static PLATFORMS: LazyLock<Arc<Platforms>> = LazyLock::new(|| Arc::new(Platforms::builtin()));
    Judgement {
        platforms: Arc::clone(&PLATFORMS),
        down_after: 3,
        flapping: FlapRules::OFF,
        keep_history: Duration::from_secs(400 * 86_400),
        policies: Arc::default(),
    }
}

pub(crate) fn device(name: &str) -> Arc<Device> {
    let limit = Duration::from_secs(30);
    Arc::new(Device {
        id: id(name),
        endpoint: Endpoint { host: "127.0.0.1".into(), port: 22 },
        route: Route::Direct,
        platform: PlatformChoice::Auto,
        credential: CredentialId::new("test").unwrap(),
        host_keys: HostKeyPolicy::Learn,
        algorithms: SshAlgorithms::Modern,
        timeouts: Timeouts { visit: limit, connect: limit, login: limit, command: limit },
        labels: Labels::default(),
        identity: None,
    })
}

pub(crate) fn sweep_started(number: u32, devices: u64) -> SweepRecord {
    SweepRecord {
        id: sweep_id(number),
        name: "all".into(),
        reason: "schedule".into(),
        started: at(i64::from(number)),
        ended: None,
        devices,
        answered: 0,
        failed: 0,
        complete: false,
    }
}

pub(crate) fn sweep_ended(number: u32, devices: u64) -> SweepRecord {
    let ended = Some(at(i64::from(number) + 1));
    SweepRecord { ended, answered: devices, complete: true, ..sweep_started(number, devices) }
}
