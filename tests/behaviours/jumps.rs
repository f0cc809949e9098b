//! Jump hosts: one connection for all visits through them, each with its own login and host key check.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use russh::MethodKind;
use versweep::credential::{Agent, Credential};
use versweep::device::{
    CredentialId, Device, Endpoint, HostKeyPolicy, JumpHost, Route, SshAlgorithms, Timeouts,
};
use versweep::dialogue::Errand;
use versweep::failure::{FailureKind, Stage};
use versweep::transport::ssh::{SshSettings, SshTransport};
use versweep::transport::{Trace, Transport, TransportError};

use crate::devices::{PASSWORD, PATIENT, credential, device_at};
use crate::ssh_server::{Manner, Server, Setup, until};

/// A transport with the devices' credential `lab`, and that of the jump hosts, `bastion`, with this password.
fn transport(folder: &Path, password: &str) -> SshTransport {
    let device = credential(Some(PASSWORD), None);
    let id = CredentialId::new("bastion").unwrap();
    let bastion = Credential { id, ..credential(Some(password), None) };
    let all = [device, bastion].map(|credential| (credential.id.clone(), Arc::new(credential)));
    SshTransport::new(SshSettings::new(BTreeMap::from(all), folder.join("known_hosts"))).unwrap()
}

fn jump(server: &Server) -> Arc<JumpHost> {
    let address = server.address;
    Arc::new(JumpHost {
        name: format!("bastion{}", address.port()).into(),
        endpoint: Endpoint { host: address.ip().to_string(), port: address.port() },
        credential: CredentialId::new("bastion").unwrap(),
        host_keys: HostKeyPolicy::Learn,
        algorithms: SshAlgorithms::Modern,
        timeouts: PATIENT,
    })
}

fn behind(way: &[&Server], device: &Server) -> Device {
    let way = way.iter().map(|server| jump(server)).collect();
    Device { route: Route::Via(way), ..device_at(device.address) }
}

async fn visit(transport: &SshTransport, device: &Device) -> (Result<Vec<String>, TransportError>, Trace) {
    let mut trace = Trace::begin();
    let result = transport.visit(device, &Errand::by_exec(["show version".to_owned()]), &mut trace).await;
    (result, trace)
}

async fn usual() -> Server {
    Server::start(Setup::new(Manner::Usual)).await
}

#[tokio::test]
async fn visits_share_one_connection() {
    let folder = tempfile::tempdir().unwrap();
    let transport = transport(folder.path(), PASSWORD);
    // By another method than the devices', so that the two logins can't be mixed up.
    let methods = vec![MethodKind::KeyboardInteractive];
    let bastion = Server::start(Setup { methods, ..Setup::new(Manner::Usual) }).await;
    let devices = [usual().await, usual().await, usual().await];
    let list = devices.each_ref().map(|device| behind(&[&bastion], device));
    let (a, b, c) =
        tokio::join!(visit(&transport, &list[0]), visit(&transport, &list[1]), visit(&transport, &list[2]));
    for (result, trace) in [a, b, c, visit(&transport, &list[0]).await] {
        assert_eq!(result.unwrap(), ["Version 1.0\n"]);
        assert!(trace.notes.iter().any(|note| note.starts_with("through jump host bastion")));
        assert!(trace.server.unwrap().contains("TestServer"), "of the device, not of the jump host");
    }
    let seen = bastion.seen();
    assert_eq!((seen.connections, seen.secrets(), seen.tunnels, seen.commands.len()), (1, 1, 4, 0));
    assert_eq!(devices[0].seen().passwords, [PASSWORD, PASSWORD]);

    drop(transport);
    bastion.all_closed().await;
}

#[tokio::test]
async fn jump_hosts_stand_in_a_row() {
    let folder = tempfile::tempdir().unwrap();
    let transport = transport(folder.path(), PASSWORD);
    let (first, second, device) = (usual().await, usual().await, usual().await);
    let far = behind(&[&first, &second], &device);
    for _ in 0..2 {
        visit(&transport, &far).await.0.unwrap();
    }
    let (first_seen, second_seen) = (first.seen(), second.seen());
    assert_eq!((first_seen.connections, first_seen.tunnels), (1, 1));
    assert_eq!((second_seen.connections, second_seen.tunnels), (1, 2));
    drop(transport);
    first.all_closed().await;
    second.all_closed().await;
    device.all_closed().await;
}

