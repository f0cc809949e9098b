//! A real Alertmanager on loopback with the shipped sample, and the webhook at its end. Needs Debian's
//! `prometheus-alertmanager`.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use axum::extract::{Json, Path, State};
use axum::routing::post;
use serde_json::Value;
use tempfile::TempDir;
use tokio_util::sync::{CancellationToken, DropGuard};

const SAMPLE: &str = include_str!("../../etc/prometheus/alertmanager.yml");

/// One notification, as the webhook got it.
#[derive(Debug, Clone)]
pub(crate) struct Notification {
    /// `pager`, `team` or `record`: the sample's receivers.
    pub(crate) receiver: String,
    /// Alertmanager's webhook document, version 4.
    pub(crate) body: Value,
}

impl Notification {
    /// The name of its alerts; the sample groups by it.
    pub(crate) fn alert(&self) -> &str {
        self.body["groupLabels"]["alertname"].as_str().unwrap_or_default()
    }

    /// A label that its alerts have in common.
    pub(crate) fn common(&self, label: &str) -> &str {
        self.body["commonLabels"][label].as_str().unwrap_or_default()
    }

    /// `firing` or `resolved`.
    pub(crate) fn status(&self) -> &str {
        self.body["status"].as_str().unwrap_or_default()
    }

    /// How many alerts it tells.
    pub(crate) fn alerts(&self) -> usize {
        self.body["alerts"].as_array().map_or(0, Vec::len)
    }
}

/// The running server with its webhook; dropping it ends both.
pub(crate) struct Alertmanager {
    /// Where Prometheus sends its alerts.
    pub(crate) address: SocketAddr,
    child: Child,
    got: Arc<Mutex<Vec<Notification>>>,
    _webhook: DropGuard,
    _data: TempDir,
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Alertmanager {
    /// Starts the server with the shipped sample, in which only the waiting is shorter.
    pub(crate) async fn start() -> Self {
        let got: Arc<Mutex<Vec<Notification>>> = Arc::default();
        let (webhook, guard) = receive(Arc::clone(&got)).await;
        let data = tempfile::tempdir().unwrap();
        let config = data.path().join("alertmanager.yml");
        fs::write(&config, sample_for(webhook)).unwrap();
        // Given back before the server takes it: Alertmanager can't be handed a socket.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let child = Command::new("prometheus-alertmanager")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", data.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--cluster.listen-address=")
            .stdout(Stdio::null())
            .stderr(fs::File::create(data.path().join("log")).unwrap())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("can't start alertmanager (apt-get install prometheus-alertmanager): {error}")
            });
        Self { address, child, got, _webhook: guard, _data: data }
    }

    /// What arrived so far.
    pub(crate) fn notifications(&self) -> Vec<Notification> {
        self.got.lock().unwrap().clone()
    }
}

async fn receive(got: Arc<Mutex<Vec<Notification>>>) -> (SocketAddr, DropGuard) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = axum::Router::new().route("/{receiver}", post(take)).with_state(got);
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    tokio::spawn(
        async move { stopped.run_until_cancelled(axum::serve(listener, routes).into_future()).await },
    );
    (address, stop.drop_guard())
}

async fn take(
    State(got): State<Arc<Mutex<Vec<Notification>>>>,
    Path(receiver): Path<String>,
    Json(body): Json<Value>,
) {
    got.lock().unwrap().push(Notification { receiver, body });
}

fn sample_for(webhook: SocketAddr) -> String {
    // The wait is what keeps a site's devices back until the site itself is known to be dead; it stays longer than the
    // seconds between two evaluations.
    let config = SAMPLE
        .replace("127.0.0.1:9096", &webhook.to_string())
        .replace("group_wait: 30s", "group_wait: 4s")
        .replace("group_interval: 5m", "group_interval: 1s");
    assert!(
        config.contains(&webhook.to_string())
            && config.contains("group_wait: 4s")
            && config.contains("group_interval: 1s"),
        "the sample looks otherwise"
    );
    config
}
