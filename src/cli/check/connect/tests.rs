use std::time::Duration;

use super::*;
use crate::device::{
    DeviceId, Endpoint, HostKeyPolicy, JumpHost, Labels, PlatformChoice, SshAlgorithms, Timeouts,
};

const LIMIT: Duration = Duration::from_secs(10);
const TIMEOUTS: Timeouts = Timeouts { visit: LIMIT, connect: LIMIT, login: LIMIT, command: LIMIT };

fn credential(name: &str) -> CredentialId {
    CredentialId::new(name).unwrap()
}

fn device(name: &str, login: &str, way: &[&str]) -> Arc<Device> {
    let host = |name: &&str| {
        Arc::new(JumpHost {
            name: (*name).into(),
            endpoint: Endpoint { host: "127.0.0.1".into(), port: 22 },
            credential: credential("bastions"),
            host_keys: HostKeyPolicy::Strict,
            algorithms: SshAlgorithms::Modern,
            timeouts: TIMEOUTS,
        })
    };
    Arc::new(Device {
        id: DeviceId::new(name).unwrap(),
        endpoint: Endpoint { host: "127.0.0.1".into(), port: 22 },
        route: if way.is_empty() { Route::Direct } else { Route::Via(way.iter().map(host).collect()) },
        platform: PlatformChoice::Auto,
        credential: credential(login),
        host_keys: HostKeyPolicy::Learn,
        algorithms: SshAlgorithms::Modern,
        timeouts: TIMEOUTS,
        labels: Labels::default(),
        identity: None,
    })
}

fn chosen(devices: &[Arc<Device>]) -> Vec<(String, String)> {
    let words = |trial: Trial| {
        let tries: Vec<String> = trial.tries.iter().map(Part::to_string).collect();
        (trial.device.id.to_string(), tries.join(", "))
    };
    choose(devices).into_iter().map(words).collect()
}

fn pair(device: &str, tries: &str) -> (String, String) {
    (device.to_owned(), tries.to_owned())
}

#[test]
fn one_device_tries_all_that_is_on_its_way() {
    let devices = [
        device("r1", "lab", &[]),
        device("r2", "lab", &[]),
        device("r3", "lab", &["outer", "inner"]),
        device("r4", "lab", &["outer"]),
        device("r5", "old", &["outer"]),
    ];
    assert_eq!(
        chosen(&devices),
        [pair("r3", "credential lab, jump host inner, jump host outer"), pair("r5", "credential old"),]
    );
}

#[test]
fn of_two_that_try_as_much_the_shorter_way_is_taken() {
    let devices = [device("r1", "lab", &[]), device("r2", "old", &["outer"]), device("r3", "old", &[])];
    assert_eq!(
        chosen(&devices),
        [pair("r2", "credential old, jump host outer"), pair("r1", "credential lab")]
    );
    assert_eq!(chosen(&[]), []);
}
