//! OpenSSH's configuration says what versweep's own doesn't: where a device is, who logs in, by which key, through whom.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use russh::keys::ssh_key::LineEnding;
use versweep::config::{self, Config};
use versweep::device::{
    CredentialId, Device, DeviceId, HostKeyPolicy, Labels, PlatformChoice, Route, SshAlgorithms,
};
use versweep::settings::{DeviceSettings, Unresolved};

use crate::daemon::{Daemon, eventually};
use crate::site::Site;
use crate::ssh_server::{Manner, Server, Setup, fresh_key};

const FILE: &str = "
Host core1
    HostName 192.0.2.1
    Port 2222
    User netops
    IdentityFile ~/.ssh/id_ed25519
    ProxyJump bastion,gate
Host old*
    HostKeyAlgorithms +ssh-rsa
    StrictHostKeyChecking yes
Host gate
    HostName 10.0.0.1
    User gatekeeper
    IdentityFile gate_key
    ProxyJump never
Host lost
    ProxyJump nobody
UserKnownHostsFile known_too
Host *
    User everybody
    GlobalKnownHostsFile /etc/ssh/known ~/known
";

/// A configuration in `folder` with that file beside it.
fn configured(folder: &Path, more: &str) -> Config {
    std::fs::write(folder.join("ssh_config"), FILE).unwrap();
    std::fs::write(folder.join("password"), "not-really-secret").unwrap();
    let text = format!(
        "[ssh]\nconfig = 'ssh_config'\n[credentials.lab]\nusername = 'lab'\npassword = {{ file = 'password' }}\n\
         [jump.bastion]\naddress = '192.0.2.9'\ncredential = 'lab'\n{more}"
    );
    let home = |name: &str| (name == "HOME").then(|| "/home/me".to_owned());
    let draft = config::draft_str(&folder.join("versweep.toml"), &text, &home);
    draft.finish().unwrap_or_else(|errors| panic!("{errors}"))
}

fn resolve(config: &Config, address: &str, own: DeviceSettings) -> Result<Device, Unresolved> {
    config.layers.resolve(DeviceId::new("r1").unwrap(), address.to_owned(), Labels::default(), own)
}

#[test]
fn what_no_layer_sets_is_looked_up_by_the_address() {
    let folder = tempfile::tempdir().unwrap();
    let config = configured(folder.path(), "");
    let device = resolve(&config, "core1", DeviceSettings::default()).unwrap();
    assert_eq!(device.endpoint.to_string(), "192.0.2.1:2222");
    assert_eq!(device.credential.as_str(), "ssh_config:netops:/home/me/.ssh/id_ed25519");
    assert_eq!(
        (device.host_keys, device.algorithms, &device.platform),
        (HostKeyPolicy::Learn, SshAlgorithms::Modern, &PlatformChoice::Auto)
    );
    let Route::Via(hosts) = &device.route else { panic!("{:?}", device.route) };
    let told: Vec<_> = hosts.iter().map(|host| (&*host.name, host.endpoint.to_string())).collect();
    assert_eq!(told, [("bastion", "192.0.2.9:22".to_owned()), ("gate", "10.0.0.1:22".to_owned())]);
    assert_eq!(hosts[0].credential.as_str(), "lab", "[jump.bastion] goes before the file");
    let key = folder.path().join("gate_key");
    assert_eq!(hosts[1].credential.as_str(), format!("ssh_config:gatekeeper:{}", key.display()));

    let known: Vec<_> =
        ["known_too", "/etc/ssh/known", "/home/me/known"].map(|name| folder.path().join(name)).into();
    assert_eq!(config.extra_known_hosts, known[1..], "what is for some hosts only is for none");
    assert!(
        config.warnings.iter().any(|warning| warning.contains("ssh_config:18: UserKnownHostsFile")),
        "{:?}",
        config.warnings
    );
}

#[test]
fn every_layer_of_ours_goes_before_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let more =
        "[defaults]\ncredential = 'lab'\nport = 22\njump = []\nhost_keys = 'off'\nlegacy_ssh = false\n";
    let config = configured(folder.path(), more);
    let device = resolve(&config, "core1", DeviceSettings::default()).unwrap();
    assert_eq!((device.endpoint.port, device.route), (22, Route::Direct));
    assert_eq!(device.credential, CredentialId::new("lab").unwrap());
    let device = resolve(&config, "old1", DeviceSettings::default()).unwrap();
    assert_eq!((device.host_keys, device.algorithms), (HostKeyPolicy::Off, SshAlgorithms::Modern));
    // Where the file's way is not taken, it may be broken.
    assert!(resolve(&config, "lost", DeviceSettings::default()).is_ok());

    let config = configured(folder.path(), "[defaults]\ncredential = 'lab'\n");
    let device = resolve(&config, "old1", DeviceSettings::default()).unwrap();
    assert_eq!((device.host_keys, device.algorithms), (HostKeyPolicy::Strict, SshAlgorithms::Legacy));
    let lost = resolve(&config, "lost", DeviceSettings::default()).unwrap_err();
    assert!(lost.to_string().contains("its ProxyJump nobody has no User and IdentityFile"), "{lost}");
}

