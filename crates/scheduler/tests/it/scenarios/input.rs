//! Reading the objects of a scenario, with the defaults that its records leave out.

use std::collections::BTreeMap;
use std::time::Duration;

use drover_base::WallTime;
use serde_json::Value;

/// The moment at which every scenario plays.
pub(crate) const NOW: WallTime = WallTime(1_700_000_000_000_000_000);

/// Seconds relative to [`NOW`].
pub(crate) fn time(value: &Value, default: f64) -> WallTime {
    let seconds = value.as_f64().unwrap_or(default);
    WallTime(NOW.0 + (seconds * 1e9).round() as i64)
}

/// The same, absent as the zero time.
pub(crate) fn time_or_zero(value: &Value) -> WallTime {
    if value.is_null() { WallTime::ZERO } else { time(value, 0.0) }
}

/// Seconds since [`NOW`].
pub(crate) fn seconds(time: WallTime) -> f64 {
    (time.0 - NOW.0) as f64 / 1e9
}

pub(crate) fn duration(value: &Value, default: f64) -> Duration {
    Duration::from_secs_f64(value.as_f64().unwrap_or(default))
}

pub(crate) fn number<T: TryFrom<i64>>(value: &Value, default: i64) -> T {
    let number = value.as_i64().unwrap_or(default);
    T::try_from(number).unwrap_or_else(|_| panic!("{number} is out of range"))
}

pub(crate) fn flag(value: &Value, default: bool) -> bool {
    value.as_bool().unwrap_or(default)
}

pub(crate) fn text<'a>(value: &'a Value, default: &'a str) -> &'a str {
    value.as_str().unwrap_or(default)
}

/// The elements of a list, none when it is absent.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The members of an object, none when it is absent.
pub(crate) fn members(value: &Value) -> Vec<(&String, &Value)> {
    value.as_object().map(|object| object.iter().collect()).unwrap_or_default()
}

pub(crate) fn strings(value: &Value) -> Vec<String> {
    list(value).iter().map(|item| item.as_str().unwrap().to_owned()).collect()
}

pub(crate) fn string_map(value: &Value) -> BTreeMap<String, String> {
    members(value).into_iter().map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned())).collect()
}
