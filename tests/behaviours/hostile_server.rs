//! Servers that do everything wrong: each ends in one failure of the right kind, with nothing left behind.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout;
use versweep::device::Device;
use versweep::dialogue::Errand;
use versweep::failure::{FailureKind, Stage};
use versweep::transport::ssh::{SetupProblem, SshTransport};
use versweep::transport::{Trace, Transport, TransportError};

use crate::devices::{PASSWORD, credential, device_at, settings, transport};
use crate::ssh_server::{Manner, Server, Setup, fresh_key, until};

async fn ask(
    transport: &SshTransport,
    device: &Device,
    commands: &[&str],
) -> (Result<Vec<String>, TransportError>, Trace) {
    let mut trace = Trace::begin();
    let commands: Vec<String> = commands.iter().map(|command| (*command).to_owned()).collect();
    let result = transport.visit(device, &Errand::by_exec(commands), &mut trace).await;
    (result, trace)
}

/// Visits a server of that manner with the right password.
async fn meet(manner: Manner, commands: &[&str]) -> (Result<Vec<String>, TransportError>, Trace, Server) {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(Setup::new(manner)).await;
    let (result, trace) =
        ask(&transport(PASSWORD, folder.path()), &device_at(server.address), commands).await;
    server.all_closed().await;
    (result, trace, server)
}

#[tokio::test]
async fn one_connection_one_login_and_a_polite_end() {
    let (result, trace, server) = meet(Manner::Usual, &["show version", "show clock"]).await;
    assert_eq!(result.unwrap(), ["Version 1.0\n", "% Invalid input\n"]);
    let seen = server.seen();
    assert_eq!((seen.connections, seen.passwords.len(), seen.commands.len()), (1, 1, 2));
    assert!(seen.clients[0].starts_with("SSH-2.0-versweep_"), "{:?}", seen.clients);
    assert_eq!(trace.server.as_deref(), Some("SSH-2.0-TestServer_1.0"));
    assert!(trace.algorithms.unwrap().starts_with("curve25519-sha256, ssh-ed25519, "));
}

#[tokio::test]
async fn output_counts_whichever_way_the_device_ends_it() {
    for manner in [
        Manner::OnStderr,
        Manner::NoExitStatus,
        Manner::OnlyEof,
        Manner::OneCommandOnly,
        Manner::FarewellOnly,
    ] {
        let (result, trace, _) = meet(manner, &["show version"]).await;
        assert_eq!(result.unwrap_or_else(|error| panic!("{manner:?}: {error}")), ["Version 1.0\n"]);
        assert_eq!(trace.notes.iter().any(|note| note.contains("exit status 3")), manner == Manner::OnStderr);
    }
}

#[tokio::test]
async fn a_device_that_takes_one_command_only_is_not_logged_in_to_twice() {
    let (result, _, server) = meet(Manner::OneCommandOnly, &["show version", "show clock"]).await;
    let error = result.unwrap_err();
    assert_eq!((error.kind, error.stage), (FailureKind::Disconnected, Stage::Command), "{}", error.detail);
    assert_eq!(server.seen().connections, 1);
}

#[tokio::test]
async fn half_an_output_is_a_failure_that_shows_the_half() {
    let (result, _, _) = meet(Manner::BreaksOff, &["show version"]).await;
    let error = result.unwrap_err();
    assert_eq!(error.kind, FailureKind::Disconnected);
    assert!(error.detail.contains("line cleared"), "{}", error.detail);
    assert_eq!(error.partial_output.as_deref(), Some("Version 1.0\n"));
}

