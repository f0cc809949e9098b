//! A small fleet in every state a device can be in, for the tests of `/metrics`, the API and the pages.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeZone as _;
use versweep::change::{Change, ChangeKind};
use versweep::clock::Timestamp;
use versweep::device::{
    CredentialId, Device, DeviceId, Endpoint, HostKeyPolicy, Labels, PlatformChoice, PlatformKey, Route,
    SshAlgorithms, Timeouts,
};
use versweep::facts::{Facts, Member, More, Reading};
use versweep::failure::{Failure, FailureKind, HostKeyTrouble, Stage};
use versweep::known::{
    DeviceState, Held, Known, KnownFacts, LastVisit, PolicyInfo, PolicyResult, PolicyStanding, Snapshot,
    SweepRecord, Verdict,
};
use versweep::metrics::{BuildInfo, Live, Workers};
use versweep::observation::SweepId;
use versweep::status::{
    FetchStatus, GateStatus, Histogram, LimitStatus, RefreshFailure, ReloadStatus, SinkStatus, SourceStatus,
    SweepForecast, SweepStatus, Totals, Waiting,
};
use versweep::version::Version;

/// The instant that the tests take for now, unless they run against a real Prometheus.
pub(crate) fn noon() -> Timestamp {
    chrono::Utc.with_ymd_and_hms(2026, 11, 23, 12, 0, 0).unwrap()
}

pub(crate) fn device(name: &str, platform: PlatformChoice, labels: &[(&str, &str)]) -> Arc<Device> {
    Arc::new(Device {
        id: DeviceId::new(name).unwrap(),
        endpoint: Endpoint { host: format!("{name}.example.net"), port: 22 },
        route: Route::Direct,
        platform,
        credential: CredentialId::new("netops").unwrap(),
        host_keys: HostKeyPolicy::Learn,
        algorithms: SshAlgorithms::Modern,
        timeouts: Timeouts {
            visit: Duration::from_secs(30),
            connect: Duration::from_secs(5),
            login: Duration::from_secs(10),
            command: Duration::from_secs(10),
        },
        labels: labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<Labels>(),
        identity: None,
    })
}

pub(crate) fn facts(platform: &str, model: &str, version: &str, at: Timestamp) -> KnownFacts {
    KnownFacts {
        reading: Reading {
            platform: PlatformKey::new(platform),
            revision: 1,
            pattern: "version".to_owned(),
            facts: Facts {
                version: Version::new(version),
                model: (!model.is_empty()).then(|| model.to_owned()),
                serial: Some("FOC0000TEST".to_owned()),
                hostname: None,
                image: None,
                uptime: Some(Duration::from_secs(86_400)),
                more: None,
            },
        },
        seen_at: at,
        version_since: at - Duration::from_secs(3600),
        boot_time: Some(at - Duration::from_secs(86_400)),
    }
}

/// Two members, of which one stayed behind at an upgrade.
fn with_members(mut known: KnownFacts) -> KnownFacts {
    let member = |name: &str, version: &str| Member {
        name: name.to_owned(),
        version: Some(Version::new(version)),
        model: None,
        serial: None,
    };
    let members = vec![member("0/RSP0", "7.9.2"), member("0/RSP1", "7.8.1")];
    known.reading.facts.more = Some(Box::new(More { members, ..More::default() }));
    known
}

pub(crate) fn failed(kind: FailureKind, at: Timestamp) -> LastVisit {
    let trouble = (kind == FailureKind::HostKey).then_some(HostKeyTrouble::Changed);
    let failure =
        Failure { kind, stage: Stage::Connect, detail: format!("it went wrong: {kind}"), host_key: trouble };
    LastVisit { at, took: Duration::from_millis(2500), failure: Some(failure) }
}

pub(crate) fn answered(at: Timestamp) -> LastVisit {
    LastVisit { at, took: Duration::from_millis(1250), failure: None }
}

fn named(platform: &str) -> PlatformChoice {
    PlatformChoice::Named(PlatformKey::new(platform))
}

fn state(device: Arc<Device>, known: Known) -> Arc<DeviceState> {
    Arc::new(DeviceState { device, known })
}

fn policy(now: Timestamp) -> Arc<PolicyInfo> {
    let (name, asks) = ("core-xr".to_owned(), "approved 7.9.*".to_owned());
    Arc::new(PolicyInfo { name, since: now, asks, grace_until: None })
}

fn complies(policy: &Arc<PolicyInfo>) -> PolicyStanding {
    PolicyStanding {
        policy: Arc::clone(policy),
        verdict: Arc::new(Verdict::new(PolicyResult::Approved, "7.9.2 is approved")),
        complies: Some(true),
        held: Some(Held { result: PolicyResult::Approved, complied: true }),
    }
}

