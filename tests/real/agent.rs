//! OpenSSH's ssh-agent and sshd: keys and certificates that versweep never reads.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use versweep::credential::{Agent, Credential};
use versweep::dialogue::Errand;
use versweep::failure::{FailureKind, Stage};
use versweep::transport::ssh::SshTransport;
use versweep::transport::{Trace, Transport, TransportError};

use crate::devices::{credential, device_at, settings};
use crate::sshd_server::{Sshd, current_user, keygen};

/// A running ssh-agent; ended by its process id when dropped.
struct SshAgent {
    socket: PathBuf,
    child: Child,
}

impl Drop for SshAgent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl SshAgent {
    fn start(folder: &Path) -> Self {
        let socket = folder.join("agent");
        let child = Command::new("ssh-agent")
            .args(["-D", "-a"])
            .arg(&socket)
            .stdout(Stdio::null())
            .spawn()
            .expect("ssh-agent should be installed: apt-get install openssh-client");
        let agent = Self { socket, child };
        for _ in 0..1000 {
            if agent.socket.exists() {
                return agent;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("ssh-agent makes no socket");
    }

    fn add(&self, key: &Path) {
        let added = Command::new("ssh-add").arg("-q").arg(key).env("SSH_AUTH_SOCK", &self.socket).status();
        assert!(added.unwrap().success());
    }

    fn credential(&self, public_key: Option<&Path>) -> Credential {
        let public_key = public_key.map(|path| std::fs::read_to_string(path).unwrap());
        let agent = Some(Agent { socket: self.socket.clone(), public_key });
        Credential { username: current_user(), agent, ..credential(None, None) }
    }
}

async fn ask(credential: Credential, sshd: &Sshd) -> (Result<Vec<String>, TransportError>, Trace) {
    let folder = tempfile::tempdir().unwrap();
    let transport = SshTransport::new(settings(credential, folder.path())).unwrap();
    let mut trace = Trace::begin();
    let errand = Errand::by_exec(["echo hello".to_owned()]);
    let result = transport.visit(&device_at(sshd.address), &errand, &mut trace).await;
    (result, trace)
}

#[tokio::test]
#[ignore = "needs sshd and ssh-agent: run by make test"]
async fn keys_of_each_type_log_in_by_the_agent() {
    let folder = tempfile::tempdir().unwrap();
    let agent = SshAgent::start(folder.path());
    let keys = ["ed25519", "ecdsa", "rsa"].map(|kind| folder.path().join(kind));
    for key in &keys {
        keygen(key, key.file_name().unwrap().to_str().unwrap(), "");
        agent.add(key);
    }
    for key in &keys {
        let authorized = format!("AuthorizedKeysFile {}", key.with_extension("pub").display());
        let sshd = Sshd::start(&[authorized, "PermitRootLogin yes".to_owned()]);
        let (result, trace) = ask(agent.credential(Some(&key.with_extension("pub"))), &sshd).await;
        assert_eq!(result.unwrap(), ["hello\n"], "{:?} {}", trace.notes, sshd.log());
        let log = sshd.log();
        assert_eq!(log.matches("Accepted publickey").count(), 1, "{log}");
        assert!(!log.contains("Failed"), "no other key was shown: {log}");

        let error = ask(agent.credential(None), &sshd).await.0.unwrap_err();
        assert_eq!((error.kind, error.stage), (FailureKind::Internal, Stage::Auth));
        assert!(error.detail.contains("it holds 3 keys"), "{}", error.detail);
    }
}

#[tokio::test]
#[ignore = "needs sshd and ssh-agent: run by make test"]
async fn certificates_are_signed_for_by_the_agent_and_by_a_key_of_our_own() {
    for (kind, logged) in [("ed25519", "ED25519-CERT"), ("ecdsa", "ECDSA-CERT"), ("rsa", "RSA-CERT")] {
        show_certificate(kind, logged).await;
    }
}

async fn show_certificate(kind: &str, logged: &str) {
    let folder = tempfile::tempdir().unwrap();
    let agent = SshAgent::start(folder.path());
    let (ca, id) = (folder.path().join("ca"), folder.path().join("id"));
    keygen(&ca, "ed25519", "");
    keygen(&id, kind, "");
    let signed = Command::new("ssh-keygen")
        .args(["-q", "-I", "versweep test", "-n", &current_user(), "-V", "+1h", "-s"])
        .args([&ca, &id.with_extension("pub")])
        .status();
    assert!(signed.unwrap().success());
    let trusted = format!("TrustedUserCAKeys {}", ca.with_extension("pub").display());
    let sshd = Sshd::start(&[trusted, "AuthorizedKeysFile none\nPermitRootLogin yes".to_owned()]);

    // The agent gets the key alone; the certificate is given to versweep.
    let (bare, certificate) = (folder.path().join("bare"), folder.path().join("id-cert.pub"));
    std::fs::copy(&id, &bare).unwrap();
    agent.add(&bare);
    let error = ask(agent.credential(None), &sshd).await.0.unwrap_err();
    assert_eq!(error.kind, FailureKind::Auth, "the bare key is not trusted: {}", error.detail);

    let certificate = Some(std::fs::read_to_string(&certificate).unwrap());
    let by_agent = Credential { certificate: certificate.clone(), ..agent.credential(None) };
    let text = std::fs::read_to_string(&id).unwrap();
    let by_key =
        Credential { username: current_user(), certificate, ..credential(None, Some((&text, None))) };
    for credential in [by_agent, by_key] {
        let (result, trace) = ask(credential, &sshd).await;
        assert_eq!(result.unwrap(), ["hello\n"], "{kind}: {:?} {}", trace.tried, sshd.log());
    }
    assert_eq!(sshd.log().matches("Accepted publickey").count(), 2, "{}", sshd.log());
    assert!(sshd.log().contains(logged), "{}", sshd.log());
}
