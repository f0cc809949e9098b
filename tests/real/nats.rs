//! Events over Debian's NATS server, read back from a JetStream by nats-py.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::watch;
use versweep::change::ChangeKind;
use versweep::clock::SystemClock;
use versweep::courier::{self, Setup};
use versweep::event::Template;
use versweep::fetch::{Login, Roots};
use versweep::sink::{Nats, NatsServer, Sink};

use crate::daemon::{eventually, free_address};
use crate::python::Script;
use crate::receivers::store_with_all;

const PASSWORD: &str = "planted-nats";

/// A server with one user, who may publish below `versweep.` only, that keeps its streams in a folder.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start(folder: &TempDir, address: SocketAddr) -> Self {
        let file = folder.path().join("nats.conf");
        let text = format!(
            "listen: '{address}'\njetstream {{ store_dir: '{}' }}\nauthorization {{ users = [ {{ user: versweep, \
             password: {PASSWORD}, permissions: {{ publish: ['versweep.>', '_INBOX.>', '$JS.>'], subscribe: '>' }} }} ] }}\n",
            folder.path().display()
        );
        fs::write(&file, text).unwrap();
        let child = Command::new("nats-server")
            .arg("-c")
            .arg(file)
            .stderr(Stdio::null())
            .spawn()
            .expect("nats-server should be installed: make packages");
        eventually("the NATS server listens", || TcpStream::connect(address).is_ok());
        Self { child, address }
    }

    fn url(&self) -> String {
        format!("nats://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn setup(address: SocketAddr, password: &str, subject: &str) -> Setup {
    let server = NatsServer {
        address: format!("nats://{address}"),
        login: Some(Login::Basic { username: "versweep".into(), password: password.to_owned().into() }),
        roots: Roots::System,
        timeout: Duration::from_secs(10),
    };
    let nats = Nats::new(server, Template::parse(subject).unwrap(), "/versweep");
    Setup::plain("test", Sink::Nats(Box::new(nats)))
}

#[tokio::test]
#[ignore = "needs nats-server and Python libraries: run by make test"]
async fn every_event_is_in_the_stream_once_the_server_is_back() {
    let (folder, streams) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (_store, path, sequence) = store_with_all(&folder, "test");
    let server = Server::start(&streams, free_address());
    let (address, url) = (server.address, server.url());
    assert_eq!(Script::start("nats_stream.py", &["create", &url]).rest(), [""; 0]);
    drop(server);

    let (_news, seen) = watch::channel(sequence);
    let setup = setup(address, PASSWORD, "versweep.{label.site}.{kind}");
    let mut courier = courier::start(setup, &path, seen, Arc::new(SystemClock)).unwrap();
    courier.status.wait_for(|status| status.failures > 0).await.unwrap();
    let server = Server::start(&streams, address);
    courier.status.wait_for(|status| status.pending == 0).await.unwrap();
    courier.stop.cancel();

    let kinds = ChangeKind::ALL;
    let told = Script::start("nats_stream.py", &["read", &server.url(), &kinds.len().to_string()]).rest();
    let wanted: Vec<_> = (1..)
        .zip(kinds)
        .map(|(sequence, kind)| {
            let site = if matches!(kind, ChangeKind::SourceFailed | ChangeKind::SourceRecovered) {
                "_"
            } else {
                "Z_rich"
            };
            format!("versweep.{site}.{kind} {sequence} True application/cloudevents+json; charset=utf-8")
        })
        .collect();
    assert_eq!(told, wanted);
}

#[tokio::test]
#[ignore = "needs nats-server: run by make test"]
async fn who_may_not_publish_is_told_so_and_loses_nothing() {
    let streams = TempDir::new().unwrap();
    let server = Server::start(&streams, free_address());
    for (password, subject) in [("wrong", "versweep.{kind}"), (PASSWORD, "elsewhere.{kind}")] {
        let folder = TempDir::new().unwrap();
        let (_store, path, sequence) = store_with_all(&folder, "test");
        let (_news, seen) = watch::channel(sequence);
        let setup = setup(server.address, password, subject);
        let mut courier = courier::start(setup, &path, seen, Arc::new(SystemClock)).unwrap();
        courier.status.wait_for(|status| status.failures > 0).await.unwrap();
        let status = courier.status.borrow().clone();
        assert_eq!((status.deliveries, status.pending), (0, ChangeKind::ALL.len() as u64), "{subject}");
        courier.stop.cancel();
    }
}
