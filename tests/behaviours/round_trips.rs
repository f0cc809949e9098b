//! How many round trips a visit costs: what SSH and the device's dialogue need, and none for waiting.
//!
//! A relay stands between client and server and lets one side speak at a time, so that whatever needs no answer first
//! arrives as one turn. A busy machine can tear a turn in two, never make one of two: the least of some tries counts.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use versweep::dialogue::{Errand, Rules};
use versweep::transport::ssh::SshTransport;
use versweep::transport::{Trace, Transport};

use crate::devices::{PASSWORD, device_at, transport};
use crate::shell_server::{ShellServer, ShellSetup};

/// How long nothing comes until a side is taken to have said all.
const PAUSE: Duration = Duration::from_millis(15);

/// How often a count that is too high is looked at again.
const TRIES: usize = 20;

/// Relays one connection at a time, and answers how often the client spoke.
struct Relay {
    address: SocketAddr,
    counting: JoinHandle<usize>,
}

impl Relay {
    async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let counting = tokio::spawn(async move {
            let (client, _) = listener.accept().await.unwrap();
            turns(client, TcpStream::connect(server).await.unwrap()).await
        });
        Self { address, counting }
    }
}

async fn turns(mut client: TcpStream, mut server: TcpStream) -> usize {
    let mut count = 0;
    loop {
        let Some(said) = turn_of(&mut client).await else { return count };
        count += usize::from(!said.is_empty());
        if server.write_all(&said).await.is_err() {
            return count;
        }
        let Some(said) = turn_of(&mut server).await else { return count };
        if client.write_all(&said).await.is_err() {
            return count;
        }
    }
}

/// All that a side says until it pauses; nothing when it has hung up.
async fn turn_of(side: &mut TcpStream) -> Option<Vec<u8>> {
    let mut said = Vec::new();
    loop {
        match timeout(PAUSE, side.read_buf(&mut said)).await {
            Ok(Ok(0) | Err(_)) => return (!said.is_empty()).then_some(said),
            Ok(Ok(_)) => {}
            Err(_) => return Some(said),
        }
    }
}

/// The turns of one visit.
async fn visit(transport: &SshTransport, server: SocketAddr, errand: &Errand) -> usize {
    let relay = Relay::to(server).await;
    // The relay's port is another one each time; what is known of a server goes by its address.
    let mut device = device_at(relay.address);
    device.host_keys = versweep::device::HostKeyPolicy::Off;
    transport.visit(&device, errand, &mut Trace::begin()).await.unwrap();
    relay.counting.await.unwrap()
}

/// The least of some tries, each with a transport of its own; the first that is no more than `expected` ends them.
async fn least(server: &ShellServer, errand: &Errand, expected: usize) -> usize {
    let mut least = usize::MAX;
    for _ in 0..TRIES {
        let folder = tempfile::tempdir().unwrap();
        let transport = transport(PASSWORD, folder.path());
        least = least.min(visit(&transport, server.address, errand).await);
        if least <= expected {
            break;
        }
    }
    least
}

fn router() -> ShellSetup {
    ShellSetup { exec: Some("Version 1.0\n".to_owned()), ..ShellSetup::new("r1#", "Welcome\r\n") }
        .answer("terminal length 0", "")
        .answer("show version", "Version 1.0\r\n")
        .answer("show clock", "12:00\r\n")
}

fn in_shell(setup: &[&str], commands: &[&str]) -> Errand {
    let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    Errand::by_shell(texts(commands), Rules { setup: texts(setup), ..Rules::default() })
}

/// Key exchange in three, `none`, the password: the same for every visit to a device that is met for the first time.
const LOGIN: usize = 5;

#[tokio::test]
async fn a_visit_costs_no_more_round_trips_than_its_dialogue() {
    let server = ShellServer::start(router()).await;
    let by_exec = Errand::by_exec(["show version".to_owned()]);
    for (what, errand, turns) in [
        // Open a channel, ask, say good-bye.
        ("exec", by_exec, 3),
        // Open a channel, ask for terminal and shell, then a line at each prompt; the logout comes with the good-bye.
        ("shell", in_shell(&[], &["show version"]), 5),
        ("pager off", in_shell(&["terminal length 0"], &["show version"]), 6),
        ("two commands", in_shell(&[], &["show version", "show clock"]), 6),
    ] {
        let expected = LOGIN + turns;
        let needed = least(&server, &errand, expected).await;
        assert_eq!(needed, expected, "{what}");
    }
}
