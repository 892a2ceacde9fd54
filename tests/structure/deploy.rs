//! What is shipped beside the program asks for metrics that exist and explains them, and its alerts.

use std::{collections::BTreeSet, fs, path::Path};

use crate::{
    metrics,
    source::{production, sources},
};

/// Files with queries.
const QUERIES: [&str; 4] =
    ["alerts.yml", "recording.yml", "grafana/vingate.json", "kubernetes/monitoring/rules.yaml"];

pub(crate) fn shipped(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("deploy")
        .join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A metric that was renamed would silence its alerts, and nobody would hear of it.
#[test]
fn queries_ask_for_metrics_that_are_registered() {
    let sources = sources();
    for file in QUERIES {
        let text = shipped(file);
        let names = metrics(&text).filter(|name| *name != "vingate_recorded");
        let mut found = 0;
        for name in names {
            let family = ["_bucket", "_sum", "_count"];
            let family = family
                .iter()
                .find_map(|suffix| name.strip_suffix(suffix))
                .unwrap_or(name);
            let registered = format!("\"{family}\"");
            let is_known = sources
                .iter()
                .any(|source| source.text.contains(&registered));
            assert!(is_known, "{file}: no module registers {name}");
            found += 1;
        }
        assert!(found > 5, "found the metrics of {file}");
    }
}

/// The name of each metric stands in code as one literal, whoever registers it.
#[test]
fn the_readme_has_every_metric() {
    let text = fs::read_to_string("README.md").unwrap();
    let (_, table) = text.split_once("| metric | labels | counts |").unwrap();
    let (table, _) = table.split_once("\n\n").unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| "));
    let named: BTreeSet<_> = rows
        .filter_map(|row| row.split(" | ").next())
        .flat_map(metrics)
        .collect();
    let code = production();
    let registered: BTreeSet<_> = code
        .iter()
        .flat_map(|source| source.text.split('"'))
        .filter(|literal| metrics(literal).next() == Some(literal))
        .collect();
    assert_eq!(named, registered);
}

#[test]
fn the_runbook_has_a_heading_for_each_alert() {
    let (alerts, runbook) = (shipped("alerts.yml"), shipped("runbook.md"));
    let alerts = alerts
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "));
    let headings = runbook.lines().filter_map(|line| line.strip_prefix("## "));
    assert_eq!(headings.collect::<Vec<_>>(), alerts.collect::<Vec<_>>());
}

#[test]
fn the_cluster_has_the_same_rules() {
    let rules = shipped("kubernetes/monitoring/rules.yaml");
    for file in ["alerts.yml", "recording.yml"] {
        let text = shipped(file);
        let (_, groups) = text.split_once("groups:\n").unwrap();
        for line in groups.lines().filter(|line| !line.trim().is_empty()) {
            assert!(rules.lines().any(|rule| rule == format!("  {line}")), "{file}: {line}");
        }
    }
}
