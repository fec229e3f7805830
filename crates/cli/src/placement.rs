//! Why a group could not be placed, as bullets.

use std::collections::BTreeMap;

use drover_api::AllocationMetric;

use crate::ui::{Paint, Ui};

/// The reasons in one group's metrics, one line each, after `indent`.
pub fn reasons(ui: &Ui, metric: &AllocationMetric, indent: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = |text: String| lines.push(format!("{indent}* {text}"));
    if metric.nodes_evaluated == 0 {
        line("No nodes were eligible for evaluation".to_owned());
    }
    for (datacenter, available) in metric.nodes_available.iter().flatten() {
        if *available == 0 {
            line(format!("No nodes are available in datacenter {datacenter:?}"));
        }
    }
    for (class, count) in counted(metric.class_filtered.as_ref()) {
        line(format!("Class {class:?}: {count} nodes excluded by filter"));
    }
    for (constraint, count) in counted(metric.constraint_filtered.as_ref()) {
        let text = format!("Constraint {constraint:?}: {count} nodes excluded by filter");
        line(if constraint.starts_with("missing drivers") { ui.paint(Paint::Red, &text) } else { text });
    }
    if metric.nodes_exhausted > 0 {
        line(format!("Resources exhausted on {} nodes", metric.nodes_exhausted));
    }
    for (class, count) in counted(metric.class_exhausted.as_ref()) {
        line(format!("Class {class:?} exhausted on {count} nodes"));
    }
    for (dimension, count) in counted(metric.dimension_exhausted.as_ref()) {
        line(format!("Dimension {dimension:?} exhausted on {count} nodes"));
    }
    for dimension in metric.quota_exhausted.iter().flatten() {
        line(format!("Quota limit hit {dimension:?}"));
    }
    lines
}

fn counted(map: Option<&BTreeMap<String, i64>>) -> impl Iterator<Item = (&String, &i64)> {
    map.into_iter().flatten()
}

/// `Task Group "g" (failed to place 2 allocations):`
pub fn heading(group: &str, metric: &AllocationMetric) -> String {
    let count = metric.coalesced_failures + 1;
    let noun = if count == 1 { "allocation" } else { "allocations" };
    format!("Task Group {group:?} (failed to place {count} {noun}):")
}
