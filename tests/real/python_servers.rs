//! What sshd can't be made to do, by SSH libraries of others: a shell that asks for user and password itself (asyncssh),
//! and keys and groups of few bits (paramiko).

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use versweep::device::{Device, SshAlgorithms};
use versweep::dialogue::{Channel, Errand};
use versweep::failure::{FailureKind, Stage};
use versweep::parse;
use versweep::platform::Platforms;
use versweep::transport::ssh::SshTransport;
use versweep::transport::{Trace, Transport, TransportError};

use crate::devices::{PASSWORD, credential, device_at, settings, transport};
use crate::python::Script;
use crate::sshd_server::keygen;

/// The prime of 1024 bits that IKE calls group 2 (RFC 2409, section 6.2), as a line of moduli(5). Its generator is 2.
const GROUP_OF_1024_BITS: &str = "20260101000000 2 6 100 1023 2 \
    FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD\
    EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED\
    EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE65381FFFFFFFFFFFFFFFF\n";

async fn in_shell(address: SocketAddr, password: &str) -> (Result<Vec<String>, TransportError>, Trace) {
    let folder = tempfile::tempdir().unwrap();
    let profile = Arc::clone(Platforms::builtin().find("cisco_ios").unwrap());
    let errand = Errand { channel: Channel::Shell, ..(*profile.errand).clone() };
    let mut trace = Trace::recording();
    let result = transport(password, folder.path()).visit(&device_at(address), &errand, &mut trace).await;
    if let Ok(outputs) = &result {
        let reading = parse::parse(&profile, &outputs.join("\n")).unwrap();
        assert_eq!(reading.facts.version.as_str(), "12.2(55)SE12");
    }
    (result, trace)
}

#[tokio::test]
#[ignore = "needs asyncssh: run by make test"]
async fn asyncssh_grants_none_and_asks_in_its_shell() {
    let (router, address) = Script::listening("asyncssh_router.py", &[]);
    let (result, trace) = in_shell(address, PASSWORD).await;
    let said = trace.session.unwrap().exchanges();
    result.unwrap_or_else(|error| panic!("{error}: {said:?}"));
    assert!(trace.server.unwrap().contains("AsyncSSH"));
    assert!(trace.notes.iter().any(|note| note.contains("grants \"none\"")), "{:?}", trace.notes);
    assert!(!format!("{said:?}").contains(PASSWORD), "{said:?}");
    assert_eq!(router.rest(), ["right"]);
}

#[tokio::test]
#[ignore = "needs asyncssh: run by make test"]
async fn asyncssh_is_told_a_wrong_password_once_in_its_shell() {
    let (router, address) = Script::listening("asyncssh_router.py", &[]);
    let error = in_shell(address, "wrong-horse").await.0.unwrap_err();
    assert_eq!((error.kind, error.stage), (FailureKind::Auth, Stage::Command), "{}", error.detail);
    assert!(!error.detail.contains("wrong-horse"), "{}", error.detail);
    assert_eq!(router.rest(), ["wrong"]);
}

async fn by_exec(
    address: SocketAddr,
    algorithms: SshAlgorithms,
) -> (Result<Vec<String>, TransportError>, Trace) {
    let folder = tempfile::tempdir().unwrap();
    let device = Device { algorithms, ..device_at(address) };
    let errand = Errand::by_exec(["echo hello".to_owned()]);
    let mut trace = Trace::begin();
    let result = transport(PASSWORD, folder.path()).visit(&device, &errand, &mut trace).await;
    (result, trace)
}

/// A host key that ssh-keygen makes no more.
fn openssl_rsa(bits: &str, folder: &Path) -> PathBuf {
    let path = folder.join("host");
    let made = Command::new("openssl").args(["genrsa", "-traditional", "-out"]).arg(&path).arg(bits).output();
    assert!(made.unwrap().status.success());
    path
}

