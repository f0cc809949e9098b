//! Host keys are checked before anything secret is sent (rule 15).

use russh::keys::{Algorithm, EcdsaCurve, HashAlg};
use versweep::device::{Device, HostKeyPolicy};
use versweep::dialogue::Errand;
use versweep::failure::{FailureKind, HostKeyTrouble, Stage};
use versweep::transport::ssh::SshTransport;
use versweep::transport::{Trace, Transport, TransportError};

use crate::devices::{PASSWORD, credential, device_at, settings, transport};
use crate::ssh_server::{Manner, Server, Setup, fresh_key, key_of};

async fn visit(transport: &SshTransport, device: &Device) -> (Result<Vec<String>, TransportError>, Trace) {
    let mut trace = Trace::begin();
    let result = transport.visit(device, &Errand::by_exec(["show version".to_owned()]), &mut trace).await;
    (result, trace)
}

fn with(server: &Server, policy: HostKeyPolicy) -> Device {
    Device { host_keys: policy, ..device_at(server.address) }
}

#[tokio::test]
async fn learn_pins_the_first_key_and_refuses_another() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (fresh_key(), fresh_key());
    let server = Server::start(Setup::new(Manner::Usual).host_keys([first.clone()])).await;
    let device = with(&server, HostKeyPolicy::Learn);
    let transport_a = transport(PASSWORD, folder.path());
    let (result, trace) = visit(&transport_a, &device).await;
    result.unwrap();
    assert!(trace.notes.iter().any(|note| note.contains("learned")), "{:?}", trace.notes);
    let shown = first.fingerprint(HashAlg::Sha256).to_string();
    assert_eq!(trace.host_key.as_deref(), Some(format!("ssh-ed25519 {shown}").as_str()));

    let address = server.address;
    server.all_closed().await;
    drop(server);
    tokio::task::yield_now().await;
    let changed = Server::start_at(address, Setup::new(Manner::Usual).host_keys([second.clone()])).await;
    // Both the transport that learned and one that starts anew from the file.
    for transport in [transport_a, transport(PASSWORD, folder.path())] {
        let (result, _) = visit(&transport, &device).await;
        let error = result.unwrap_err();
        assert_eq!((error.kind, error.stage), (FailureKind::HostKey, Stage::Kex));
        for part in [shown.as_str(), &second.fingerprint(HashAlg::Sha256).to_string(), "known_hosts:1"] {
            assert!(error.detail.contains(part), "{part} is not in: {}", error.detail);
        }
    }
    let seen = changed.seen();
    assert_eq!((seen.connections, seen.passwords.len(), seen.keys), (2, 0, 0), "no login was tried");
}

#[tokio::test]
async fn strict_takes_known_keys_only() {
    let folder = tempfile::tempdir().unwrap();
    let key = fresh_key();
    let server = Server::start(Setup::new(Manner::Usual).host_keys([key.clone()])).await;
    let device = with(&server, HostKeyPolicy::Strict);
    let error = visit(&transport(PASSWORD, folder.path()), &device).await.0.unwrap_err();
    assert_eq!(error.kind, FailureKind::HostKey);
    assert!(error.detail.contains("SHA256:") && error.detail.contains("strict"), "{}", error.detail);
    assert_eq!(server.seen().passwords.len(), 0);
    assert!(!folder.path().join("known_hosts").exists(), "strict learns nothing");

    let extra = folder.path().join("ssh_known_hosts");
    let line = format!("[127.0.0.1]:{} {}\n", server.address.port(), key.public_key().to_openssh().unwrap());
    std::fs::write(&extra, line).unwrap();
    let mut settings = settings(credential(Some(PASSWORD), None), folder.path());
    settings.extra_known_hosts.push(extra);
    visit(&SshTransport::new(settings).unwrap(), &device).await.0.unwrap();
}

