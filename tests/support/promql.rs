//! What `/metrics` has, and what a PromQL expression asks for: the contract that rules and dashboards are held to.

use std::collections::{BTreeMap, BTreeSet};

use promql_parser::parser::{self, Expr, VectorSelector};

const GOLDEN: &str = include_str!("../golden/metrics.txt");
/// What Prometheus itself puts on each series.
pub(crate) const SCRAPED: [&str; 2] = ["job", "instance"];
/// The labels that the golden page has and no installation does: an inventory label of the test's fleet.
const TEST_ONLY: &str = "rack_unit";

/// Each metric of the page with its labels, as Prometheus keeps them. The usual metrics of a process are among them.
pub(crate) fn contract() -> BTreeMap<String, BTreeSet<String>> {
    let process =
        ["process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds", "process_max_fds"];
    let mut metrics: BTreeMap<_, _> =
        process.iter().chain(&["up"]).map(|&name| (name.to_owned(), labels(&[]))).collect();
    for line in GOLDEN.lines().filter(|line| !line.starts_with('#')) {
        let selector = line.rsplit_once(' ').map_or(line, |(series, _)| series);
        let Ok(Expr::VectorSelector(series)) = parser::parse(selector) else { panic!("{line}") };
        let names = series.matchers.matchers.iter().map(|matcher| matcher.name.clone());
        let own = names.filter(|name| name != TEST_ONLY);
        metrics.entry(series.name.unwrap()).or_insert_with(|| labels(&[])).extend(own);
    }
    metrics
}

/// These labels, and those that Prometheus adds.
pub(crate) fn labels(own: &[&str]) -> BTreeSet<String> {
    SCRAPED.iter().chain(own).map(|&label| label.to_owned()).collect()
}

/// What an expression asks for.
#[derive(Default)]
pub(crate) struct Asked {
    /// Every selector in it, with the function around its range if it has one.
    pub(crate) selectors: Vec<(VectorSelector, Option<&'static str>)>,
    /// The labels that its joins and aggregations speak of.
    pub(crate) labels: BTreeSet<String>,
}

/// Takes an expression apart.
pub(crate) fn asked(expr: &str) -> Asked {
    let mut asked = Asked::default();
    let parsed = parser::parse(expr).unwrap_or_else(|error| panic!("{expr}: {error}"));
    walk(&parsed, None, &mut asked);
    assert!(!asked.selectors.is_empty(), "{expr} asks for nothing");
    asked
}

/// Panics when an expression asks for what does not exist.
pub(crate) fn check(expr: &str, contract: &BTreeMap<String, BTreeSet<String>>) {
    let asked = asked(expr);
    let mut known = BTreeSet::new();
    for (selector, function) in &asked.selectors {
        let name = selector.name.as_deref().unwrap();
        let labels = contract.get(name).unwrap_or_else(|| panic!("no metric {name}: {expr}"));
        for matcher in &selector.matchers.matchers {
            assert!(labels.contains(&matcher.name), "{name} has no label {}: {expr}", matcher.name);
        }
        // Another version is another series there.
        assert!(!(*function == Some("changes") && name.ends_with("_info")), "always 0: {expr}");
        known.extend(labels);
    }
    for label in &asked.labels {
        assert!(known.contains(label), "no series has the label {label}: {expr}");
    }
}

fn walk(expr: &Expr, function: Option<&'static str>, asked: &mut Asked) {
    match expr {
        Expr::VectorSelector(selector) => asked.selectors.push((selector.clone(), function)),
        Expr::MatrixSelector(matrix) => asked.selectors.push((matrix.vs.clone(), function)),
        Expr::Paren(inner) => walk(&inner.expr, function, asked),
        Expr::Unary(inner) => walk(&inner.expr, function, asked),
        Expr::Subquery(inner) => walk(&inner.expr, function, asked),
        Expr::Aggregate(inner) => {
            asked.labels.extend(inner.modifier.iter().flat_map(|modifier| modifier.labels().labels.clone()));
            walk(&inner.expr, None, asked);
        }
        Expr::Binary(binary) => {
            if let Some(modifier) = &binary.modifier {
                let matching = modifier.matching.iter().flat_map(|matching| matching.labels().labels.clone());
                let joined = modifier.card.labels().into_iter().flat_map(|names| names.labels.clone());
                asked.labels.extend(matching.chain(joined));
            }
            walk(&binary.lhs, None, asked);
            walk(&binary.rhs, None, asked);
        }
        Expr::Call(call) => {
            for argument in &call.args.args {
                walk(argument, Some(call.func.name), asked);
            }
        }
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => {}
    }
}
