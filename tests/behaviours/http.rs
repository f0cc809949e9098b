//! The HTTP server: readiness, lifecycle, what it refuses, and what its clients print.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use clap::Parser as _;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use versweep::activity::{Ask, Book, OnDemand, Reason, Start, SweepHandle, Trigger};
use versweep::cli::changes::{self, ChangesArgs};
use versweep::cli::client;
use versweep::cli::devices::{self, DevicesArgs};
use versweep::cli::sweeps::{self, SweepsArgs};
use versweep::clock::ManualClock;
use versweep::config::Web;
use versweep::http::{App, ConfirmRequest, Readiness, ReloadRequest, ReplayRequest, serve};
use versweep::known::Snapshot;
use versweep::metrics::{Exporter, Live};
use versweep::observation::SweepId;
use versweep::platform::Platforms;
use versweep::status::SweepStatus;
use versweep::web_config::Keeper;

use crate::{fleet, kept};

/// A server on a loopback port, with the ends that the daemon would hold.
pub(crate) struct House {
    pub(crate) address: SocketAddr,
    pub(crate) snapshot: Arc<ArcSwap<Snapshot>>,
    pub(crate) keeper: Arc<Keeper>,
    pub(crate) folder: TempDir,
    pub(crate) news: watch::Sender<i64>,
    pub(crate) asks: Option<mpsc::Receiver<Ask>>,
    pub(crate) book: Book,
    pub(crate) confirms: mpsc::Receiver<ConfirmRequest>,
    pub(crate) replays: mpsc::Receiver<ReplayRequest>,
    pub(crate) readiness: watch::Sender<Readiness>,
    status: watch::Sender<SweepStatus>,
    started: mpsc::Receiver<Start>,
    reloads: mpsc::Receiver<ReloadRequest>,
    pub(crate) stop: CancellationToken,
    pub(crate) server: JoinHandle<()>,
}

impl House {
    pub(crate) async fn open(snapshot: Snapshot) -> Self {
        Self::with(snapshot, Web::default()).await
    }

