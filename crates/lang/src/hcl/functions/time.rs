//! `formatdate` and `timeadd` on RFC 3339 timestamps.

use super::{Context, Outcome, string};
use crate::duration::parse_duration;
use crate::hcl::value::Value;

/// A civil time with its offset from UTC in seconds.
#[derive(Clone, Copy)]
struct Timestamp {
    year: i64,
    month: u32,
    day: u32,
    hour: u32,
    minute: u32,
    second: u32,
    nanosecond: u32,
    offset: i64,
    zulu: bool,
}

const MONTHS: [&str; 12] =
    ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
const DAYS: [&str; 7] = ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"];

/// Days since 1970-01-01 of a civil date (proleptic Gregorian).
fn days_of(year: i64, month: u32, day: u32) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (i64::from(month) + if month > 2 { -3 } else { 9 }) + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The civil date of days since 1970-01-01.
fn date_of(days: i64) -> (i64, u32, u32) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = (of_year - (153 * shifted + 2) / 5 + 1) as u32;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 } as u32;
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// The days of a month.
pub(super) fn days_in(year: i64, month: u32) -> u32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn parse(text: &str) -> Result<Timestamp, String> {
    let refuse = |what: &str| format!("\"{text}\" is not an RFC 3339 timestamp: {what}");
    let bytes = text.as_bytes();
    let number = |range: std::ops::Range<usize>| -> Option<u32> {
        let digits = bytes.get(range)?;
        digits.iter().all(u8::is_ascii_digit).then(|| digits.iter().fold(0, |n, d| n * 10 + u32::from(d - b'0')))
    };
    let mark = |at: usize, wanted: u8| bytes.get(at) == Some(&wanted);
    let date = (|| {
        let parts = (number(0..4)?, number(5..7)?, number(8..10)?);
        (mark(4, b'-') && mark(7, b'-')).then_some(parts)
    })();
    let (year, month, day) = date.ok_or_else(|| refuse("the date is missing"))?;
    if !mark(10, b'T') {
        return Err(refuse("a \"T\" must stand between date and time"));
    }
    let time = (|| {
        let parts = (number(11..13)?, number(14..16)?, number(17..19)?);
        (mark(13, b':') && mark(16, b':')).then_some(parts)
    })();
    let (hour, minute, second) = time.ok_or_else(|| refuse("the time is missing"))?;
    let mut at = 19;
    let mut nanosecond = 0;
    if mark(19, b'.') {
        let digits = bytes[20..].iter().take_while(|b| b.is_ascii_digit()).count();
        if digits == 0 {
            return Err(refuse("the fraction is empty"));
        }
        for place in 0..9 {
            nanosecond = nanosecond * 10 + if place < digits { u32::from(bytes[20 + place] - b'0') } else { 0 };
        }
        at = 20 + digits;
    }
    let zone = &text[at.min(text.len())..];
    let (offset, zulu) = match zone.as_bytes() {
        [b'Z'] => (0, true),
        [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
            let (hours, minutes) = (number(at + 1..at + 3), number(at + 4..at + 6));
            match (hours, minutes) {
                (Some(hours @ 0..24), Some(minutes @ 0..60)) => {
                    let seconds = i64::from(hours) * 3600 + i64::from(minutes) * 60;
                    (if *sign == b'-' { -seconds } else { seconds }, false)
                }
                _ => return Err(refuse("the UTC offset is wrong")),
            }
        }
        _ => return Err(refuse("the UTC offset is missing")),
    };
    let year = i64::from(year);
    if !(1..=12).contains(&month) || day == 0 || day > days_in(year, month) || hour > 23 || minute > 59 || second > 59 {
        return Err(refuse("a part is out of range"));
    }
    Ok(Timestamp { year, month, day, hour, minute, second, nanosecond, offset, zulu })
}