#[tokio::test]
async fn a_stalled_output_shows_what_had_come_by_the_timeout() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(Setup::new(Manner::Stalls)).await;
    let mut device = device_at(server.address);
    device.timeouts.command = Duration::from_secs(1);
    let (result, trace) = ask(&transport(PASSWORD, folder.path()), &device, &["show version"]).await;
    let error = result.unwrap_err();
    assert_eq!((error.kind, error.stage), (FailureKind::Timeout, Stage::Command), "{}", error.detail);
    assert_eq!(error.partial_output.as_deref(), Some("Version 1.0\n"));
    assert_eq!(trace.server.as_deref(), Some("SSH-2.0-TestServer_1.0"));
    server.all_closed().await;
}

#[tokio::test]
async fn a_host_that_swallows_connects_ends_at_the_connect_timeout() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    // With its backlog full, Linux drops further connection requests without a word.
    let mut queued = Vec::new();
    while let Ok(Ok(tcp)) = timeout(Duration::from_millis(200), TcpStream::connect(address)).await {
        queued.push(tcp);
        assert!(queued.len() < 64, "the backlog should be full by now");
    }
    let folder = tempfile::tempdir().unwrap();
    let mut device = device_at(address);
    device.timeouts.connect = Duration::from_millis(200);
    let (result, trace) = ask(&transport(PASSWORD, folder.path()), &device, &[]).await;
    let error = result.unwrap_err();
    assert_eq!((error.kind, error.stage), (FailureKind::Timeout, Stage::Connect), "{}", error.detail);
    assert_eq!(trace.times().iter().count(), 0);
}

#[tokio::test]
async fn refusals_say_what_is_missing() {
    for manner in [Manner::RefusesChannels, Manner::RefusesExec] {
        let error = meet(manner, &["show version"]).await.0.unwrap_err();
        assert_eq!((error.kind, error.stage), (FailureKind::Denied, Stage::Command));
    }
}

#[tokio::test]
async fn a_wrong_password_is_sent_once() {
    for manner in [Manner::Usual, Manner::GivesUpOnAuth] {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(Setup::new(manner)).await;
        let transport = transport("wrong-horse", folder.path());
        let error = ask(&transport, &device_at(server.address), &["show version"]).await.0.unwrap_err();
        assert_eq!((error.kind, error.stage), (FailureKind::Auth, Stage::Auth), "{}", error.detail);
        assert!(!error.detail.contains("wrong-horse") && error.detail.contains("credential lab"));
        if manner == Manner::Usual {
            assert!(
                error.detail.contains("publickey") && error.detail.contains("password"),
                "{}",
                error.detail
            );
        }
        assert_eq!(server.seen().passwords, ["wrong-horse"]);
    }
}

#[tokio::test]
async fn the_key_comes_first_and_the_password_once() {
    let key = fresh_key();
    let text = key.to_openssh(russh::keys::ssh_key::LineEnding::LF).unwrap();
    // (the server knows the key, its manner, passwords it should see)
    for (known, manner, passwords) in
        [(true, Manner::Usual, 0), (false, Manner::Usual, 1), (true, Manner::WantsBoth, 1)]
    {
        let folder = tempfile::tempdir().unwrap();
        let authorized = known.then(|| key.public_key().clone());
        let server = Server::start(Setup { authorized, ..Setup::new(manner) }).await;
        let credential = credential(Some(PASSWORD), Some((text.as_str(), None)));
        let transport = SshTransport::new(settings(credential, folder.path())).unwrap();
        let (result, trace) = ask(&transport, &device_at(server.address), &["show version"]).await;
        assert_eq!(result.unwrap(), ["Version 1.0\n"], "{:?}", trace.notes);
        assert_eq!((server.seen().passwords.len(), server.seen().connections), (passwords, 1));
    }
}

#[tokio::test]
async fn output_that_is_no_utf8_is_read_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let server =
        Server::start(Setup::new(Manner::Usual).answer("show version", b"Version \xff1\n".to_vec())).await;
    let result =
        ask(&transport(PASSWORD, folder.path()), &device_at(server.address), &["show version"]).await.0;
    assert_eq!(result.unwrap(), ["Version \u{fffd}1\n"]);
}

