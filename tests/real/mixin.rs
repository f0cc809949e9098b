//! The mixin, evaluated by go-jsonnet, which is what mixin tools use: it holds the shipped rules and dashboards, all of them
//! and nothing else.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

const EVALUATE: &str = "import _gojsonnet, sys; print(_gojsonnet.evaluate_snippet('mixin', sys.argv[1]))";

fn evaluated(field: &str) -> Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mixin = root.join("etc/mixin/mixin.libsonnet");
    let output = Command::new(root.join("target/venv/bin/python"))
        .args(["-c", EVALUATE, &format!("(import '{}').{field}", mixin.display())])
        .output()
        .expect("gojsonnet should be installed: make real");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
#[ignore = "needs gojsonnet: run by make test"]
fn the_mixin_holds_what_is_shipped() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let rules = std::fs::read_to_string(root.join("etc/prometheus/rules/versweep.rules.yml")).unwrap();
    assert_eq!(evaluated("prometheusAlerts"), serde_saphyr::from_str::<Value>(&rules).unwrap());

    let dashboards = evaluated("grafanaDashboards");
    let folder = std::fs::read_dir(root.join("grafana/dashboards")).unwrap();
    let mut count = 0;
    for file in folder.map(|entry| entry.unwrap().path()) {
        let name = format!("versweep-{}", file.file_name().unwrap().to_str().unwrap());
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(dashboards[&name], serde_json::from_str::<Value>(&text).unwrap(), "{name}");
        count += 1;
    }
    assert_eq!(dashboards.as_object().unwrap().len(), count);
}