#[tokio::test]
#[ignore = "needs paramiko: run by make test"]
async fn a_host_key_of_768_bits_is_read_with_legacy_ssh_and_only_so() {
    let folder = tempfile::tempdir().unwrap();
    let key = openssl_rsa("768", folder.path());
    let (mut router, address) = Script::listening("paramiko_router.py", &["rsa", key.to_str().unwrap()]);
    let error = by_exec(address, SshAlgorithms::Modern).await.0.unwrap_err();
    assert_eq!((error.kind, error.stage), (FailureKind::Kex, Stage::Kex), "{}", error.detail);
    assert!(error.detail.contains("set legacy_ssh = true"), "{}", error.detail);
    assert!(router.line().starts_with("failed "));
    let (result, trace) = by_exec(address, SshAlgorithms::Legacy).await;
    assert_eq!(result.unwrap(), ["hello\n"]);
    assert!(trace.host_key.unwrap().starts_with("ssh-rsa SHA256:"));
    assert_eq!(router.line(), "done");
}

/// Groups of 1024 bits are all that this server has.
async fn group_exchange(hash: &str) {
    let folder = tempfile::tempdir().unwrap();
    let moduli = folder.path().join("moduli");
    std::fs::write(&moduli, GROUP_OF_1024_BITS).unwrap();
    let (mut router, address) = Script::listening("paramiko_router.py", &[hash, moduli.to_str().unwrap()]);
    let error = by_exec(address, SshAlgorithms::Modern).await.0.unwrap_err();
    assert_eq!(error.stage, Stage::Kex, "{}", error.detail);
    if hash == "sha256" {
        // It has nothing else to give to those who ask for 2048 bits; they don't take it.
        assert_eq!(router.line(), "a group of 1024 bits");
    }
    assert!(router.line().starts_with("failed "));
    let (result, trace) = by_exec(address, SshAlgorithms::Legacy).await;
    assert_eq!(result.unwrap(), ["hello\n"]);
    let name = format!("diffie-hellman-group-exchange-{hash}");
    assert!(trace.algorithms.unwrap().starts_with(&name));
    assert_eq!([router.line(), router.line()], ["a group of 1024 bits", "done"]);
}

#[tokio::test]
#[ignore = "needs paramiko: run by make test"]
async fn groups_of_1024_bits_by_group_exchange_with_sha1() {
    group_exchange("sha1").await;
}

#[tokio::test]
#[ignore = "needs paramiko: run by make test"]
async fn groups_of_1024_bits_by_group_exchange_with_sha256() {
    group_exchange("sha256").await;
}

/// The server tells what is on the wire.
#[tokio::test]
#[ignore = "needs paramiko: run by make test"]
async fn client_signatures_with_sha1_are_for_legacy_ssh() {
    let folder = tempfile::tempdir().unwrap();
    let id = folder.path().join("id");
    keygen(&id, "rsa", "");
    let public = id.with_extension("pub");
    let (mut router, address) =
        Script::listening("paramiko_router.py", &["signature", public.to_str().unwrap()]);
    let key = std::fs::read_to_string(&id).unwrap();
    for algorithms in [SshAlgorithms::Modern, SshAlgorithms::Legacy] {
        let state = tempfile::tempdir().unwrap();
        let settings = settings(credential(None, Some((&key, None))), state.path());
        let device = Device { algorithms, ..device_at(address) };
        let mut trace = Trace::begin();
        let errand = Errand::by_exec(["echo hello".to_owned()]);
        let result = SshTransport::new(settings).unwrap().visit(&device, &errand, &mut trace).await;
        if algorithms == SshAlgorithms::Legacy {
            assert_eq!(result.unwrap(), ["hello\n"]);
            assert_eq!([router.line(), router.line()], ["done", "signature ssh-rsa"]);
        } else {
            let error = result.unwrap_err();
            // One with SHA-512 is not even asked for.
            assert_eq!(router.line(), "done");
            assert_eq!((error.kind, error.stage), (FailureKind::Auth, Stage::Auth), "{}", error.detail);
            assert!(
                trace.notes.iter().any(|n| n.contains("legacy_ssh = true allows SHA-1")),
                "{:?}",
                trace.notes
            );
        }
    }
}