pub(super) fn time_add(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    let start = parse(string(&arguments[0]))?;
    let added = parse_duration(string(&arguments[1])).map_err(|error| error.to_string())?;
    let seconds = days_of(start.year, start.month, start.day) * 86_400
        + i64::from(start.hour) * 3600
        + i64::from(start.minute) * 60
        + i64::from(start.second);
    let total = i128::from(seconds) * 1_000_000_000 + i128::from(start.nanosecond) + i128::from(added);
    let seconds = total.div_euclid(1_000_000_000) as i64;
    let (year, month, day) = date_of(seconds.div_euclid(86_400));
    let of_day = seconds.rem_euclid(86_400);
    let zone = if start.zulu || start.offset == 0 { "Z".to_owned() } else { zone_text(start.offset, ":") };
    Ok(Value::string(format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}{zone}", of_day / 3600, of_day / 60 % 60, of_day % 60)))
}

fn zone_text(offset: i64, colon: &str) -> String {
    let sign = if offset < 0 { '-' } else { '+' };
    format!("{sign}{:02}{colon}{:02}", offset.abs() / 3600, offset.abs() / 60 % 60)
}

pub(super) fn format_date(_: &Context<'_>, arguments: &[Value]) -> Outcome {
    let time = parse(string(&arguments[1]))?;
    let mut out = String::new();
    let mut rest = string(&arguments[0]);
    while let Some(first) = rest.chars().next() {
        if first == '\'' {
            rest = quoted(&rest[1..], &mut out)?;
            continue;
        }
        if !first.is_ascii_alphabetic() {
            out.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let length = rest.bytes().take_while(|byte| *byte == first as u8).count();
        let verb = &rest[..length];
        rest = &rest[length..];
        out.push_str(&field(verb, &time)?);
    }
    Ok(Value::string(out))
}

/// Copies a quoted literal, in which two quotes are one, and returns what follows.
fn quoted<'a>(text: &'a str, out: &mut String) -> Result<&'a str, String> {
    let mut rest = text;
    if let Some(behind) = rest.strip_prefix('\'') {
        out.push('\'');
        return Ok(behind);
    }
    loop {
        let at = rest.find('\'').ok_or_else(|| "a quoted literal is not closed".to_owned())?;
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        match rest.strip_prefix('\'') {
            Some(behind) => {
                out.push('\'');
                rest = behind;
            }
            None => return Ok(rest),
        }
    }
}

fn field(verb: &str, time: &Timestamp) -> Result<String, String> {
    let weekday = DAYS[days_of(time.year, time.month, time.day).rem_euclid(7) as usize];
    let month = MONTHS[time.month as usize - 1];
    let twelve = match time.hour % 12 {
        0 => 12,
        hour => hour,
    };
    Ok(match verb {
        "YYYY" => format!("{:04}", time.year),
        "YY" => format!("{:02}", time.year % 100),
        "MMMM" => month.to_owned(),
        "MMM" => month[..3].to_owned(),
        "MM" => format!("{:02}", time.month),
        "M" => time.month.to_string(),
        "DD" => format!("{:02}", time.day),
        "D" => time.day.to_string(),
        "EEEE" => weekday.to_owned(),
        "EEE" => weekday[..3].to_owned(),
        "hh" => format!("{:02}", time.hour),
        "h" => time.hour.to_string(),
        "HH" => format!("{twelve:02}"),
        "H" => twelve.to_string(),
        "AA" => if time.hour < 12 { "AM" } else { "PM" }.to_owned(),
        "aa" => if time.hour < 12 { "am" } else { "pm" }.to_owned(),
        "mm" => format!("{:02}", time.minute),
        "m" => time.minute.to_string(),
        "ss" => format!("{:02}", time.second),
        "s" => time.second.to_string(),
        "Z" if time.offset == 0 => "Z".to_owned(),
        "Z" | "ZZZZZ" => zone_text(time.offset, ":"),
        "ZZZ" if time.offset == 0 => "UTC".to_owned(),
        "ZZZ" | "ZZZZ" => zone_text(time.offset, ""),
        _ => return Err(format!("there is no date field \"{verb}\"; put literal letters between single quotes")),
    })
}
