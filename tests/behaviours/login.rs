//! Logging in (rule 2): by the methods that the server offers, in order, and at most one secret a visit.

use russh::MethodKind::{KeyboardInteractive, None as Unasked, Password, PublicKey};
use russh::keys::{Algorithm, PrivateKey};
use russh::{MethodKind, keys::ssh_key::LineEnding};
use versweep::credential::Credential;
use versweep::dialogue::Errand;
use versweep::failure::{FailureKind, Stage};
use versweep::transport::ssh::SshTransport;
use versweep::transport::{Trace, Transport, TransportError};

use crate::devices::{PASSWORD, credential, device_at, settings};
use crate::ssh_server::{Manner, Server, Setup, key_of};

fn offering(methods: &[MethodKind]) -> Setup {
    Setup { methods: methods.to_vec(), ..Setup::new(Manner::Usual) }
}

async fn visit(transport: &SshTransport, server: &Server) -> (Result<Vec<String>, TransportError>, Trace) {
    let mut trace = Trace::begin();
    let device = device_at(server.address);
    let result = transport.visit(&device, &Errand::by_exec(["show version".to_owned()]), &mut trace).await;
    (result, trace)
}

/// A visit by a transport of its own.
async fn visit_with(credential: Credential, server: &Server) -> (Result<Vec<String>, TransportError>, Trace) {
    let folder = tempfile::tempdir().unwrap();
    visit(&SshTransport::new(settings(credential, folder.path())).unwrap(), server).await
}

fn key_text(key: &PrivateKey) -> String {
    key.to_openssh(LineEnding::LF).unwrap().to_string()
}

#[tokio::test]
async fn a_server_that_wants_no_secret_gets_none() {
    let server = Server::start(offering(&[Unasked, Password])).await;
    let (result, trace) = visit_with(credential(Some(PASSWORD), None), &server).await;
    assert_eq!(result.unwrap(), ["Version 1.0\n"]);
    assert_eq!(server.seen().secrets(), 0);
    assert!(trace.notes.iter().any(|note| note.contains("\"none\"")), "{:?}", trace.notes);
}

#[tokio::test]
async fn the_methods_are_asked_for_once() {
    let folder = tempfile::tempdir().unwrap();
    let transport = SshTransport::new(settings(credential(Some(PASSWORD), None), folder.path())).unwrap();
    let server = Server::start(offering(&[Password])).await;
    for _ in 0..3 {
        visit(&transport, &server).await.0.unwrap();
    }
    let seen = server.seen();
    assert_eq!((seen.nones, seen.passwords.len()), (1, 3), "later visits spare the round trip");
}

#[tokio::test]
async fn the_password_goes_by_keyboard_interactive_where_only_that_is_offered() {
    let server = Server::start(offering(&[PublicKey, KeyboardInteractive])).await;
    let (result, trace) = visit_with(credential(Some(PASSWORD), None), &server).await;
    result.unwrap();
    let seen = server.seen();
    assert_eq!((seen.passwords.len(), seen.answers), (0, vec![PASSWORD.to_owned()]));
    assert!(trace.notes.iter().any(|note| note == "logged in by keyboard-interactive"), "{:?}", trace.notes);
}

#[tokio::test]
async fn a_wrong_password_is_sent_once_whatever_is_offered() {
    let strange = key_text(&key_of(Algorithm::Ed25519));
    let mixes: [&[MethodKind]; 6] = [
        &[Password],
        &[KeyboardInteractive],
        &[Password, KeyboardInteractive],
        &[PublicKey, Password],
        &[PublicKey, KeyboardInteractive],
        &[PublicKey, KeyboardInteractive, Password],
    ];
    for methods in mixes {
        for key in [None, Some((strange.as_str(), None))] {
            let server = Server::start(offering(methods)).await;
            let error = visit_with(credential(Some("wrong-horse"), key), &server).await.0.unwrap_err();
            assert_eq!((error.kind, error.stage), (FailureKind::Auth, Stage::Auth), "{}", error.detail);
            assert!(error.detail.contains("check credential lab"), "{}", error.detail);
            let seen = server.seen();
            assert_eq!((seen.connections, seen.secrets()), (1, 1), "{methods:?}, key: {}", key.is_some());
        }
    }
}

#[tokio::test]
async fn the_key_goes_before_the_password() {
    let key = key_of(Algorithm::Ed25519);
    let setup = Setup {
        authorized: Some(key.public_key().clone()),
        ..offering(&[PublicKey, Password, KeyboardInteractive])
    };
    let server = Server::start(setup).await;
    let text = key_text(&key);
    visit_with(credential(Some(PASSWORD), Some((&text, None))), &server).await.0.unwrap();
    let seen = server.seen();
    assert_eq!((seen.keys, seen.secrets()), (1, 0));
}

#[tokio::test]
async fn only_a_key_is_tried_without_asking_first() {
    let server = Server::start(offering(&[PublicKey, Password])).await;
    let text = key_text(&key_of(Algorithm::Ed25519));
    let error = visit_with(credential(None, Some((&text, None))), &server).await.0.unwrap_err();
    assert_eq!((error.kind, server.seen().nones), (FailureKind::Auth, 0));
}

#[tokio::test]
async fn nothing_is_sent_where_no_method_fits() {
    let server = Server::start(offering(&[PublicKey])).await;
    let error = visit_with(credential(Some(PASSWORD), None), &server).await.0.unwrap_err();
    assert_eq!((error.kind, server.seen().secrets()), (FailureKind::Auth, 0));
    assert!(
        error.detail.contains("offers only: publickey; the credential has a password"),
        "{}",
        error.detail
    );
}

#[tokio::test]
async fn only_the_password_is_ever_answered() {
    for (questions, answered, said) in [
        (vec![("User: ", true)], 0, "asked \"User:\", which is not a password"),
        (
            vec![("Password: ", false), ("New password: ", false)],
            1,
            "asked \"New password:\": log in by hand",
        ),
    ] {
        let server = Server::start(Setup { questions, ..offering(&[KeyboardInteractive]) }).await;
        let error = visit_with(credential(Some(PASSWORD), None), &server).await.0.unwrap_err();
        assert_eq!((error.kind, error.stage), (FailureKind::Auth, Stage::Auth));
        assert!(error.detail.contains(said), "{}", error.detail);
        assert_eq!(server.seen().answers.len(), answered);
        server.all_closed().await;
    }
}
