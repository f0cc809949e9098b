//! Dashboards name what the page has, and are complete enough to work with. (Their queries are run on a real
//! Prometheus in `tests/real/prometheus.rs`.)

use std::collections::BTreeSet;

use regex::Regex;
use serde_json::Value;

const GOLDEN: &str = include_str!("../golden/metrics.txt");
const FLEET: &str = include_str!("../../grafana/dashboards/fleet.json");

/// Every name that `text` uses and the page doesn't have.
fn unknown_names(text: &str) -> BTreeSet<&str> {
    let names: BTreeSet<&str> = GOLDEN
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(['{', ' ']).next())
        .collect();
    let used = Regex::new(r"versweep_[a-z0-9_]+").unwrap();
    used.find_iter(text).map(|found| found.as_str()).filter(|name| !names.contains(name)).collect()
}

fn panels() -> Vec<Value> {
    let dashboard: Value = serde_json::from_str(FLEET).unwrap();
    dashboard["panels"].as_array().unwrap().clone()
}

#[test]
fn panels_name_metrics_that_exist() {
    for panel in panels() {
        for target in panel["targets"].as_array().unwrap() {
            assert_eq!(
                unknown_names(target["expr"].as_str().unwrap()),
                BTreeSet::new(),
                "{}",
                panel["title"]
            );
        }
    }
}

#[test]
fn each_panel_says_what_it_shows_and_in_which_unit() {
    let panels = panels();
    let ids: BTreeSet<u64> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len(), "two panels of one id");
    for panel in &panels {
        let title = panel["title"].as_str().unwrap();
        assert!(panel["description"].as_str().is_some_and(|text| text.ends_with('.')), "{title}");
        assert!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "{title}");
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
    }
}

#[test]
fn panels_lie_side_by_side() {
    let mut cells = BTreeSet::new();
    for panel in panels() {
        let at = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        assert!(at("x") + at("w") <= 24, "{}", panel["title"]);
        for (x, y) in
            (at("y")..at("y") + at("h")).flat_map(|y| (at("x")..at("x") + at("w")).map(move |x| (x, y)))
        {
            assert!(cells.insert((x, y)), "{} lies on another panel", panel["title"]);
        }
    }
}

/// A dashboard that asks for a series per device is of no use to a fleet: those queries are cut to the first ones.
#[test]
fn no_panel_asks_for_a_series_per_device() {
    for panel in panels() {
        for target in panel["targets"].as_array().unwrap() {
            let expr = target["expr"].as_str().unwrap();
            let bounded =
                ["topk(", "sum", "count(", "quantile("].iter().any(|function| expr.contains(function));
            assert!(bounded || !expr.contains("versweep_device"), "{}: {expr}", panel["title"]);
        }
    }
}
