//! A real Prometheus on loopback that scrapes an address with the shipped configuration and rules, and the dashboards'
//! queries to run on it. Needs Debian's `prometheus`.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use versweep::cli::client::{DaemonArgs, get_json};
use versweep::fetch::Target;

const SAMPLE: &str = include_str!("../../etc/prometheus/prometheus.yml");
const RULES: &str = include_str!("../../etc/prometheus/rules/versweep.rules.yml");

/// How long anything may take until it shows in Prometheus. It scrapes each second; the rest is for a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(200);

/// The running server; dropping it ends the process and removes its data.
pub(crate) struct Prometheus {
    base: DaemonArgs,
    child: Child,
    _data: TempDir,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Prometheus {
    /// Starts a server with the shipped sample and rules, which scrapes these addresses instead of the sample's, each
    /// second.
    pub(crate) fn start(targets: &[SocketAddr]) -> Self {
        // Nobody listens there, so alerts go nowhere.
        Self::alerting(targets, SocketAddr::from(([127, 0, 0, 1], 1)))
    }

    /// The same, with its alerts sent to this Alertmanager.
    pub(crate) fn alerting(targets: &[SocketAddr], alertmanager: SocketAddr) -> Self {
        Self::with(&sample_for(targets, alertmanager))
    }

    /// A server with this configuration, which finds the shipped rules in `rules`.
    pub(crate) fn with(text: &str) -> Self {
        let data = tempfile::tempdir().unwrap();
        let config = data.path().join("prometheus.yml");
        fs::write(&config, text).unwrap();
        fs::create_dir(data.path().join("rules")).unwrap();
        fs::write(data.path().join("rules/versweep.rules.yml"), RULES).unwrap();
        // Given back before the server takes it: Prometheus can't be handed a socket.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", data.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdout(Stdio::null())
            .stderr(fs::File::create(data.path().join("log")).unwrap())
            .spawn()
            .unwrap_or_else(|error| panic!("can't start prometheus (apt-get install prometheus): {error}"));
        let base = DaemonArgs {
            url: Target::parse(&format!("http://127.0.0.1:{port}")).unwrap(),
            ca_file: None,
            user: None,
            password_file: None,
            cert_file: None,
            key_file: None,
        };
        Self { base, child, _data: data }
    }

    /// The result of an instant query; `None` while the server doesn't answer.
    pub(crate) async fn query(&self, expr: &str) -> Option<Vec<Value>> {
        let answer = get_json(&self.base, "/api/v1/query", &[("query", expr)]).await;
        match answer {
            Ok(answer) => answer["data"]["result"].as_array().cloned(),
            Err(error) if error.to_string().contains(" answers 400") => panic!("{expr}: {error}"),
            Err(_) => None,
        }
    }

    /// Waits until a query returns at least one series, and returns them.
    pub(crate) async fn wait_for(&self, expr: &str) -> Vec<Value> {
        let found = async {
            loop {
                match self.query(expr).await {
                    Some(series) if !series.is_empty() => return series,
                    _ => tokio::time::sleep(POLL).await,
                }
            }
        };
        tokio::time::timeout(PATIENCE, found)
            .await
            .unwrap_or_else(|_| panic!("no series within {PATIENCE:?}: {expr}"))
    }

    /// The expressions of all loaded rules by name, as the server parsed them.
    pub(crate) async fn rules(&self) -> Vec<(String, String)> {
        let answer = get_json(&self.base, "/api/v1/rules", &[]).await.unwrap();
        let groups = answer["data"]["groups"].as_array().unwrap();
        let rules = groups.iter().flat_map(|group| group["rules"].as_array().unwrap());
        let text = |rule: &Value, field: &str| rule[field].as_str().unwrap().to_owned();
        rules.map(|rule| (text(rule, "name"), text(rule, "query"))).collect()
    }
}

fn sample_for(targets: &[SocketAddr], alertmanager: SocketAddr) -> String {
    let quoted: Vec<String> = targets.iter().map(|target| format!("\"{target}\"")).collect();
    let config = SAMPLE
        .replace("\"127.0.0.1:9948\"", &quoted.join(", "))
        .replace("\"127.0.0.1:9093\"", &format!("\"{alertmanager}\""))
        .replace("scrape_interval: 30s", "scrape_interval: 1s")
        .replace("evaluation_interval: 30s", "evaluation_interval: 1s");
    assert!(
        config.contains(&quoted.join(", "))
            && config.contains(&alertmanager.to_string())
            && config.contains("scrape_interval: 1s"),
        "the sample looks otherwise"
    );
    config
}

/// Every query of the shipped dashboards as (`file: what asks`, expression), with Grafana's variables filled in:
/// everything chosen, and a window of a minute. Panels ask, and annotations; what a variable asks for must have the label
/// that it lists.
pub(crate) fn dashboard_queries() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("grafana/dashboards");
    let mut queries = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let dashboard: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        let mut add = |what: &Value, expr: &str| queries.push((format!("{file}: {what}"), filled_in(expr)));
        for panel in dashboard["panels"].as_array().unwrap() {
            for target in panel["targets"].as_array().into_iter().flatten() {
                add(&panel["title"], target["expr"].as_str().unwrap());
            }
        }
        for annotation in dashboard["annotations"]["list"].as_array().unwrap() {
            add(&annotation["name"], annotation["expr"].as_str().unwrap());
        }
        for variable in &dashboard["templating"]["list"].as_array().unwrap()[1..] {
            let query = variable["query"]["query"].as_str().unwrap();
            let values = query.strip_prefix("label_values(").and_then(|query| query.strip_suffix(')'));
            let (series, label) = values.and_then(|values| values.rsplit_once(", ")).expect(query);
            let labelled = match series.strip_suffix('}') {
                Some(selector) => format!("{selector},{label}!=\"\"}}"),
                None => format!("{series}{{{label}!=\"\"}}"),
            };
            add(&variable["name"], &format!("count by ({label}) ({labelled})"));
        }
    }
    queries
}

fn filled_in(expr: &str) -> String {
    let mut expr = expr.to_owned();
    for (variable, value) in [
        // Which of the devices has all that can be asked for is not known here.
        ("device=\"$device\"", "device=~\".+\""),
        ("$__rate_interval", "1m"),
        ("$__interval", "1m"),
        ("$__range", "1h"),
        ("$job", ".+"),
        ("$instance", ".+"),
        ("$platform", ".*"),
        ("$policy", ".*"),
        ("$site", ".*"),
        ("$sweep", ".*"),
    ] {
        expr = expr.replace(variable, value);
    }
    assert!(!expr.contains('$'), "a variable that the test doesn't know: {expr}");
    expr
}
