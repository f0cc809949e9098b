//! A made-up device of a large fleet, for the benches that read snapshots.

use std::sync::Arc;
use std::time::Duration;

use versweep::clock::Timestamp;
use versweep::device::{
    CredentialId, Device, DeviceId, Endpoint, HostKeyPolicy, Labels, PlatformChoice, PlatformKey, Route,
    SshAlgorithms, Timeouts,
};
use versweep::facts::{Facts, Reading};
use versweep::known::{DeviceState, Known, KnownFacts, LastVisit};
use versweep::version::Version;

pub(crate) fn state(number: usize) -> Arc<DeviceState> {
    let limit = Duration::from_secs(30);
    let at = Timestamp::UNIX_EPOCH + chrono::Duration::minutes(30_000_000);
    let platform = PlatformKey::new("cisco_xe");
    let labels = [("site", format!("s{}", number % 200)), ("role", "access".to_owned())];
    let device = Device {
        id: DeviceId::new(&format!("access{number:05}.example.net")).expect("a fine name"),
        endpoint: Endpoint { host: format!("10.0.{}.{}", number / 250, number % 250), port: 22 },
        route: Route::Direct,
        platform: PlatformChoice::Named(platform.clone()),
        credential: CredentialId::new("netops").expect("a fine name"),
        host_keys: HostKeyPolicy::Learn,
        algorithms: SshAlgorithms::Modern,
        timeouts: Timeouts { visit: limit, connect: limit, login: limit, command: limit },
        identity: None,
        labels: labels.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Labels>(),
    };
    let facts = Facts {
        version: Version::new(format!("17.{}.4", number % 9)),
        model: Some("C9300-48P".into()),
        serial: None,
        hostname: None,
        image: None,
        uptime: Some(Duration::from_secs(86_400)),
        more: None,
    };
    let reading = Reading { platform, revision: 1, pattern: "version".into(), facts };
    let facts = KnownFacts { reading, seen_at: at, version_since: at, boot_time: Some(at) };
    // As clocks tell it: to the nanosecond.
    let took = Duration::from_nanos(2_000_000_000 + 123_457 * number as u64);
    let visit = LastVisit { at, took, failure: None };
    let known = Known { facts: Some(facts), visit: Some(visit), ..Known::default() };
    Arc::new(DeviceState { device: Arc::new(device), known })
}
