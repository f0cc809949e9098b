//! The alert and recording rules, read as Prometheus reads them: each name and label they use is one that `/metrics`, or
//! a rule before, has; each alert is complete enough to act on at night, and its runbook exists.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use promql_parser::label::Matchers;
use promql_parser::parser::{self, Expr, LabelModifier, VectorSelector};
use serde::Deserialize;

const GOLDEN: &str = include_str!("../golden/metrics.txt");
const RULES: &str = include_str!("../../etc/prometheus/rules/versweep.rules.yml");
const RUNBOOKS: &str = "file:///usr/share/doc/versweep/docs/";
/// What Prometheus itself puts on each series.
const SCRAPED: [&str; 2] = ["job", "instance"];

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

/// The metrics that exist, each with its labels: those of the page, and those that the rules record.
fn contract(rules: &[Rule]) -> BTreeMap<String, BTreeSet<String>> {
    let mut metrics = BTreeMap::from([("up".to_owned(), labels(&[]))]);
    for line in GOLDEN.lines().filter(|line| !line.starts_with('#')) {
        let selector = line.rsplit_once(' ').map_or(line, |(series, _)| series);
        let Ok(Expr::VectorSelector(series)) = parser::parse(selector) else { panic!("{line}") };
        let names = series.matchers.matchers.iter().map(|matcher| matcher.name.clone());
        metrics.entry(series.name.unwrap()).or_insert_with(|| labels(&[])).extend(names);
    }
    for rule in rules.iter().filter(|rule| rule.record.is_some()) {
        let Ok(Expr::Aggregate(recorded)) = parser::parse(&rule.expr) else { panic!("{}", rule.expr) };
        let Some(LabelModifier::Include(by)) = recorded.modifier else { panic!("{}", rule.expr) };
        metrics.insert(rule.record.clone().unwrap(), by.labels.into_iter().collect());
    }
    metrics
}

fn labels(own: &[&str]) -> BTreeSet<String> {
    SCRAPED.iter().chain(own).map(|&label| label.to_owned()).collect()
}

/// Every selector in an expression, with the label names that its joins and aggregations speak of.
fn selectors(expr: &Expr, found: &mut Vec<VectorSelector>, spoken_of: &mut BTreeSet<String>) {
    match expr {
        Expr::VectorSelector(selector) => found.push(selector.clone()),
        Expr::MatrixSelector(matrix) => found.push(matrix.vs.clone()),
        Expr::Paren(inner) => selectors(&inner.expr, found, spoken_of),
        Expr::Unary(inner) => selectors(&inner.expr, found, spoken_of),
        Expr::Subquery(inner) => selectors(&inner.expr, found, spoken_of),
        Expr::Aggregate(inner) => {
            spoken_of.extend(inner.modifier.iter().flat_map(|modifier| modifier.labels().labels.clone()));
            selectors(&inner.expr, found, spoken_of);
        }
        Expr::Binary(binary) => {
            if let Some(modifier) = &binary.modifier {
                spoken_of
                    .extend(modifier.matching.iter().flat_map(|matching| matching.labels().labels.clone()));
                spoken_of.extend(modifier.card.labels().iter().flat_map(|names| names.labels.clone()));
            }
            selectors(&binary.lhs, found, spoken_of);
            selectors(&binary.rhs, found, spoken_of);
        }
        Expr::Call(call) => {
            assert!(!(call.func.name == "changes" && expr.to_string().contains("_info")), "always 0: {expr}");
            for argument in &call.args.args {
                selectors(argument, found, spoken_of);
            }
        }
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => {}
    }
}

fn matched(matchers: &Matchers) -> impl Iterator<Item = &str> {
    matchers.matchers.iter().map(|matcher| matcher.name.as_str())
}

#[test]
fn rules_speak_of_metrics_and_labels_that_exist() {
    let rules = rules();
    let contract = contract(&rules);
    for rule in &rules {
        let (mut found, mut spoken_of) = (Vec::new(), BTreeSet::new());
        let expr = parser::parse(&rule.expr).unwrap_or_else(|error| panic!("{}: {error}", rule.expr));
        selectors(&expr, &mut found, &mut spoken_of);
        assert!(!found.is_empty(), "{}", rule.expr);
        let mut known = BTreeSet::new();
        for selector in &found {
            let name = selector.name.as_deref().unwrap();
            let labels = contract.get(name).unwrap_or_else(|| panic!("no metric {name}: {}", rule.expr));
            for label in matched(&selector.matchers) {
                assert!(labels.contains(label), "{name} has no label {label}: {}", rule.expr);
            }
            known.extend(labels.iter().map(String::as_str).chain(SCRAPED));
        }
        for label in &spoken_of {
            assert!(known.contains(label.as_str()), "no series has the label {label}: {}", rule.expr);
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
