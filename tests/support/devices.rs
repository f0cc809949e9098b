//! Devices and credentials for tests.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use versweep::credential::{Credential, KeyMaterial};
use versweep::device::{
    CredentialId, Device, DeviceId, Endpoint, HostKeyPolicy, Labels, PlatformChoice, Route, SshAlgorithms,
    Timeouts,
};
use versweep::transport::ssh::{SshSettings, SshTransport};

/// The user of every test server.
pub(crate) const USER: &str = "versweep";
/// The right password.
pub(crate) const PASSWORD: &str = "right-horse";

/// Limits that no test on a busy machine runs into by accident.
pub(crate) const PATIENT: Timeouts = Timeouts {
    visit: Duration::from_secs(60),
    connect: Duration::from_secs(30),
    login: Duration::from_secs(30),
    command: Duration::from_secs(30),
};

/// A device at that address, with patient limits and learned host keys.
pub(crate) fn device_at(address: SocketAddr) -> Device {
    Device {
        id: DeviceId::new("r1").unwrap(),
        endpoint: Endpoint { host: address.ip().to_string(), port: address.port() },
        route: Route::Direct,
        platform: PlatformChoice::Auto,
        credential: CredentialId::new("lab").unwrap(),
        host_keys: HostKeyPolicy::Learn,
        algorithms: SshAlgorithms::Modern,
        timeouts: PATIENT,
        labels: Labels::default(),
        identity: None,
    }
}

/// The credential `lab` with a password, a private key (and its passphrase), or both.
pub(crate) fn credential(password: Option<&str>, key: Option<(&str, Option<&str>)>) -> Credential {
    Credential {
        id: CredentialId::new("lab").unwrap(),
        username: USER.to_owned(),
        password: password.map(Into::into),
        logins_per_second: None,
        enable: None,
        private_key: key.map(|(text, passphrase)| KeyMaterial {
            text: text.into(),
            passphrase: passphrase.map(Into::into),
        }),
        certificate: None,
        agent: None,
    }
}

/// Settings with that one credential and a known_hosts file in that folder.
pub(crate) fn settings(credential: Credential, folder: &Path) -> SshSettings {
    let credentials = BTreeMap::from([(credential.id.clone(), Arc::new(credential))]);
    SshSettings::new(credentials, folder.join("known_hosts"))
}

/// A transport that logs in by that password.
pub(crate) fn transport(password: &str, folder: &Path) -> SshTransport {
    SshTransport::new(settings(credential(Some(password), None), folder)).unwrap()
}
