//! The transport against OpenSSH's sshd.

use std::path::Path;

use versweep::credential::Credential;
use versweep::device::Device;
use versweep::dialogue::Errand;
use versweep::failure::{FailureKind, Stage};
use versweep::transport::ssh::SshTransport;
use versweep::transport::{Trace, Transport, TransportError};

use crate::devices::{PASSWORD, credential, device_at, settings, transport};
use crate::sshd_server::{Sshd, TempUser, authorize, current_user, free_address, is_root, keygen, listens};

fn connect_as(user: &str, credential: Credential, folder: &Path) -> SshTransport {
    SshTransport::new(settings(Credential { username: user.to_owned(), ..credential }, folder)).unwrap()
}

async fn ask(
    transport: &SshTransport,
    device: &Device,
    command: &str,
) -> (Result<Vec<String>, TransportError>, Trace) {
    let mut trace = Trace::begin();
    let result = transport.visit(device, &Errand::by_exec([command.to_owned()]), &mut trace).await;
    (result, trace)
}

fn passwords_only() -> Vec<String> {
    vec!["PasswordAuthentication yes".to_owned(), "KbdInteractiveAuthentication no".to_owned()]
}

#[tokio::test]
#[ignore = "needs sshd: run by make test"]
async fn logs_in_by_a_key_with_a_passphrase_and_runs_commands() {
    for kind in ["ed25519", "ecdsa", "rsa"] {
        log_in_by_key(kind).await;
    }
}

async fn log_in_by_key(kind: &str) {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("id");
    keygen(&key, kind, "open sesame");
    let authorized = authorize(&key.with_extension("pub"), folder.path());
    let options = [format!("AuthorizedKeysFile {}", authorized.display()), "PermitRootLogin yes".to_owned()];
    let sshd = Sshd::start(&options);

    let text = std::fs::read_to_string(&key).unwrap();
    let credential = credential(None, Some((&text, Some("open sesame"))));
    let transport = connect_as(&current_user(), credential, folder.path());
    let command = "echo out; echo err >&2; exit 3";
    let (result, trace) = ask(&transport, &device_at(sshd.address), command).await;
    let output = result.unwrap().concat();
    assert!(output.contains("out\n") && output.contains("err\n"), "{output}");
    assert!(trace.server.unwrap().starts_with("SSH-2.0-OpenSSH"));
    assert!(trace.notes.iter().any(|note| note.contains("exit status 3")), "{:?}", trace.notes);

    let log = sshd.log_with("Disconnected from user");
    assert_eq!(log.matches("Connection from").count(), 1, "{log}");
    assert!(
        log.contains("disconnected by user") || log.contains("Received disconnect"),
        "the end is orderly: {log}"
    );
}

#[tokio::test]
#[ignore = "needs sshd: run by make test"]
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
async fn logs_in_by_password_and_sends_a_wrong_one_once() {
    if !is_root() {
        return eprintln!("only root can make a user with a password: skipped");
    }
    let user = TempUser::create("vswpw", "/bin/sh", &[]);
    let folder = tempfile::tempdir().unwrap();
    let sshd = Sshd::start(&passwords_only());
    let device = device_at(sshd.address);

    let right = connect_as(&user.name, credential(Some(&user.password), None), folder.path());
    assert_eq!(ask(&right, &device, "echo hello").await.0.unwrap(), ["hello\n"]);

    let wrong = connect_as(&user.name, credential(Some("wrong-horse"), None), folder.path());
    let error = ask(&wrong, &device, "echo hello").await.0.unwrap_err();
    assert_eq!((error.kind, error.stage), (FailureKind::Auth, Stage::Auth), "{}", error.detail);
    assert!(error.detail.contains("offers: ") && error.detail.contains("password"), "{}", error.detail);
    let log = sshd.log_with("Received disconnect from 127.0.0.1 port");
    assert_eq!(log.matches("Failed password").count(), 1, "{log}");
    assert_eq!(log.matches("Connection from").count(), 2, "{log}");
}

#[tokio::test]
#[ignore = "needs sshd: run by make test"]
async fn a_changed_host_key_stops_the_visit_before_any_login() {
    let folder = tempfile::tempdir().unwrap();
    let address = free_address();
    let transport = connect_as("nobody", credential(Some(PASSWORD), None), folder.path());
    let first = Sshd::start_at(address, &passwords_only());
    // The login fails, but the key is learned by then.
    assert_eq!(ask(&transport, &device_at(address), "true").await.0.unwrap_err().kind, FailureKind::Auth);
    drop(first);
    let second = Sshd::start_at(address, &passwords_only());
    let error = ask(&transport, &device_at(address), "true").await.0.unwrap_err();
    assert_eq!((error.kind, error.stage), (FailureKind::HostKey, Stage::Kex), "{}", error.detail);
    let log = second.log_with("[preauth]");
    assert!(!log.contains("Failed") && !log.contains("nobody"), "no login was tried: {log}");
}

#[tokio::test]
#[ignore = "needs sshd: run by make test"]
async fn a_stopped_sshd_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let sshd = Sshd::start(&passwords_only());
    let address = sshd.address;
    drop(sshd);
    assert!(!listens(address));
    let transport = transport(PASSWORD, folder.path());
    let error = ask(&transport, &device_at(address), "true").await.0.unwrap_err();
    assert_eq!((error.kind, error.stage), (FailureKind::Refused, Stage::Connect), "{}", error.detail);
}
