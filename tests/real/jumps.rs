//! Jump hosts, each an sshd of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use versweep::credential::Credential;
use versweep::device::{CredentialId, Device, Endpoint, HostKeyPolicy, JumpHost, Route, SshAlgorithms};
use versweep::dialogue::Errand;
use versweep::failure::{FailureKind, Stage};
use versweep::transport::ssh::{SshSettings, SshTransport};
use versweep::transport::{Trace, Transport, TransportError};

use crate::devices::{PATIENT, credential, device_at};
use crate::sshd_server::{Sshd, authorize, current_user, free_address, keygen};

/// Three keys, and servers that take one of them each.
struct Site {
    transport: SshTransport,
    servers: Vec<Sshd>,
    _folders: Vec<tempfile::TempDir>,
}

const NAMES: [&str; 3] = ["lab", "outer", "inner"];

fn site(options: [&str; 3]) -> Site {
    let mut credentials = BTreeMap::new();
    let (mut servers, mut folders) = (Vec::new(), Vec::new());
    for (name, option) in NAMES.into_iter().zip(options) {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("id");
        keygen(&key, "ed25519", "");
        let authorized = authorize(&key.with_extension("pub"), folder.path());
        let text = std::fs::read_to_string(&key).unwrap();
        let id = CredentialId::new(name).unwrap();
        let own = credential(None, Some((&text, None)));
        let own = Credential { id: id.clone(), username: current_user(), ..own };
        credentials.insert(id, Arc::new(own));
        let authorized = format!("AuthorizedKeysFile {}", authorized.display());
        servers.push(Sshd::start(&[authorized, "PermitRootLogin yes".to_owned(), option.to_owned()]));
        folders.push(folder);
    }
    let settings = SshSettings::new(credentials, folders[0].path().join("known_hosts"));
    Site { transport: SshTransport::new(settings).unwrap(), servers, _folders: folders }
}

impl Site {
    fn jump(&self, number: usize) -> Arc<JumpHost> {
        let address = self.servers[number].address;
        Arc::new(JumpHost {
            name: NAMES[number].into(),
            endpoint: Endpoint { host: address.ip().to_string(), port: address.port() },
            credential: CredentialId::new(NAMES[number]).unwrap(),
            host_keys: HostKeyPolicy::Learn,
            algorithms: SshAlgorithms::Modern,
            timeouts: PATIENT,
        })
    }

    fn device(&self, way: &[usize]) -> Device {
        let way = way.iter().map(|number| self.jump(*number)).collect();
        Device { route: Route::Via(way), ..device_at(self.servers[0].address) }
    }

    async fn ask(&self, device: &Device) -> Result<Vec<String>, TransportError> {
        self.transport.visit(device, &Errand::by_exec(["echo hello".to_owned()]), &mut Trace::begin()).await
    }
}

#[tokio::test]
#[ignore = "needs sshd: run by make test"]
async fn two_jump_hosts_in_a_row_each_with_its_own_key() {
    let site = site(["", "", ""]);
    let device = site.device(&[1, 2]);
    let (a, b, c) = tokio::join!(site.ask(&device), site.ask(&device), site.ask(&device));
    for result in [a, b, c] {
        assert_eq!(result.unwrap(), ["hello\n"]);
    }
    for (number, connections) in [(0, 3), (1, 1), (2, 1)] {
        let log = site.servers[number].log_with("Accepted publickey");
        assert_eq!(log.matches("Connection from").count(), connections, "{}: {log}", NAMES[number]);
    }
}

#[tokio::test]
#[ignore = "needs sshd: run by make test"]
async fn what_sshd_forbids_or_cannot_reach_is_told() {
    let site = site(["", "AllowTcpForwarding no", ""]);
    let error = site.ask(&site.device(&[1])).await.unwrap_err();
    assert_eq!((error.kind, error.stage), (FailureKind::Unreachable, Stage::Connect));
    assert!(error.detail.contains("forbids tunnels") && error.detail.contains("outer"), "{}", error.detail);

    let nobody = free_address();
    let endpoint = Endpoint { host: nobody.ip().to_string(), port: nobody.port() };
    let error = site.ask(&Device { endpoint, ..site.device(&[2]) }).await.unwrap_err();
    assert_eq!((error.kind, error.stage), (FailureKind::Unreachable, Stage::Connect));
    assert!(error.detail.contains("can't connect to"), "{}", error.detail);
}
