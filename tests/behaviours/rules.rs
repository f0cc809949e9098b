//! The alert and recording rules, read as Prometheus reads them: each name and label they use is one that `/metrics`, or
//! a rule before, has; each alert is complete enough to act on at night, and its runbook exists.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use promql_parser::parser::{self, Expr, LabelModifier};
use serde::Deserialize;

use crate::promql;

const RULES: &str = include_str!("../../etc/prometheus/rules/versweep.rules.yml");
const RUNBOOKS: &str = "file:///usr/share/doc/versweep/docs/";
#[derive(Deserialize)]
struct RuleFile {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    name: String,
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    alert: Option<String>,
    record: Option<String>,
    expr: String,
    #[serde(rename = "for")]
    _lasting: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

fn rules() -> Vec<Rule> {
    let file: RuleFile = serde_saphyr::from_str(RULES).unwrap();
    let names: BTreeSet<&str> = file.groups.iter().map(|group| group.name.as_str()).collect();
    assert_eq!(names.len(), file.groups.len(), "two groups of one name");
    file.groups.into_iter().flat_map(|group| group.rules).collect()
}

#[test]
fn rules_speak_of_metrics_and_labels_that_exist() {
    let rules = rules();
    let mut contract = promql::contract();
    for rule in &rules {
        promql::check(&rule.expr, &contract);
        if let Some(name) = &rule.record {
            let Ok(Expr::Aggregate(recorded)) = parser::parse(&rule.expr) else { panic!("{}", rule.expr) };
            let Some(LabelModifier::Include(by)) = recorded.modifier else { panic!("{}", rule.expr) };
            contract.insert(name.clone(), by.labels.into_iter().collect());
        }
    }
}

#[test]
fn each_alert_has_its_texts_its_severity_and_its_runbook() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut runbooks = BTreeSet::new();
    for rule in rules().iter().filter(|rule| rule.alert.is_some()) {
        let alert = rule.alert.as_deref().unwrap();
        let keys: Vec<&str> = rule.annotations.keys().map(String::as_str).collect();
        assert_eq!(keys, ["description", "runbook_url", "summary"], "{alert}");
        let severity = rule.labels["severity"].as_str();
        assert!(["critical", "warning", "info"].contains(&severity), "{alert}: {severity}");
        let url = &rule.annotations["runbook_url"];
        let file = root.join("docs").join(url.strip_prefix(RUNBOOKS).unwrap());
        let text = std::fs::read_to_string(&file).unwrap_or_else(|_| panic!("{alert} has no runbook {url}"));
        assert!(text.starts_with(&format!("# {alert}\n")), "{}", file.display());
        for part in ["**What it means.**", "**Look**", "**Do**"] {
            assert!(text.contains(part), "{} lacks {part}", file.display());
        }
        runbooks.insert(file);
    }
    let kept = std::fs::read_dir(root.join("docs/runbooks")).unwrap().map(|entry| entry.unwrap().path());
    assert_eq!(kept.collect::<BTreeSet<_>>(), runbooks, "a runbook without an alert");
}