#[test]
fn keys_that_are_needed_are_read_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = configured(folder.path(), "");
    let device = Arc::new(resolve(&config, "core1", DeviceSettings::default()).unwrap());
    let problems = config.take_identities(std::slice::from_ref(&device)).unwrap_err().to_string();
    assert_eq!(problems.lines().count(), 2, "{problems}");
    assert!(
        problems.contains("IdentityFile: can't be read: /home/me/.ssh/id_ed25519: no such file"),
        "{problems}"
    );
    std::fs::write(folder.path().join("gate_key"), "a key").unwrap();
    let _ = config.take_identities(&[device]);
    let gate = config.credentials.values().find(|credential| credential.username == "gatekeeper").unwrap();
    assert!(gate.private_key.is_some() && gate.password.is_none());
}

/// What is odd about a key is found when the first device needs it, which may be long after the start: it was once not told.
#[test]
fn a_key_that_everybody_can_read_is_told_when_a_new_device_needs_it() {
    let site = Site::new(1);
    let key = fresh_key().to_openssh(LineEnding::LF).unwrap();
    site.write("id", &key);
    std::fs::set_permissions(site.path("id"), Permissions::from_mode(0o644)).unwrap();
    site.write("ssh_config", "Host core1\n  HostName 192.0.2.1\n  User netops\n  IdentityFile id\n");
    let config =
        site.config("schedule = 'never'", 8).replace("[defaults]\ncredential = 'lab'\n", "[defaults]\n");
    site.write("versweep.toml", &format!("{config}[ssh]\nconfig = 'ssh_config'\n"));
    site.write("devices.toml", "[[device]]\nname = 'r1'\naddress = '192.0.2.2'\ncredential = 'lab'\n");
    let mut daemon = site.daemon();
    let told = |daemon: &mut Daemon| {
        daemon.log().iter().any(|line| line.contains("/id: every user can read this secret"))
    };
    assert!(!told(&mut daemon), "nobody needs it yet");
    site.write(
        "devices.toml",
        "[[device]]\nname = 'r1'\naddress = '192.0.2.2'\ncredential = 'lab'\n[[device]]\nname = 'r2'\naddress = 'core1'\n",
    );
    eventually("the new device's key is told of", || told(&mut daemon));
}

/// The whole way: `versweep probe` finds the server, the user and the key in the file.
#[tokio::test(flavor = "multi_thread")]
async fn a_device_is_logged_in_to_by_the_files_word() {
    let folder = tempfile::tempdir().unwrap();
    let key = fresh_key();
    let setup = Setup { authorized: Some(key.public_key().clone()), ..Setup::new(Manner::OneCommandOnly) };
    let server = Server::start(setup).await;
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("id", &key.to_openssh(LineEnding::LF).unwrap());
    let (host, port) = (server.address.ip(), server.address.port());
    let user = crate::devices::USER;
    write(
        "ssh_config",
        &format!("Host core1\n  HostName {host}\n  Port {port}\n  User {user}\n  IdentityFile id\n"),
    );
    write("devices.toml", "[[device]]\nname = 'r1'\naddress = 'core1'\nplatform = 'frr'\n");
    write(
        "versweep.toml",
        "[ssh]\nconfig = 'ssh_config'\n[store]\npath = 'v.db'\n[[inventory]]\ntype = 'file'\npath = 'devices.toml'\n",
    );
    let file = folder.path().join("versweep.toml");
    let mut probe = Command::new(env!("CARGO_BIN_EXE_versweep"));
    let output = tokio::task::spawn_blocking(move || {
        probe.arg("probe").arg("--config.file").arg(file).arg("r1").output().unwrap()
    });
    let output = output.await.unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(
        said.contains(&format!("r1 at {host}:{port}, platform frr, credential ssh_config:{user}:")),
        "{said}"
    );
    assert!(said.contains("logged in by public key"), "{said}");
    let seen = server.seen();
    assert_eq!((seen.keys, seen.secrets(), seen.commands), (1, 0, vec!["show version".to_owned()]));
}
