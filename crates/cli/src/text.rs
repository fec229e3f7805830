//! How values look in the output: tables, blocks of key and value, sizes, times, durations.

use std::sync::atomic::{AtomicU16, Ordering};

use drover_base::WallTime;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// What an empty cell shows.
const NONE: &str = "<none>";

/// The width that tables have to fit; 0 for any.
static WIDTH: AtomicU16 = AtomicU16::new(0);

/// From now on tables are no wider than a terminal. In a pipe nothing is ever cut.
pub fn fit_tables(columns: u16) {
    WIDTH.store(columns, Ordering::Relaxed);
}

/// Lines that are too long, cut to a width.
fn fitted(text: String, width: usize) -> String {
    if width == 0 {
        return text;
    }
    let cut = |line: &str| {
        if line.chars().count() <= width { line.to_owned() } else { line.chars().take(width - 1).chain(['…']).collect() }
    };
    text.lines().map(cut).collect::<Vec<_>>().join("\n")
}

/// Columns of equal width, two spaces apart; an empty cell is `<none>`.
pub fn table(rows: &[Vec<String>]) -> String {
    fitted(columns(rows, "  ", NONE), usize::from(WIDTH.load(Ordering::Relaxed)))
}

/// The same with empty cells left empty.
pub fn table_with_blanks(rows: &[Vec<String>]) -> String {
    columns(rows, "  ", "")
}

/// `Key = value` lines with the signs below one another; an empty value is `<none>`.
pub fn pairs<K: AsRef<str>, V: AsRef<str>>(rows: &[(K, V)]) -> String {
    let rows: Vec<Vec<String>> = rows.iter().map(|(key, value)| vec![key.as_ref().to_owned(), value.as_ref().to_owned()]).collect();
    columns(&rows, " = ", NONE)
}

fn columns(rows: &[Vec<String>], glue: &str, empty: &str) -> String {
    let shown = |cell: &str| -> String { if cell.trim().is_empty() { empty.to_owned() } else { cell.to_owned() } };
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> =
        (0..count).map(|column| rows.iter().filter_map(|row| row.get(column)).map(|cell| width(&shown(cell))).max().unwrap_or(0)).collect();
    let mut out = String::new();
    for (number, row) in rows.iter().enumerate() {
        if number > 0 {
            out.push('\n');
        }
        for (column, cell) in row.iter().enumerate() {
            let cell = shown(cell);
            out.push_str(&cell);
            if column + 1 < row.len() {
                out.extend(std::iter::repeat_n(' ', widths[column].saturating_sub(width(&cell))));
                out.push_str(glue);
            }
        }
    }
    out
}

fn width(text: &str) -> usize {
    text.chars().count()
}

/// A row of a table.
#[macro_export]
macro_rules! row {
    ($($cell:expr),* $(,)?) => { vec![$(::std::string::ToString::to_string(&$cell)),*] };
}

/// The first eight characters of an id, or all of it.
pub fn short(id: &str, verbose: bool) -> &str {
    if verbose { id } else { id.get(..8).unwrap_or(id) }
}

/// A size in KiB, MiB and so on, with one decimal below ten.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if count < 10 {
        return format!("{count} B");
    }
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let value = (value * 10.0 + 0.5).floor() / 10.0;
    if value < 10.0 { format!("{value:.1} {}", UNITS[unit]) } else { format!("{value:.0} {}", UNITS[unit]) }
}

/// A size given in MiB.
pub fn mebibytes(count: i64) -> String {
    bytes(u64::try_from(count).unwrap_or(0).saturating_mul(1024 * 1024))
}

/// The zone in which times are shown.
#[derive(Clone, Debug)]
pub struct Zone(TimeZone);

impl Zone {
    /// The zone named by `TZ`, else that of the machine, else UTC.
    pub fn local(variable: Option<&str>) -> Self {
        let named = variable.and_then(|name| TimeZone::get(name.trim_start_matches(':')).ok());
        let machine = || std::fs::read("/etc/localtime").ok().and_then(|data| TimeZone::tzif("Local", &data).ok());
        Self(named.or_else(machine).unwrap_or(TimeZone::UTC))
    }

    /// UTC.
    pub fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// A time to the second, as RFC 3339 with the zone's offset; the zero time is empty.
    pub fn time(&self, time: WallTime) -> String {
        if time.0 <= 0 {
            return String::new();
        }
        let Ok(stamp) = Timestamp::from_nanosecond(i128::from(time.0)) else { return String::new() };
        let local = stamp.to_zoned(self.0.clone());
        let text = local.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string();
        text.strip_suffix("+00:00").map_or(text.clone(), |text| format!("{text}Z"))
    }

    /// The same for nanoseconds since the epoch.
    pub fn nanoseconds(&self, nanoseconds: i64) -> String {
        self.time(WallTime(nanoseconds))
    }
}

/// Reads a time of the API; absent, malformed and zero ones are `None`.
pub fn parse_time(text: Option<&str>) -> Option<WallTime> {
    let stamp: Timestamp = text?.parse().ok()?;
    let nanoseconds = i64::try_from(stamp.as_nanosecond()).ok()?;
    (nanoseconds > 0).then_some(WallTime(nanoseconds))
}

/// How long ago, in the two largest units; `from now` if it is still to come. The zero time is empty.
pub fn ago(now: WallTime, then: WallTime) -> String {
    if then.0 <= 0 {
        return String::new();
    }
    let seconds = now.0.abs_diff(then.0) / 1_000_000_000;
    let direction = if then.0 > now.0 && seconds > 0 { "from now" } else { "ago" };
    format!("{} {direction}", two_units(seconds))
}

