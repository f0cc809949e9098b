//! The API against its own description: schemathesis reads the document that the daemon serves, makes requests up, right
//! and wrong ones, and holds every answer against it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::daemon::get;
use crate::site::Site;

/// Requests that are made up for each operation and phase. `VERSWEEP_EXAMPLES=1000 cargo test --test real -- --ignored
/// conformance` looks longer.
const EXAMPLES: &str = "25";

#[test]
#[ignore = "needs schemathesis: make test"]
fn every_answer_is_as_the_description_says() {
    let site = Site::new(6);
    let mut daemon = site.daemon();
    let url = format!("http://{}", site.web());
    let examples = std::env::var("VERSWEEP_EXAMPLES").unwrap_or_else(|_| EXAMPLES.to_owned());
    let tester = concat!(env!("CARGO_MANIFEST_DIR"), "/target/venv/bin/schemathesis");
    let output = Command::new(tester)
        .args(["--config-file", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real/schemathesis.toml"), "run"])
        .arg(strict_copy(&site))
        .args(["--url", &url, "--max-examples", &examples, "--no-color"])
        .current_dir(site.path(""))
        .output()
        .expect("schemathesis runs");
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{report}\n{}", String::from_utf8_lossy(&output.stderr));
    // A run that tests nothing passes as well.
    assert!(report.contains("No issues found"), "{report}");
    assert!(daemon.stop().success());
    let broken: Vec<_> = daemon.log().iter().filter(|line| line.contains("panicked")).collect();
    assert!(broken.is_empty(), "{broken:?}");
}

/// The description that the daemon serves, closed: it leaves room for fields to come, of which today's answers have none.
fn strict_copy(site: &Site) -> PathBuf {
    let served = get(site.web(), "/api/v1/openapi.json").expect("the daemon answers");
    let mut description: Value = serde_json::from_str(&served.body).expect("JSON");
    let schemas = description["components"]["schemas"].as_object_mut().expect("schemas");
    for schema in schemas.values_mut().filter(|schema| schema["properties"].is_object()) {
        schema["additionalProperties"] = Value::Bool(false);
    }
    let file = site.path("openapi.json");
    fs::write(&file, description.to_string()).expect("a file");
    file
}