fn devices(now: Timestamp) -> Vec<Arc<DeviceState>> {
    let ago = |seconds| now - Duration::from_secs(seconds);
    let xr = || Some(facts("cisco_xr", "ASR9K", "7.9.2", ago(60)));
    vec![
        state(
            device(
                "core1.ams",
                named("cisco_xr"),
                &[("site", "ams"), ("role", "core"), ("rack-unit", "a\"1\\")],
            ),
            Known {
                facts: xr().map(with_members),
                visit: Some(answered(ago(60))),
                standings: vec![complies(&policy(now))],
                ..Known::default()
            },
        ),
        state(
            device("core2.ams", named("cisco_xr"), &[("site", "ams"), ("role", "core")]),
            Known {
                facts: xr(),
                visit: Some(answered(ago(60))),
                version_changes: 3,
                last_version_change: Some(ago(60)),
                ..Known::default()
            },
        ),
        state(
            device("edge1.fra", PlatformChoice::Auto, &[("site", "fra"), ("role", "edge")]),
            Known {
                facts: Some(facts("juniper_junos", "mx204", "22.4R3.25", ago(7200))),
                visit: Some(failed(FailureKind::Timeout, ago(58))),
                consecutive_failures: 4,
                unreachable: true,
                ..Known::default()
            },
        ),
        state(
            device("edge2.fra", PlatformChoice::Auto, &[("site", "fra"), ("role", "edge")]),
            Known {
                visit: Some(failed(FailureKind::Auth, ago(57))),
                consecutive_failures: 1,
                ..Known::default()
            },
        ),
        state(device("lab1", PlatformChoice::Auto, &[]), Known::default()),
    ]
}

/// The fleet: two devices up, one of them changed a minute ago, one unreachable, one failing, one never visited.
pub(crate) fn snapshot(now: Timestamp) -> Snapshot {
    let ago = |seconds| now - Duration::from_secs(seconds);
    let mut connect = Histogram::default();
    connect.observe(Duration::from_millis(3));
    connect.observe(Duration::from_millis(700));
    connect.observe(Duration::from_secs(60));
    let sweep = SweepRecord {
        id: SweepId::starting(ago(100)),
        name: "all".to_owned(),
        reason: "schedule".to_owned(),
        started: ago(100),
        ended: Some(ago(55)),
        devices: 4,
        answered: 2,
        failed: 2,
        complete: true,
    };
    let change = Change {
        of: DeviceId::new("core2.ams").unwrap().into(),
        sweep: Some(sweep.id),
        at: ago(60),
        kind: ChangeKind::Upgrade,
        subject: String::new(),
        before: "7.8.1".to_owned(),
        after: "7.9.2".to_owned(),
        why: "newer by the order of cisco_xr".to_owned(),
        confirmed: true,
    };
    Snapshot {
        devices: devices(now),
        recent_changes: vec![Arc::new(change)],
        last_complete: [("all".to_owned(), ago(55))].into(),
        totals: Totals {
            visits: 44,
            failures: [(FailureKind::Timeout, 5), (FailureKind::Auth, 1)].into(),
            changes: [(ChangeKind::Upgrade, 3), (ChangeKind::Unreachable, 1)].into(),
            sweeps: [("all".to_owned(), 11)].into(),
            skipped: [("all".to_owned(), 2)].into(),
            blackouts: [("all".to_owned(), 1)].into(),
            stages: [(Stage::Connect, connect)].into(),
        },
        last_sweeps: vec![sweep],
        breakers: Vec::new(),
        policies: vec![policy(now)],
    }
}

/// What a daemon with one sweep is doing: nothing, until the next run.
pub(crate) fn live(now: Timestamp) -> Live {
    let status = SweepStatus { next: Some(now + Duration::from_secs(800)), ..SweepStatus::default() };
    Live {
        policies: Some(FetchStatus { success: true, at: now }),
        gates: vec![GateStatus {
            credential: CredentialId::new("netops").unwrap(),
            open: false,
            logins_per_second: Some(20.0),
        }],
        limits: vec![LimitStatus { by: "site".to_owned(), value: "ams".to_owned(), busy: 3, max: Some(16) }],
        waiting: Waiting {
            worker: 2,
            limit: [("site".to_owned(), 4)].into(),
            spread: 7,
            ..Waiting::default()
        },
        held_off: 1,
        forecasts: vec![SweepForecast {
            sweep: "all".into(),
            expected: Duration::from_secs(312),
            period: Some(Duration::from_secs(900)),
        }],
        build: BuildInfo { version: "1.2.3", revision: "abcdef0", rustversion: "1.95.0" },
        sweeps: vec![("all".into(), status)],
        workers: Workers { limit: 256, busy: 0 },
        sinks: vec![("journal".to_owned(), SinkStatus { deliveries: 4, ..SinkStatus::default() })],
        sources: vec![
            SourceStatus {
                source: "devices.toml".to_owned(),
                devices: 5,
                dropped: 0,
                pending: None,
                failure: None,
                looked: Some(now),
                good: Some(now),
            },
            SourceStatus {
                source: "netbox".to_owned(),
                devices: 2,
                dropped: 1,
                pending: Some(versweep::status::PendingList { devices: 1, token: "1-0a0b".to_owned() }),
                failure: Some(RefreshFailure::Shrunk),
                looked: Some(now),
                good: None,
            },
        ],
        reload: Some(ReloadStatus { successful: true, success_at: now }),
        store_bytes: Some(126_976),
    }
}