fn two_units(seconds: u64) -> String {
    const UNITS: [(&str, u64); 6] = [("y", 31_536_000), ("mo", 2_592_000), ("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];
    let mut rest = seconds;
    let mut parts = Vec::new();
    for (name, length) in UNITS {
        let count = rest / length;
        rest %= length;
        if count > 0 {
            parts.push(format!("{count}{name}"));
        } else if !parts.is_empty() {
            break;
        }
        if parts.len() == 2 {
            break;
        }
    }
    if parts.is_empty() { "0s".to_owned() } else { parts.concat() }
}

/// A duration such as `1h2m3s`, `1.5s`, `103.796µs`.
pub fn duration(nanoseconds: i64) -> String {
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let total = nanoseconds.unsigned_abs();
    let fraction = |value: u64, scale: u64| {
        let text = format!("{}.{:0width$}", value / scale, value % scale, width = scale.ilog10() as usize);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    let text = match total {
        0 => "0s".to_owned(),
        1..1_000 => format!("{total}ns"),
        1_000..1_000_000 => format!("{}µs", fraction(total, 1_000)),
        1_000_000..1_000_000_000 => format!("{}ms", fraction(total, 1_000_000)),
        _ => {
            let minutes = total / 60_000_000_000;
            let seconds = fraction(total % 60_000_000_000, 1_000_000_000);
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{seconds}s"),
                (0, minutes) => format!("{minutes}m{seconds}s"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
            }
        }
    };
    format!("{sign}{text}")
}

/// A duration such as `90s` or `1h30m`, in nanoseconds.
pub fn parse_duration(text: &str) -> Option<u64> {
    if text == "0" {
        return Some(0);
    }
    let mut rest = text;
    let mut total = 0.0_f64;
    while !rest.is_empty() {
        let end = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let (number, tail) = rest.split_at(end);
        let unit_end = tail.find(|letter: char| letter.is_ascii_digit() || letter == '.').unwrap_or(tail.len());
        let (unit, after) = tail.split_at(unit_end);
        let scale = match unit {
            "ns" => 1.0,
            "us" | "µs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * scale;
        rest = after;
    }
    (!text.is_empty() && total < 9e18).then_some(total as u64)
}

/// A score with three significant digits.
pub fn score(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let digits = (2 - value.abs().log10().floor() as i32).clamp(0, 12);
    let text = format!("{value:.*}", usize::try_from(digits).unwrap_or(0));
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// JSON as `-json` prints it: indented by four spaces, nothing escaped that need not be.
pub fn json<T: serde::Serialize + ?Sized>(value: &T) -> String {
    let mut out = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, formatter);
    if value.serialize(&mut serializer).is_err() {
        return String::new();
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_for_a_terminal_alone() {
        let text = "ID  Name\n1   a long one".to_owned();
        assert_eq!(fitted(text.clone(), 8), "ID  Name\n1   a l…");
        assert_eq!(fitted(text.clone(), 0), text);
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [row!["ID", "Name", "Last"], row!["1", "", "x"], row!["12345", "é", ""]];
        assert_eq!(table(&rows), "ID     Name    Last\n1      <none>  x\n12345  é       <none>");
        assert_eq!(table_with_blanks(&[row!["CPU", "Addresses"], row!["1", ""]]), "CPU  Addresses\n1    ");
        assert_eq!(pairs(&[("ID", "a"), ("Node Pool", "")]), "ID        = a\nNode Pool = <none>");
    }

    #[test]
    fn sizes_have_one_decimal_below_ten() {
        let shown: Vec<_> = [5, 9, 10, 4096, 16 << 20, 3_565_158, 1 << 60].map(bytes).into();
        assert_eq!(shown, ["5 B", "9 B", "10 B", "4.0 KiB", "16 MiB", "3.4 MiB", "1.0 EiB"]);
    }

    #[test]
    fn relative_times_show_the_two_largest_units() {
        let now = WallTime(400 * 86_400 * 1_000_000_000);
        let before = |seconds: i64| ago(now, WallTime(now.0 - seconds * 1_000_000_000));
        assert_eq!(before(0), "0s ago");
        assert_eq!(before(63), "1m3s ago");
        assert_eq!(before(4 * 86_400 + 7 * 3_600 + 5), "4d7h ago");
        assert_eq!(before(3_605), "1h ago");
        assert_eq!(before(-120), "2m from now");
        assert_eq!(ago(now, WallTime(0)), "");
    }

    #[test]
    fn durations_look_as_clients_know_them() {
        for (nanoseconds, text) in [
            (0, "0s"),
            (103_796, "103.796µs"),
            (1_500_000_000, "1.5s"),
            (3_723_000_000_000, "1h2m3s"),
            (60_000_000_000, "1m0s"),
            (2_000_000, "2ms"),
        ] {
            assert_eq!(duration(nanoseconds), text);
            assert_eq!(parse_duration(text), Some(nanoseconds.unsigned_abs()));
        }
        assert_eq!(parse_duration("1d"), None);
    }

    #[test]
    fn times_are_in_the_zone() {
        let zone = Zone::local(Some("Europe/Zurich"));
        assert_eq!(zone.time(WallTime(1_700_000_000_000_000_000)), "2023-11-14T23:13:20+01:00");
        assert_eq!(Zone::utc().time(WallTime(1_700_000_000_000_000_000)), "2023-11-14T22:13:20Z");
        assert_eq!(parse_time(Some("0001-01-01T00:00:00Z")), None);
        assert_eq!(parse_time(Some("1970-01-01T00:00:01.5Z")), Some(WallTime(1_500_000_000)));
    }
}
