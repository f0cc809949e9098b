//! What devices are offered: the first packet goes in clear, and whoever answers can read it (RFC 4253, section 7.1).

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;

use versweep::clock::{Clock, SystemClock};
use versweep::device::{Device, PlatformChoice, PlatformKey, SshAlgorithms};
use versweep::dialogue::Errand;
use versweep::failure::FailureKind;
use versweep::observation::SweepId;
use versweep::platform::Platforms;
use versweep::probe::Prober;
use versweep::transport::{Trace, Transport};

use crate::devices::{PASSWORD, device_at, transport};
use crate::ssh_server::{Manner, Server, Setup};

/// The lists of an offer: key exchange, host keys, ciphers to the server and from it, MACs to and from.
type Lists = [Vec<String>; 6];

/// What stands in the list of key exchanges and is none.
const MARKERS: [&str; 2] = ["ext-info-c", "kex-strict-c-v00@openssh.com"];

/// Somebody who takes one visitor's offer and hangs up.
fn reader() -> (SocketAddr, JoinHandle<Lists>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let reading = std::thread::spawn(move || {
        let (mut tcp, _) = listener.accept().unwrap();
        tcp.write_all(b"SSH-2.0-Reader\r\n").unwrap();
        let mut visitor = BufReader::new(tcp);
        visitor.read_until(b'\n', &mut Vec::new()).unwrap();
        let mut string = |skip: usize| {
            let mut head = vec![0; skip + 4];
            visitor.read_exact(&mut head).unwrap();
            let length = u32::from_be_bytes(head[skip..].try_into().unwrap());
            let mut text = vec![0; length as usize];
            visitor.read_exact(&mut text).unwrap();
            String::from_utf8(text).unwrap().split(',').map(str::to_owned).collect()
        };
        // Before the first list: the packet's length, that of its padding, the message's number and a cookie.
        [22, 0, 0, 0, 0, 0].map(&mut string)
    });
    (address, reading)
}

async fn offered(algorithms: SshAlgorithms) -> Lists {
    let folder = tempfile::tempdir().unwrap();
    let (address, reading) = reader();
    let device = Device { algorithms, ..device_at(address) };
    let errand = Errand::by_exec(["show version".to_owned()]);
    let result = transport(PASSWORD, folder.path()).visit(&device, &errand, &mut Trace::begin()).await;
    assert_eq!(result.unwrap_err().kind, FailureKind::Disconnected);
    tokio::task::spawn_blocking(|| reading.join().unwrap()).await.unwrap()
}

fn is_old(name: &str) -> bool {
    SshAlgorithms::LEGACY.contains(&name)
}

#[tokio::test]
async fn strict_key_exchange_is_asked_for_always() {
    for algorithms in [SshAlgorithms::Modern, SshAlgorithms::Legacy] {
        let [kex, ..] = offered(algorithms).await;
        for marker in MARKERS {
            assert!(kex.iter().any(|name| name == marker), "{algorithms:?}: {marker} is not in {kex:?}");
        }
    }
}

#[tokio::test]
async fn what_is_old_stands_behind_all_that_is_modern() {
    let (modern, legacy) = (offered(SshAlgorithms::Modern).await, offered(SshAlgorithms::Legacy).await);
    let mut added = Vec::new();
    for (modern, legacy) in modern.into_iter().zip(legacy) {
        let names = |list: Vec<String>| -> Vec<String> {
            list.into_iter().filter(|name| !MARKERS.contains(&name.as_str())).collect()
        };
        let (modern, legacy) = (names(modern), names(legacy));
        assert!(!modern.iter().any(|name| is_old(name)), "nobody asked for it: {modern:?}");
        let (first, then) = legacy.split_at(modern.len());
        assert_eq!(first, modern);
        assert!(!then.is_empty() && then.iter().all(|name| is_old(name)), "{then:?}");
        added.extend(then.to_vec());
    }
    for name in SshAlgorithms::LEGACY {
        assert!(added.iter().any(|added| added == name), "{name} is documented and not offered");
    }
}

#[tokio::test]
async fn what_was_agreed_on_is_part_of_the_observation() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(Setup::new(Manner::OneCommandOnly)).await;
    let prober = Prober {
        transport: Arc::new(transport(PASSWORD, folder.path())),
        platforms: Arc::new(Platforms::builtin()),
        clock: Arc::new(SystemClock),
    };
    let platform = PlatformChoice::Named(PlatformKey::new("frr"));
    let device = Device { platform, ..device_at(server.address) };
    let visit = prober.device(&device, SweepId::starting(SystemClock.now())).await;
    let session = visit.observation.ssh.unwrap();
    assert_eq!(session.server, "SSH-2.0-TestServer_1.0");
    assert!(session.algorithms.starts_with("curve25519-sha256, ssh-ed25519, "), "{}", session.algorithms);
    assert_eq!(session.legacy().count(), 0);
}
