//! OpenSSH certificates, of users and of hosts, made by ssh-keygen and met by sshd.

use std::path::{Path, PathBuf};
use std::process::Command;

use versweep::credential::Credential;
use versweep::device::{Device, HostKeyPolicy};
use versweep::dialogue::Errand;
use versweep::failure::{FailureKind, Stage};
use versweep::transport::ssh::SshTransport;
use versweep::transport::{Trace, Transport, TransportError};

use crate::devices::{credential, device_at, settings};
use crate::sshd_server::{Sshd, current_user, keygen};

/// Signs `key.pub` by `ca`; the certificate's file.
fn sign(ca: &Path, key: &Path, arguments: &[&str]) -> PathBuf {
    let public = key.with_extension("pub");
    let status = Command::new("ssh-keygen")
        .args(["-q", "-I", "versweep test", "-s"])
        .arg(ca)
        .args(arguments)
        .arg(&public)
        .status()
        .unwrap();
    assert!(status.success());
    let name = key.file_name().unwrap().to_str().unwrap();
    key.with_file_name(format!("{name}-cert.pub"))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

struct Site {
    folder: tempfile::TempDir,
    sshd: Sshd,
}

impl Site {
    /// A server whose host certificate is made with these arguments, if any, and that knows users by theirs.
    fn new(host: Option<&[&str]>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (ca, key, id) = (folder.path().join("ca"), folder.path().join("host"), folder.path().join("id"));
        for path in [&ca, &key, &id] {
            keygen(path, "ed25519", "");
        }
        sign(&ca, &id, &["-n", &current_user(), "-V", "+1h"]);
        let mut options = vec![
            format!("HostKey {}", key.display()),
            format!("TrustedUserCAKeys {}", ca.with_extension("pub").display()),
            "AuthorizedKeysFile none\nPermitRootLogin yes".to_owned(),
        ];
        if let Some(arguments) = host {
            let certificate = sign(&ca, &key, &[&["-h"], arguments].concat());
            options.push(format!("HostCertificate {}", certificate.display()));
        }
        let sshd = Sshd::start(&options);
        Self { folder, sshd }
    }

    /// Under `strict`, with nothing known but the authority, if that.
    async fn ask(&self, known: bool) -> (Result<Vec<String>, TransportError>, Trace) {
        let id = self.folder.path().join("id");
        let key = read(&id);
        let certificate = Some(read(&self.folder.path().join("id-cert.pub")));
        let credential =
            Credential { username: current_user(), certificate, ..credential(None, Some((&key, None))) };
        let state = tempfile::tempdir().unwrap();
        if known {
            let ca = read(&self.folder.path().join("ca.pub"));
            std::fs::write(state.path().join("known_hosts"), format!("@cert-authority 127.* {ca}")).unwrap();
        }
        let transport = SshTransport::new(settings(credential, state.path())).unwrap();
        let host_keys = if known { HostKeyPolicy::Strict } else { HostKeyPolicy::Learn };
        let device = Device { host_keys, ..device_at(self.sshd.address) };
        let mut trace = Trace::begin();
        let result = transport.visit(&device, &Errand::by_exec(["echo hello".to_owned()]), &mut trace).await;
        (result, trace)
    }
}

#[tokio::test]
#[ignore = "needs sshd: run by make test"]
async fn certificates_of_the_user_and_of_the_host_are_enough() {
    let site = Site::new(Some(&["-n", "127.0.0.1", "-V", "+1h"]));
    let (result, trace) = site.ask(true).await;
    assert_eq!(result.unwrap(), ["hello\n"], "{}", site.sshd.log());
    assert!(trace.notes.iter().any(|n| n == "host certificate \"versweep test\""), "{:?}", trace.notes);
    assert!(site.sshd.log().contains("ED25519-CERT"), "{}", site.sshd.log());
}

#[tokio::test]
#[ignore = "needs sshd: run by make test"]
async fn without_an_authority_the_host_shows_its_key() {
    let site = Site::new(Some(&["-n", "127.0.0.1", "-V", "+1h"]));
    let (result, trace) = site.ask(false).await;
    assert_eq!(result.unwrap(), ["hello\n"]);
    assert!(trace.notes.iter().any(|note| note.contains("learned")), "{:?}", trace.notes);
}

#[tokio::test]
#[ignore = "needs sshd: run by make test"]
async fn a_host_certificate_that_is_not_good_is_a_wrong_host_key() {
    let other_name: &[&str] = &["-n", "192.0.2.1", "-V", "+1h"];
    let expired: &[&str] = &["-n", "127.0.0.1", "-V", "-2h:-1h"];
    let nameless: &[&str] = &["-V", "+1h"];
    for (arguments, said) in [
        (Some(other_name), "is not for the name 127.0.0.1"),
        (Some(expired), "its time is not now"),
        (Some(nameless), "is not for the name 127.0.0.1"),
        (None, "is unknown and the policy is strict"),
    ] {
        let site = Site::new(arguments);
        let error = site.ask(true).await.0.unwrap_err();
        assert_eq!((error.kind, error.stage), (FailureKind::HostKey, Stage::Kex), "{}", error.detail);
        assert!(error.detail.contains(said), "{}", error.detail);
        assert!(!site.sshd.log().contains("Accepted"), "no login was tried");
    }
}

#[tokio::test]
#[ignore = "needs sshd: run by make test"]
async fn another_authority_vouches_for_nobody() {
    let site = Site::new(Some(&["-n", "127.0.0.1", "-V", "+1h"]));
    let other = site.folder.path().join("other");
    keygen(&other, "ed25519", "");
    std::fs::copy(other.with_extension("pub"), site.folder.path().join("ca.pub")).unwrap();
    let error = site.ask(true).await.0.unwrap_err();
    assert_eq!((error.kind, error.stage), (FailureKind::HostKey, Stage::Kex), "{}", error.detail);
    assert!(error.detail.contains("no @cert-authority line has the key"), "{}", error.detail);
}