#[tokio::test]
async fn a_refused_login_is_not_tried_again_for_each_device() {
    let folder = tempfile::tempdir().unwrap();
    let transport = transport(folder.path(), "wrong-horse");
    let (bastion, device) = (usual().await, usual().await);
    for _ in 0..3 {
        let error = visit(&transport, &behind(&[&bastion], &device)).await.0.unwrap_err();
        assert_eq!((error.kind, error.stage), (FailureKind::Unreachable, Stage::Connect));
        assert!(error.detail.starts_with("jump host bastion"), "{}", error.detail);
        assert!(error.detail.contains("auth at auth") && error.detail.contains("check credential bastion"));
    }
    assert_eq!((bastion.seen().connections, bastion.seen().secrets()), (1, 1));
    assert_eq!(device.seen().connections, 0);
}

/// An ssh-agent that was away for a moment once took every device behind the jump host away for ten minutes.
#[tokio::test]
async fn a_login_that_was_never_sent_is_tried_again_soon() {
    let folder = tempfile::tempdir().unwrap();
    let bastion = Credential {
        id: CredentialId::new("bastion").unwrap(),
        agent: Some(Agent { socket: folder.path().join("agent"), public_key: None }),
        ..credential(None, None)
    };
    let all = [credential(Some(PASSWORD), None), bastion];
    let all = all.map(|credential| (credential.id.clone(), Arc::new(credential)));
    let settings = SshSettings::new(BTreeMap::from(all), folder.path().join("known_hosts"));
    let transport = SshTransport::new(settings).unwrap();
    let (bastion, device) = (usual().await, usual().await);
    for visits in [1, 2] {
        let error = visit(&transport, &behind(&[&bastion], &device)).await.0.unwrap_err();
        assert_eq!(error.kind, FailureKind::Internal, "{}", error.detail);
        assert!(error.detail.contains("ssh-agent"), "{}", error.detail);
        assert_eq!(bastion.seen().connections, visits);
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(6)).await;
        tokio::time::resume();
    }
}

/// Only the device's own secrets were once taken out of what is told.
#[tokio::test]
async fn what_a_jump_host_prints_back_is_not_told() {
    const QUESTION: &str = "is right-horse all that you have? ";
    assert!(QUESTION.contains(PASSWORD));
    let folder = tempfile::tempdir().unwrap();
    let transport = transport(folder.path(), PASSWORD);
    let setup = Setup {
        methods: vec![MethodKind::KeyboardInteractive],
        questions: vec![("Password: ", false), (QUESTION, true)],
        ..Setup::new(Manner::Usual)
    };
    let bastion = Server::start(setup).await;
    let error = visit(&transport, &behind(&[&bastion], &usual().await)).await.0.unwrap_err();
    assert!(error.detail.contains("is ******** all that you have?"), "{}", error.detail);
}

#[tokio::test]
async fn the_jump_hosts_own_key_is_checked() {
    let folder = tempfile::tempdir().unwrap();
    let transport = transport(folder.path(), PASSWORD);
    let (bastion, device) = (usual().await, usual().await);
    let strict = JumpHost { host_keys: HostKeyPolicy::Strict, ..(*jump(&bastion)).clone() };
    let device_there = Device { route: Route::Via(vec![Arc::new(strict)]), ..device_at(device.address) };
    let error = visit(&transport, &device_there).await.0.unwrap_err();
    assert_eq!(error.kind, FailureKind::Unreachable, "the device's own key is not the one in question");
    assert!(error.detail.contains("host_key at kex"), "{}", error.detail);
    assert_eq!(bastion.seen().secrets(), 0);
}

#[tokio::test]
async fn a_dropped_visit_takes_only_its_channel_along() {
    let folder = tempfile::tempdir().unwrap();
    let transport = transport(folder.path(), PASSWORD);
    let bastion = usual().await;
    let silent = Server::start(Setup::new(Manner::SilentAtCommand)).await;
    let (stuck, commands) = (behind(&[&bastion], &silent), Errand::by_exec(["show version".to_owned()]));
    let mut trace = Trace::begin();
    tokio::select! {
        ended = transport.visit(&stuck, &commands, &mut trace) => panic!("it should hang: {ended:?}"),
        () = until(|| !silent.seen().commands.is_empty()) => {}
    }
    silent.all_closed().await;
    assert_eq!(bastion.seen().open, 1);
    visit(&transport, &behind(&[&bastion], &usual().await)).await.0.unwrap();
    assert_eq!(bastion.seen().connections, 1);
}

