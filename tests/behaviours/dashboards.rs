//! Dashboards name what the page has, follow the rules that Grafana's own linter publishes, and ask for no more than a
//! browser can draw. (Their queries are run on a real Prometheus in `tests/real/prometheus.rs`, their JSON is checked
//! against Grafana's types by `make dashboards`.)

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::promql;

/// Each dashboard with the name of its file.
fn dashboards() -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("grafana/dashboards");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let read = |path: std::path::PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        (path.file_name().unwrap().to_string_lossy().into_owned(), serde_json::from_str(&text).unwrap())
    };
    let dashboards: Vec<_> = files.map(read).collect();
    assert!(dashboards.len() >= 4, "fleet, device, operations, compliance");
    dashboards
}

/// The panels that show something: rows are headings.
fn panels(dashboard: &Value) -> Vec<&Value> {
    dashboard["panels"].as_array().unwrap().iter().filter(|panel| panel["type"] != "row").collect()
}

/// What is asked of Prometheus, with where: by panels and by annotations.
fn queries(dashboard: &Value) -> Vec<(String, String)> {
    let mut queries = Vec::new();
    for panel in panels(dashboard) {
        let title = panel["title"].as_str().unwrap();
        for target in panel["targets"].as_array().unwrap() {
            queries.push((title.to_owned(), target["expr"].as_str().unwrap().to_owned()));
        }
    }
    for annotation in dashboard["annotations"]["list"].as_array().unwrap() {
        queries.push((annotation["name"].to_string(), annotation["expr"].as_str().unwrap().to_owned()));
    }
    queries
}

/// Grafana's windows as PromQL knows them; its other variables stand within strings.
fn parsable(expr: &str) -> String {
    ["$__rate_interval", "$__interval", "$__range"]
        .iter()
        .fold(expr.to_owned(), |expr, name| expr.replace(name, "5m"))
}

#[test]
fn queries_name_metrics_and_labels_that_exist_and_keep_to_the_chosen_daemons() {
    let contract = promql::contract();
    for (file, dashboard) in dashboards() {
        for (title, expr) in queries(&dashboard) {
            promql::check(&parsable(&expr), &contract);
            for (selector, function) in promql::asked(&parsable(&expr)).selectors {
                let matchers: Vec<(&str, &str)> =
                    selector.matchers.matchers.iter().map(|m| (m.name.as_str(), m.value.as_str())).collect();
                for wanted in [("job", "$job"), ("instance", "$instance")] {
                    assert!(matchers.contains(&wanted), "{file}, {title}: {selector} lacks {wanted:?}");
                }
                let counts = selector.name.as_deref().unwrap().ends_with("_total");
                assert!(
                    !counts || matches!(function, Some("rate" | "increase")),
                    "{file}, {title}: a counter says little by itself: {expr}"
                );
            }
            assert!(
                !expr.contains("rate(") || expr.contains("[$__rate_interval]"),
                "{file}, {title}: a rate over a window that does not follow the graph's: {expr}"
            );
        }
    }
}

#[test]
fn each_dashboard_is_found_and_leads_to_the_others() {
    let dashboards = dashboards();
    let uids: BTreeSet<&str> = dashboards.iter().map(|(_, one)| one["uid"].as_str().unwrap()).collect();
    assert_eq!(uids.len(), dashboards.len(), "two dashboards of one uid");
    for (file, dashboard) in &dashboards {
        assert!(dashboard["uid"].as_str().unwrap().starts_with("versweep-"), "{file}");
        assert_eq!(dashboard["schemaVersion"], 42, "{file}");
        // Provisioned dashboards are changed in their files.
        assert_eq!(dashboard["editable"], false, "{file}");
        assert!(dashboard["tags"].as_array().unwrap().contains(&"versweep".into()), "{file}");
        assert_eq!(dashboard["links"][0]["tags"][0], "versweep", "{file}");
        let text = dashboard.to_string();
        for link in text.split("\"/d/").skip(1) {
            let uid = link.split(['?', '"']).next().unwrap();
            assert!(uids.contains(uid), "{file} leads to {uid}, which is not there");
        }
    }
}

#[test]
fn variables_are_those_that_grafanas_linter_wants() {
    for (file, dashboard) in dashboards() {
        let variables = dashboard["templating"]["list"].as_array().unwrap();
        let names: Vec<&str> = variables.iter().map(|one| one["name"].as_str().unwrap()).collect();
        assert_eq!(names[..3], ["datasource", "job", "instance"], "{file}");
        for variable in &variables[1..] {
            let name = variable["name"].as_str().unwrap();
            assert_eq!(
                (&variable["type"], &variable["refresh"]),
                (&"query".into(), &2.into()),
                "{file}: {name}"
            );
            assert_eq!(variable["datasource"]["uid"], "${datasource}", "{file}: {name}");
            assert!(
                dashboard.to_string().matches(&format!("${name}")).count() > 0,
                "{file}: nothing uses {name}"
            );
        }
        for name in ["job", "instance"] {
            let variable = variables.iter().find(|one| one["name"] == name).unwrap();
            assert_eq!(
                (&variable["multi"], &variable["allValue"]),
                (&true.into(), &".+".into()),
                "{file}: {name}"
            );
        }
    }
}

#[test]
fn each_panel_says_what_it_shows_and_in_which_unit() {
    for (file, dashboard) in dashboards() {
        let all = dashboard["panels"].as_array().unwrap();
        let ids: BTreeSet<u64> = all.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
        assert_eq!(ids.len(), all.len(), "{file}: two panels of one id");
        for panel in panels(&dashboard) {
            let title = panel["title"].as_str().unwrap();
            assert!(panel["description"].as_str().is_some_and(|text| text.ends_with('.')), "{file}: {title}");
            assert!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "{file}: {title}");
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{file}: {title}");
        }
    }
}

#[test]
fn panels_lie_side_by_side() {
    for (file, dashboard) in dashboards() {
        let mut cells = BTreeSet::new();
        for panel in dashboard["panels"].as_array().unwrap() {
            let at = |key: &str| panel["gridPos"][key].as_u64().unwrap();
            assert!(at("x") + at("w") <= 24, "{file}: {}", panel["title"]);
            for y in at("y")..at("y") + at("h") {
                for x in at("x")..at("x") + at("w") {
                    assert!(cells.insert((x, y)), "{file}: {} lies on another panel", panel["title"]);
                }
            }
        }
    }
}

/// A panel that asks for a series per device is of no use to a fleet: it is cut to the first ones, counted, or about the
/// one device that was chosen.
#[test]
fn no_panel_asks_for_a_series_per_device() {
    for (file, dashboard) in dashboards() {
        for (title, expr) in queries(&dashboard) {
            let bounded = [
                "topk(",
                "bottomk(",
                "sum(",
                "sum by",
                "avg by",
                "count(",
                "count by",
                "quantile(",
                "device=\"$device\"",
            ]
            .iter()
            .any(|function| expr.contains(function));
            assert!(bounded || !expr.contains("versweep_device"), "{file}: {title}: {expr}");
        }
    }
}
