//! The web configuration against exporter-toolkit itself: `promtool check web-config` has the same opinion, and a real
//! Prometheus comes in by certificate and password.

use std::path::Path;
use std::process::Command;

use versweep::clock::{Clock as _, SystemClock};
use versweep::config::Web;
use versweep::status::SweepStatus;
use versweep::web_config::Reading;

use crate::authority::Authority;
use crate::fleet;
use crate::prometheus::serve_fleet;
use crate::prometheus_server::Prometheus;

const TLS: &str = "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n";

fn accepted_by_promtool(file: &Path) -> (bool, String) {
    let output = Command::new("promtool").args(["check", "web-config"]).arg(file).output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn folder() -> (tempfile::TempDir, Authority) {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new("of the test");
    let server = authority.sign(&["localhost", "127.0.0.1"]);
    for (name, text) in
        [("ca.pem", authority.pem()), ("server.pem", server.certificate), ("server.key", server.key)]
    {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    (folder, authority)
}

#[test]
#[ignore = "needs promtool: run by make test"]
fn promtool_takes_what_we_take_and_refuses_what_we_refuse() {
    let hash = bcrypt::hash_with_salt("x", 4, [7; 16]).unwrap();
    let sample = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("etc/web.yml")).unwrap();
    let (folder, _) = folder();
    let file = folder.path().join("web.yml");
    let with_tls = |more: &str| format!("{TLS}{more}");
    for (takes, text) in [
        (true, sample),
        (true, String::new()),
        (true, TLS.to_owned()),
        (true, with_tls("  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n")),
        (true, with_tls("  client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: ca.pem\n")),
        (true, with_tls("  min_version: TLS13\n  max_version: TLS13\n")),
        (
            true,
            with_tls("  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_AES_128_GCM_SHA256]\n"),
        ),
        (true, with_tls("  curve_preferences: [X25519, CurveP256, CurveP384]\n")),
        (true, with_tls("  prefer_server_cipher_suites: true\nhttp_server_config:\n  http2: true\n")),
        (true, format!("basic_auth_users:\n  a: {hash}\n")),
        (
            true,
            "http_server_config:\n  headers:\n    X-Frame-Options: deny\n    X-XSS-Protection: '0'\n".into(),
        ),
        (false, with_tls("  client_ca_file: ca.pem\n")),
        (false, with_tls("  client_auth_type: Always\n")),
        (false, with_tls("  min_version: SSL3\n")),
        (false, with_tls("  cipher_suites: [NULL]\n")),
        (false, with_tls("  curve_preferences: [P256]\n")),
        (false, with_tls("  certfile: x\n")),
        (false, "tls_server_config:\n  cert_file: server.pem\n".into()),
        (false, "tls_server_config:\n  cert_file: server.pem\n  key_file: none.key\n".into()),
        (false, "http_server_config:\n  headers:\n    Server: x\n".into()),
        (false, "http_server_config:\n  headers:\n    X-Frame-Options: maybe\n".into()),
        (false, "basic_auth_users:\n  a: plain\n".into()),
        (false, "basic_auth: {}\n".into()),
    ] {
        std::fs::write(&file, &text).unwrap();
        let (by_promtool, said) = accepted_by_promtool(&file);
        let ours = Reading::of(&file).result;
        assert_eq!((ours.is_ok(), by_promtool), (takes, takes), "{text}\n{:?}\n{said}", ours.err());
    }
}

/// Over TLS, with a certificate and a password, at a prefix: `up` is 1 for who has both, and 0 for who lacks one.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs prometheus: run by make test"]
async fn a_real_prometheus_comes_in_by_certificate_and_password() {
    let (folder, authority) = folder();
    let client = authority.sign(&["prometheus"]);
    let hash = bcrypt::hash_with_salt("planted", 10, [7; 16]).unwrap();
    let text = format!(
        "{TLS}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n  client_allowed_sans: [prometheus]\n\
         basic_auth_users:\n  scraper: {hash}\n"
    );
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("web.yml"), text).unwrap();
    std::fs::write(path("client.pem"), client.certificate).unwrap();
    std::fs::write(path("client.key"), client.key).unwrap();
    let config = Reading::of(&path("web.yml")).result.unwrap();
    let web = Web {
        config_file: Some(path("web.yml")),
        config: config.into(),
        route_prefix: "/vs".to_owned(),
        ..Web::default()
    };
    let snapshot = fleet::snapshot(SystemClock.now());
    let (address, _published, _stop) = serve_fleet(snapshot, SweepStatus::default(), web).await;

    let job = |name: &str, certificate: &str, password: &str| {
        let shows = match certificate {
            "" => String::new(),
            name => format!(
                ", cert_file: {}, key_file: {}",
                path(&format!("{name}.pem")).display(),
                path(&format!("{name}.key")).display()
            ),
        };
        format!(
            "  - job_name: {name}\n    scheme: https\n    metrics_path: /vs/metrics\n    \
             tls_config: {{ca_file: {}{shows}}}\n    basic_auth: {{username: scraper, password: {password}}}\n    \
             static_configs: [{{targets: ['{address}']}}]\n",
            path("ca.pem").display()
        )
    };
    let text = format!(
        "global: {{scrape_interval: 1s}}\nscrape_configs:\n{}{}{}",
        job("both", "client", "planted"),
        job("password", "", "planted"),
        job("certificate", "client", "wrong")
    );
    let prometheus = Prometheus::with(&text);
    prometheus.wait_for("count(up) == 3").await;
    prometheus.wait_for("up{job=\"both\"} == 1 and on (instance) versweep_build_info").await;
    for job in ["password", "certificate"] {
        prometheus.wait_for(&format!("up{{job=\"{job}\"}} == 0")).await;
    }
}