#[tokio::test]
async fn a_device_that_floods_stops_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let transport = transport(folder.path(), PASSWORD);
    let (bastion, device) = (usual().await, usual().await);
    let floods = Server::start(Setup::new(Manner::Floods)).await;
    let (flooding, other) = (behind(&[&bastion], &floods), behind(&[&bastion], &device));
    let ((result, _), (beside, _)) = tokio::join!(visit(&transport, &flooding), visit(&transport, &other));
    assert_eq!(result.unwrap_err().kind, FailureKind::OutputLimit);
    beside.unwrap();
    visit(&transport, &other).await.0.unwrap();
    assert_eq!(bastion.seen().connections, 1);
}

#[tokio::test]
async fn a_lost_connection_is_opened_anew() {
    let folder = tempfile::tempdir().unwrap();
    let transport = transport(folder.path(), PASSWORD);
    let (bastion, device) = (usual().await, usual().await);
    let there = behind(&[&bastion], &device);
    visit(&transport, &there).await.0.unwrap();
    bastion.break_all();
    bastion.all_closed().await;
    visit(&transport, &there).await.0.unwrap();
    assert_eq!(bastion.seen().connections, 2);
}

#[tokio::test]
async fn what_the_jump_host_cannot_reach_is_unreachable() {
    let folder = tempfile::tempdir().unwrap();
    let transport = transport(folder.path(), PASSWORD);
    let bastion = usual().await;
    let gone = Server::start(Setup::new(Manner::Usual)).await;
    let there = behind(&[&bastion], &gone);
    drop(gone);
    tokio::task::yield_now().await;
    let error = visit(&transport, &there).await.0.unwrap_err();
    assert_eq!((error.kind, error.stage), (FailureKind::Unreachable, Stage::Connect), "{}", error.detail);
    assert!(error.detail.contains("can't connect to 127.0.0.1:"), "{}", error.detail);

    let closed = Server::start(Setup::new(Manner::RefusesChannels)).await;
    let error = visit(&transport, &behind(&[&closed], &usual().await)).await.0.unwrap_err();
    assert_eq!(error.kind, FailureKind::Unreachable);
    assert!(error.detail.contains("AllowTcpForwarding"), "{}", error.detail);
}

/// 256 devices that connect and say nothing take all channels; the next one is told so, and waits for nobody's login.
#[tokio::test]
async fn a_jump_hosts_connection_has_so_many_channels() {
    const CHANNELS: usize = 256;
    let folder = tempfile::tempdir().unwrap();
    let transport = Arc::new(transport(folder.path(), PASSWORD));
    let bastion = usual().await;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let there = Device { route: Route::Via(vec![jump(&bastion)]), ..device_at(silent.local_addr().unwrap()) };
    let mut visits = tokio::task::JoinSet::new();
    for _ in 0..CHANNELS {
        let (transport, there) = (Arc::clone(&transport), there.clone());
        visits.spawn(async move { visit(&transport, &there).await.0 });
    }
    let mut held = Vec::new();
    while held.len() < CHANNELS {
        held.push(silent.accept().await.unwrap());
    }
    let timeouts = Timeouts { connect: Duration::from_millis(300), ..PATIENT };
    let error = visit(&transport, &Device { timeouts, ..there }).await.0.unwrap_err();
    assert_eq!((error.kind, error.stage), (FailureKind::Timeout, Stage::Connect), "{}", error.detail);
    assert!(error.detail.starts_with("all 256 channels of jump host bastion"), "{}", error.detail);
    assert_eq!((bastion.seen().connections, bastion.seen().tunnels), (1, CHANNELS));
    visits.shutdown().await;
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let transport = transport(folder.path(), PASSWORD);
    let (bastion, device) = (usual().await, usual().await);
    visit(&transport, &behind(&[&bastion], &device)).await.0.unwrap();
    device.all_closed().await;
    assert_eq!(bastion.seen().open, 1, "it is kept for the next device");
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(40)).await;
    tokio::time::resume();
    bastion.all_closed().await;
    visit(&transport, &behind(&[&bastion], &device)).await.0.unwrap();
    assert_eq!(bastion.seen().connections, 2);
}