#[tokio::test]
async fn the_output_limit_can_be_set() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(Setup::new(Manner::Usual)).await;
    let mut settings = settings(credential(Some(PASSWORD), None), folder.path());
    settings.output_limit = 4;
    let transport = SshTransport::new(settings).unwrap();
    let error = ask(&transport, &device_at(server.address), &["show version"]).await.0.unwrap_err();
    assert_eq!((error.kind, error.partial_output.as_deref()), (FailureKind::OutputLimit, Some("Vers")));
}

/// A peer that says `opening` to one visitor and closes, or stays.
fn peer(opening: &'static [u8], stays: bool) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut tcp, _) = listener.accept().unwrap();
        tcp.write_all(opening).unwrap();
        if stays {
            let _ = tcp.read_to_end(&mut Vec::new());
        } else {
            // Take what has come, so that closing doesn't reset the connection under the answer.
            let _ = tcp.read(&mut [0; 4096]);
            let _ = tcp.shutdown(std::net::Shutdown::Write);
            let _ = tcp.read_to_end(&mut Vec::new());
        }
    });
    address
}

#[tokio::test]
async fn what_is_no_ssh_server_is_told_apart() {
    let cases: [(&[u8], bool, FailureKind, &str); 7] = [
        (b"", false, FailureKind::Disconnected, "before its SSH banner"),
        (b"", true, FailureKind::Timeout, "no SSH banner"),
        (
            b"HTTP/1.1 400 Bad\x1b[2J Request\r\n\r\n",
            false,
            FailureKind::Kex,
            "\"HTTP/1.1 400 Bad\\u{1b}[2J Request",
        ),
        (b"220 ftp ready\r\n", true, FailureKind::Kex, "220 ftp ready"),
        (b"SSH-1.5-Cisco-1.25\n", true, FailureKind::Kex, "SSH protocol 1"),
        (b"SSH-2.0-x\r\n", false, FailureKind::Disconnected, "during key exchange"),
        (b"SSH-2.0-x\r\nGARBAGE GARBAGE GARBAGE GARBAGE", true, FailureKind::Kex, "key exchange"),
    ];
    let folder = tempfile::tempdir().unwrap();
    let transport = transport(PASSWORD, folder.path());
    for (opening, stays, kind, says) in cases {
        let mut device = device_at(peer(opening, stays));
        match opening {
            // Only these two are ended by the limit; the second has to come through before it strikes.
            b"" if stays => device.timeouts.login = Duration::from_millis(100),
            b"220 ftp ready\r\n" => device.timeouts.login = Duration::from_secs(2),
            _ => {}
        }
        let (result, _) = ask(&transport, &device, &["show version"]).await;
        let error = result.unwrap_err();
        assert_eq!((error.kind, error.stage), (kind, Stage::Kex), "{opening:?}: {}", error.detail);
        assert!(error.detail.contains(says), "{says:?} is not in: {}", error.detail);
    }
}

#[tokio::test]
async fn names_that_do_not_resolve_and_ports_that_refuse() {
    let folder = tempfile::tempdir().unwrap();
    let transport = transport(PASSWORD, folder.path());
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = ask(&transport, &device_at(closed), &[]).await.0.unwrap_err();
    assert_eq!((error.kind, error.stage), (FailureKind::Refused, Stage::Connect), "{}", error.detail);

    let mut device = device_at(closed);
    device.endpoint.host = "r1.invalid".to_owned();
    let error = ask(&transport, &device, &[]).await.0.unwrap_err();
    assert_eq!((error.kind, error.stage), (FailureKind::Dns, Stage::Connect), "{}", error.detail);
}