#[tokio::test]
async fn off_takes_any_key_loudly() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(Setup::new(Manner::Usual)).await;
    let known =
        format!("[127.0.0.1]:{} {}\n", server.address.port(), fresh_key().public_key().to_openssh().unwrap());
    std::fs::write(folder.path().join("known_hosts"), known).unwrap();
    let (result, trace) =
        visit(&transport(PASSWORD, folder.path()), &with(&server, HostKeyPolicy::Off)).await;
    result.unwrap();
    assert!(
        trace.notes.iter().any(|note| note.contains("unchecked") && note.contains("CHANGED")),
        "{:?}",
        trace.notes
    );
}

/// `off` once took a key that somebody had said to be in wrong hands.
#[tokio::test]
async fn a_revoked_key_is_refused_under_every_policy() {
    use HostKeyPolicy::{Learn, Off, Strict};
    let folder = tempfile::tempdir().unwrap();
    let key = fresh_key();
    let server = Server::start(Setup::new(Manner::Usual).host_keys([key.clone()])).await;
    let revoked = format!(
        "@revoked [127.0.0.1]:{} {}\n",
        server.address.port(),
        key.public_key().to_openssh().unwrap()
    );
    std::fs::write(folder.path().join("known_hosts"), revoked).unwrap();
    for policy in [Learn, Strict, Off] {
        let (result, _) = visit(&transport(PASSWORD, folder.path()), &with(&server, policy)).await;
        let error = result.unwrap_err();
        assert_eq!(error.host_key, Some(HostKeyTrouble::Revoked), "{policy:?}: {}", error.detail);
    }
    assert_eq!(server.seen().secrets(), 0);
}

#[tokio::test]
async fn a_server_with_several_keys_is_asked_for_the_known_one() {
    let folder = tempfile::tempdir().unwrap();
    let ecdsa = key_of(Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 });
    let server = Server::start(Setup::new(Manner::Usual).host_keys([fresh_key(), ecdsa.clone()])).await;
    let known =
        format!("[127.0.0.1]:{} {}\n", server.address.port(), ecdsa.public_key().to_openssh().unwrap());
    std::fs::write(folder.path().join("known_hosts"), known).unwrap();
    let (result, trace) =
        visit(&transport(PASSWORD, folder.path()), &with(&server, HostKeyPolicy::Strict)).await;
    result.unwrap();
    assert!(trace.host_key.unwrap().starts_with("ecdsa-sha2-nistp256 "));
}

#[tokio::test]
async fn a_key_that_cannot_be_pinned_gets_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(Setup::new(Manner::Usual)).await;
    let transport = transport(PASSWORD, folder.path());
    // A folder where the file would be written.
    std::fs::create_dir(folder.path().join("known_hosts")).unwrap();
    let error = visit(&transport, &with(&server, HostKeyPolicy::Learn)).await.0.unwrap_err();
    assert_eq!((error.kind, error.stage), (FailureKind::Internal, Stage::Kex));
    assert!(
        error.detail.contains("can't be pinned") && error.detail.contains("known_hosts"),
        "{}",
        error.detail
    );
    assert_eq!(server.seen().passwords.len(), 0);
}

#[test]
fn a_file_that_is_there_and_cannot_be_read_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let good = SshTransport::new(settings(credential(Some(PASSWORD), None), folder.path())).unwrap();
    // Folders, since root may read any file.
    let (own, extra) = (folder.path().join("known_hosts"), folder.path().join("extra"));
    std::fs::create_dir(&own).unwrap();
    std::fs::create_dir(&extra).unwrap();
    let mut settings = settings(credential(Some(PASSWORD), None), folder.path());
    settings.extra_known_hosts = vec![extra.clone(), folder.path().join("not there")];
    for errors in [SshTransport::new(settings.clone()).unwrap_err(), good.renew(settings).unwrap_err()] {
        let told: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 2, "what isn't there is as good as empty: {told:?}");
        for (told, file) in told.iter().zip([&extra, &own]) {
            assert!(told.starts_with(&format!("{}: can't be read", file.display())), "{told}");
        }
    }
}