    /// The same with another web surface.
    pub(crate) async fn with(snapshot: Snapshot, web: Web) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (readiness, is_ready) = watch::channel(Readiness::Ready);
        let (status, sweep_status) = watch::channel(SweepStatus::default());
        let (trigger, started) = Trigger::new();
        let (reload, reloads) = mpsc::channel(1);
        let ((confirm, confirms), (replay, replays)) = (mpsc::channel(1), mpsc::channel(1));
        let (on_demand, asks, book) = OnDemand::new();
        let sweep = SweepHandle { name: "all".into(), status: sweep_status, trigger };
        let folder = kept::store(&snapshot);
        let (news, news_seen) = watch::channel(kept::last_sequence(&folder));
        let platforms = Arc::new(Platforms::builtin());
        let snapshot = Arc::new(ArcSwap::from_pointee(snapshot));
        let keeper = Arc::new(Keeper::new(web.config_file.clone(), web.config.take()).unwrap());
        let app = App {
            snapshot: Arc::clone(&snapshot),
            sweeps: Arc::new(ArcSwap::from_pointee(vec![sweep])),
            on_demand,
            exporter: Arc::new(ArcSwap::from_pointee(Exporter::new(&[], true))),
            live: Arc::new(|| Live { sweeps: Vec::new(), ..fleet::live(fleet::noon()) }),
            forecasts: watch::channel(fleet::live(fleet::noon()).forecasts).1,
            reload,
            confirm,
            replay,
            readiness: is_ready,
            clock: Arc::new(ManualClock::new(fleet::noon())),
            store: kept::path_in(&folder),
            outbox: news_seen,
            platforms: Arc::new(move || Arc::clone(&platforms)),
            config: Arc::new(|| "[web]\n".into()),
            keeper: Arc::clone(&keeper),
            web: Arc::new(ArcSwap::from_pointee(web)),
        };
        let stop = CancellationToken::new();
        let server = tokio::spawn(serve(vec![listener], app, stop.clone()));
        Self {
            address,
            snapshot,
            keeper,
            folder,
            news,
            asks: Some(asks),
            book,
            confirms,
            replays,
            readiness,
            status,
            started,
            reloads,
            stop,
            server,
        }
    }

    pub(crate) async fn small() -> Self {
        Self::open(fleet::snapshot(fleet::noon())).await
    }

    pub(crate) async fn ask(&self, method: &str, target: &str, headers: &str) -> Answer {
        ask(self.address, method, target, headers).await
    }

    /// A POST of JSON.
    pub(crate) async fn post(&self, target: &str, body: &str) -> Answer {
        let headers = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
        send(self.address, "POST", target, &headers, body.as_bytes()).await
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.ask("GET", target, "").await
    }

    pub(crate) async fn json(&self, target: &str) -> Value {
        let answer = self.get(target).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// One request by hand, so that the test sees the bytes.
async fn ask(address: SocketAddr, method: &str, target: &str, headers: &str) -> Answer {
    send(address, method, target, headers, b"").await
}

/// The same with a body.
pub(crate) async fn send(
    address: SocketAddr,
    method: &str,
    target: &str,
    headers: &str,
    body: &[u8],
) -> Answer {
    let request =
        format!("{method} {target} HTTP/1.1\r\nHost: versweep\r\nConnection: close\r\n{headers}\r\n");
    exchange(address, &request, body).await
}

/// A request as it stands, on a connection of its own that it closes.
pub(crate) async fn exchange(address: SocketAddr, request: &str, body: &[u8]) -> Answer {
    exchange_on(TcpStream::connect(address).await.unwrap(), request, body).await
}

/// The same on a connection that is there.
pub(crate) async fn exchange_on(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    request: &str,
    body: &[u8],
) -> Answer {
    stream.write_all(request.as_bytes()).await.unwrap();
    // A server that refuses may not read all of it.
    let _ = stream.write_all(body).await;
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
}

#[tokio::test]
async fn nothing_is_read_before_the_state_is_loaded() {
    let house = House::small().await;
    house.readiness.send_replace(Readiness::Loading);
    assert_eq!(house.get("/-/healthy").await.status, 200);
    for path in ["/-/ready", "/metrics", "/", "/api/v1/devices"] {
        assert_eq!(house.get(path).await.status, 503, "{path}");
    }
    house.readiness.send_replace(Readiness::Ready);
    for path in
        ["/-/ready", "/metrics", "/", "/api/v1/devices", "/api/v1/changes", "/api/v1/sweeps", "/style.css"]
    {
        assert_eq!(house.get(path).await.status, 200, "{path}");
    }
    // The final scrape sees the truth.
    house.readiness.send_replace(Readiness::Stopping);
    assert_eq!(house.get("/-/ready").await.status, 503);
    assert_eq!(house.get("/metrics").await.status, 200);
}

#[tokio::test]
async fn metrics_come_with_exactly_one_content_type() {
    let house = House::small().await;
    let plain = house.get("/metrics").await;
    assert!(
        plain.head.contains("\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8\r\n"),
        "{}",
        plain.head
    );
    assert!(!plain.head.contains("content-encoding"));
    assert!(plain.body.contains("versweep_sweep_running{sweep=\"all\"} 0"));
    let packed = house.ask("GET", "/metrics", "Accept-Encoding: gzip\r\n").await;
    assert!(packed.head.contains("content-encoding: gzip") && packed.head.contains("vary: accept-encoding"));
    let own = house.get("/metrics?collect[]=self").await;
    assert!(own.body.contains("versweep_visits_total") && !own.body.contains("versweep_device_up"));
    assert_eq!(house.get("/metrics?collect%5B%5D=nonsense").await.status, 400);
    assert_eq!(house.get("/metrics?shard=2/2").await.status, 400);
}

#[tokio::test]
async fn a_sweep_is_started_on_request_and_never_twice() {
    let mut house = House::small().await;
    assert_eq!(house.ask("POST", "/-/sweep?sweep=none", "").await.status, 404);
    assert_eq!(house.ask("POST", "/-/sweep?swep=all", "").await.status, 400);
    assert_eq!(house.ask("GET", "/-/sweep", "").await.status, 405);
    let first = house.ask("POST", "/-/sweep?sweep=all", "").await;
    assert_eq!((first.status, first.body.as_str()), (202, "all: started\n"));
    assert_eq!(house.ask("POST", "/-/sweep", "").await.status, 409, "one start waits already");
    let start = house.started.recv().await.unwrap();
    assert_eq!(start.reason, Reason::Request);
    let running = Some(SweepId::starting(fleet::noon()));
    house.status.send_modify(|status| status.running = running);
    assert_eq!(house.ask("POST", "/-/sweep?sweep=all", "").await.status, 409);
    assert!(house.started.try_recv().is_err());
}

#[tokio::test]
async fn a_reload_answers_with_what_was_wrong() {
    let mut house = House::small().await;
    let address = house.address;
    for (outcome, status, words) in [
        (Ok(()), 200, "reloaded"),
        (Err("versweep.toml:3: unknown key `lisen`".to_owned()), 500, "versweep.toml:3: unknown key `lisen`"),
    ] {
        let asked = tokio::spawn(async move { ask(address, "POST", "/-/reload", "").await });
        house.reloads.recv().await.unwrap().send(outcome).unwrap();
        let answer = asked.await.unwrap();
        assert_eq!(answer.status, status);
        assert!(answer.body.contains(words), "{}", answer.body);
    }
    house.reloads.close();
    assert_eq!(house.ask("POST", "/-/reload", "").await.status, 503, "nobody takes it any more");
}

#[tokio::test]
async fn only_this_host_acts_and_no_browser_or_proxy_for_another() {
    let mut house = House::small().await;
    for header in [
        "Origin: http://evil.example",
        "Sec-Fetch-Site: cross-site",
        "X-Forwarded-For: 192.0.2.1",
        "X-Real-IP: 192.0.2.1",
        "Forwarded: for=192.0.2.1;proto=https",
        "Via: 1.1 proxy.example.net",
    ] {
        assert_eq!(house.ask("POST", "/-/sweep", &format!("{header}\r\n")).await.status, 403, "{header}");
    }
    assert!(house.started.try_recv().is_err());
}

#[tokio::test]
async fn every_answer_is_guarded_and_bodies_are_small() {
    let house = House::small().await;
    for path in ["/", "/metrics", "/nothing", "/api/v1/devices"] {
        let head = house.get(path).await.head;
        for header in [
            "content-security-policy: default-src 'none'",
            "x-content-type-options: nosniff",
            "x-frame-options: deny",
        ] {
            assert!(head.contains(header), "{path}: {head}");
        }
    }
    let large = house.ask("POST", "/-/sweep", "Content-Length: 70000\r\n").await;
    assert_eq!(large.status, 413);
}

#[tokio::test]
async fn the_client_reads_what_the_server_says() {
    let house = House::small().await;
    let url = format!("http://{}", house.address);
    let daemon = SweepsCommand::parse_from(["", "--url", &url]).args.ask.daemon;
    let answer = client::get_json(&daemon, "/api/v1/devices", &[("q", "core")]).await.unwrap();
    assert_eq!(answer["devices"].as_array().unwrap().len(), 2);
    let refused = client::get_json(&daemon, "/api/v1/devices", &[("state", "sad")]).await.unwrap_err();
    assert!(refused.to_string().contains("unknown state; there are: up, failing"), "{refused}");
}

#[derive(Debug, clap::Parser)]
struct DevicesCommand {
    #[command(flatten)]
    args: DevicesArgs,
}

#[derive(Debug, clap::Parser)]
struct ChangesCommand {
    #[command(flatten)]
    args: ChangesArgs,
}

#[derive(Debug, clap::Parser)]
struct SweepsCommand {
    #[command(flatten)]
    args: SweepsArgs,
}

#[tokio::test]
async fn sweeps_are_printed_with_their_progress_and_their_runs() {
    let house = House::small().await;
    let url = format!("http://{}", house.address);
    let print = async |more: &[&str]| {
        let mut printed = Vec::new();
        let command = SweepsCommand::parse_from([&["", "--url", &url], more].concat());
        sweeps::list(&command.args, &mut printed).await.unwrap();
        String::from_utf8(printed).unwrap()
    };
    assert!(print(&[]).await.contains("waiting"));
    house.status.send_modify(|status| {
        *status = SweepStatus {
            running: Some(SweepId::starting(fleet::noon())),
            total: 200,
            answered: 49,
            failed: 1,
            ..SweepStatus::default()
        };
    });
    let running = print(&["--sweep", "all"]).await;
    assert!(running.contains("25 % of 200") && running.contains("49"), "{running}");
    let runs = print(&["--runs"]).await;
    assert!(runs.contains("schedule") && runs.contains("2026-11-23T11:58:20Z"), "{runs}");
    let run: Value = serde_json::from_str(&print(&["--runs", "--output", "json"]).await).unwrap();
    assert_eq!((&run["answered"], &run["complete"]), (&2.into(), &true.into()));
}

#[tokio::test]
async fn the_commands_print_what_the_daemon_says() {
    let house = House::small().await;
    let url = format!("http://{}", house.address);
    let mut printed = Vec::new();
    for arguments in [&["", "--url", &url, "fra"][..], &["", "--url", &url, "--output", "json", "core"]] {
        let command = DevicesCommand::parse_from(arguments);
        devices::list(&command.args, &mut printed).await.unwrap();
    }
    let command = ChangesCommand::parse_from(["", "--url", &url, "--kind", "upgrade"]);
    changes::list(&command.args, &mut printed).await.unwrap();
    let printed = String::from_utf8(printed).unwrap();
    let lines: Vec<&str> = printed.lines().map(str::trim).collect();
    assert!(
        lines[0].starts_with("DEVICE") && lines[1].starts_with("edge1.fra") && lines[1].ends_with("timeout"),
        "{printed}"
    );
    let core2: Value = serde_json::from_str(lines[4]).unwrap();
    assert_eq!(core2["device"], "core2.ams");
    assert!(lines[5].starts_with("WHEN") && lines[6].starts_with("2026-11-23T11:59:00Z"), "{printed}");
    assert_eq!(lines.len(), 7, "{printed}");
}

#[tokio::test]
async fn a_stop_closes_idle_connections_and_the_port() {
    let house = House::small().await;
    let mut idle = TcpStream::connect(house.address).await.unwrap();
    // One answer, kept alive: the server certainly has the connection by then.
    idle.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: versweep\r\n\r\n").await.unwrap();
    let mut some = [0; 512];
    assert!(idle.read(&mut some).await.unwrap() > 0);
    house.stop.cancel();
    tokio::time::timeout(Duration::from_secs(10), house.server).await.unwrap().unwrap();
    assert_eq!(idle.read(&mut some).await.unwrap(), 0);
    assert!(TcpStream::connect(house.address).await.is_err());
}