#[test]
fn unusable_credentials_are_named_before_any_visit() {
    use russh::keys::ssh_key::LineEnding;
    let folder = tempfile::tempdir().unwrap();
    let plain = fresh_key();
    let locked = plain.encrypt(&mut russh::keys::key::safe_rng(), "open sesame").unwrap();
    let locked = locked.to_openssh(LineEnding::LF).unwrap();
    for (password, key, problem) in [
        (None, None, SetupProblem::Nothing),
        (None, Some((locked.as_str(), None)), SetupProblem::PassphraseMissing),
        (None, Some((locked.as_str(), Some("open barley"))), SetupProblem::WrongPassphrase),
        (None, Some(("no key at all", None)), SetupProblem::UnknownFormat),
        (None, Some(("no key at all", Some("open sesame"))), SetupProblem::UnknownFormat),
    ] {
        let errors = SshTransport::new(settings(credential(password, key), folder.path())).unwrap_err();
        assert_eq!(errors.len(), 1);
        assert_eq!(errors[0].problem, problem);
        let told = errors[0].to_string();
        assert!(told.starts_with("credential lab: ") && !told.contains("open barley"), "{told}");
    }
    let right = credential(None, Some((locked.as_str(), Some("open sesame"))));
    let transport = SshTransport::new(settings(right, folder.path())).unwrap();
    assert!(!format!("{transport:?}").contains("sesame"));
}

/// Accepts a hundred visitors, tells when each is in the middle of its key exchange, counts those that hang up.
fn silent_peers(
    count: usize,
    all_there: oneshot::Sender<()>,
) -> (std::net::SocketAddr, std::thread::JoinHandle<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let counting = std::thread::spawn(move || {
        let mut visitors = Vec::new();
        for _ in 0..count {
            let (mut tcp, _) = listener.accept().unwrap();
            tcp.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
            let _ = tcp.write_all(b"SSH-2.0-Silent\r\n");
            let _ = tcp.read(&mut [0; 16]);
            visitors.push(tcp);
        }
        all_there.send(()).unwrap();
        // A read that times out is a socket that was left open; a reset is as good as an end.
        let left_open = |error: std::io::Error| error.kind() == std::io::ErrorKind::WouldBlock;
        let hung_up = |mut tcp: std::net::TcpStream| !tcp.read_to_end(&mut Vec::new()).is_err_and(left_open);
        visitors.into_iter().map(hung_up).filter(|hung_up| *hung_up).count()
    });
    (address, counting)
}

/// russh's own task used to outlive a timeout during key exchange, with its socket: 200 of 200 leaked.
#[tokio::test]
async fn a_hundred_silent_peers_leave_no_task_and_no_socket() {
    const PEERS: usize = 100;
    let folder = tempfile::tempdir().unwrap();
    let transport = std::sync::Arc::new(transport(PASSWORD, folder.path()));
    let before = Handle::current().metrics().num_alive_tasks();
    let (all_there, there) = oneshot::channel();
    let (address, counting) = silent_peers(PEERS, all_there);

    let mut visits = JoinSet::new();
    let mut dropped = Vec::new();
    for index in 0..PEERS {
        let transport = std::sync::Arc::clone(&transport);
        let mut device = device_at(address);
        if index % 2 == 0 {
            device.timeouts.login = Duration::from_millis(300);
        }
        let visit = visits.spawn(async move { ask(&transport, &device, &["show version"]).await.0 });
        if index % 2 == 1 {
            dropped.push(visit);
        }
    }
    there.await.unwrap();
    dropped.iter().for_each(tokio::task::AbortHandle::abort);
    let mut timeouts = 0;
    while let Some(visit) = visits.join_next().await {
        match visit {
            Ok(result) => {
                assert_eq!(result.unwrap_err().kind, FailureKind::Timeout);
                timeouts += 1;
            }
            Err(error) => assert!(error.is_cancelled()),
        }
    }
    assert_eq!(timeouts, PEERS / 2);
    until(|| Handle::current().metrics().num_alive_tasks() == before).await;
    let hung_up = tokio::task::spawn_blocking(move || counting.join().unwrap()).await.unwrap();
    assert_eq!(hung_up, PEERS);
}
