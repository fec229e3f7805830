//! Cron expressions against recorded times.

use drover_lang::cron::{Cron, Zone};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::golden::{cell, finish, named_differences, records, text};

#[test]
fn next_times_agree_with_the_records() {
    let records = records("lang-cron");
    let different_here = named_differences("lang-cron");
    let mut differences = Vec::new();
    for record in &records {
        let (expression, zone, from) = (cell(record, "expression"), text(record, "time_zone"), text(record, "from"));
        let wanted = text(record, "next_3");
        let found = match (Cron::parse(&expression), Zone::named(zone)) {
            (Err(error), _) => format!("error: {error}"),
            (_, Err(error)) => format!("error: {error}"),
            (Ok(cron), Ok(zone_found)) => {
                let shown = if zone.is_empty() || zone == "Local" { TimeZone::UTC } else { TimeZone::get(zone).unwrap() };
                Value::from(next(&cron, &zone_found, from.parse().unwrap(), &shown)).to_string()
            }
        };
        let agree = found == wanted || wanted.starts_with("error: failed parsing") && found.starts_with("error: ");
        if agree == different_here.contains(text(record, "name")) {
            differences.push(format!("{} {expression:?} {zone} {from}: wanted {wanted}, found {found}", text(record, "name")));
        }
    }
    finish("cron expressions", records.len(), &differences);
}

/// The next three times as the records show them.
fn next(cron: &Cron, zone: &Zone, from: Timestamp, shown: &TimeZone) -> Vec<String> {
    let mut found = Vec::new();
    let mut after = i64::try_from(from.as_nanosecond()).unwrap();
    while found.len() < 3 {
        let Some(next) = cron.next_after(after, zone) else {
            found.push("never".to_owned());
            break;
        };
        let instant = Timestamp::from_nanosecond(i128::from(next)).unwrap();
        let offset = shown.to_offset(instant);
        let text = if offset.seconds() == 0 {
            instant.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
        } else {
            instant.to_zoned(shown.clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
        };
        found.push(text);
        after = next;
    }
    found
}
