//! Times of periodic jobs: cron expressions in the time zone of the job.
//!
//! An expression has five fields (minute, hour, day of month, month, day of week), six (a year at the end), or seven
//! (seconds at the start and a year at the end); further fields are ignored. When both days are restricted, a day that
//! fits either of them counts. Times that a change of the clock skips do not come, and those that it repeats come twice.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

/// A cron expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron {
    seconds: Vec<i16>,
    minutes: Vec<i16>,
    hours: Vec<i16>,
    days: MonthDays,
    months: Vec<i16>,
    weekdays: WeekDays,
    years: Vec<i16>,
}

/// The field for days of the month.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct MonthDays {
    restricted: bool,
    days: Vec<i16>,
    /// Days of which the nearest weekday counts.
    nearest: Vec<i16>,
    last: bool,
    last_workday: bool,
}

/// The field for days of the week.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct WeekDays {
    restricted: bool,
    days: Vec<i16>,
    /// Weekdays with the week of the month in which they count.
    nth: Vec<(i16, i16)>,
    /// Weekdays that count in the last week of the month.
    last: Vec<i16>,
}

/// Why a cron expression or a time zone cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CronError {
    /// Less than five fields.
    #[error("missing field(s)")]
    MissingFields,
    /// A part of a field that means nothing.
    #[error("syntax error in {field} field: '{part}'")]
    Syntax {
        /// The field.
        field: &'static str,
        /// What it says.
        part: String,
    },
    /// A step that is zero or more than the field can hold.
    #[error("invalid interval {0}")]
    Interval(String),
    /// A range of months that ends before it starts.
    #[error("no month fits '{0}'")]
    NoMonth(String),
    /// A zone that is not in the time zone database.
    #[error("unknown time zone {0}")]
    UnknownZone(String),
}

/// A time zone in which cron expressions run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl Zone {
    /// The zone with a name of the time zone database; no name and `Local` are UTC.
    pub fn named(name: &str) -> Result<Zone, CronError> {
        if matches!(name, "" | "UTC" | "Local") {
            return Ok(Zone(TimeZone::UTC));
        }
        // The database ignores case, names of zones do not.
        match TimeZone::get(name) {
            Ok(zone) if zone.iana_name() == Some(name) => Ok(Zone(zone)),
            _ => Err(CronError::UnknownZone(name.to_owned())),
        }
    }
}

/// One field of an expression: what it is called, which values it takes, and their names.
struct Field {
    name: &'static str,
    min: i16,
    max: i16,
    names: &'static [&'static str],
}

const SECOND: Field = Field { name: "second", min: 0, max: 59, names: &[] };
const MINUTE: Field = Field { name: "minute", min: 0, max: 59, names: &[] };
const HOUR: Field = Field { name: "hour", min: 0, max: 23, names: &[] };
const DAY: Field = Field { name: "day-of-month", min: 1, max: 31, names: &[] };
const MONTH: Field = Field {
    name: "month",
    min: 1,
    max: 12,
    names: &["january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"],
};
const WEEKDAY: Field =
    Field { name: "day-of-week", min: 0, max: 6, names: &["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"] };
const YEAR: Field = Field { name: "year", min: 1970, max: 2099, names: &[] };

/// Expressions with a name of their own.
const NAMED: [(&str, &str); 6] = [
    ("@yearly", "0 0 0 1 1 * *"),
    ("@annually", "0 0 0 1 1 * *"),
    ("@monthly", "0 0 0 1 * * *"),
    ("@weekly", "0 0 0 * * 0 *"),
    ("@daily", "0 0 0 * * * *"),
    ("@hourly", "0 0 * * * * *"),
];

/// A part of a field.
enum Part {
    All,
    One(i16),
    Steps { first: i16, last: i16, step: i16 },
}

impl Field {
    /// The value that a text names.
    fn value(&self, text: &str) -> Option<i16> {
        if let Some(at) = self.names.iter().position(|name| *name == text || name.get(..3) == Some(text)) {
            return i16::try_from(at).ok().map(|at| at + self.min);
        }
        let digits = if self.max > 99 { 4..=4 } else { 1..=2 };
        if !digits.contains(&text.len()) || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let value = text.parse().ok()?;
        // Sunday has two numbers.
        let value = if self.max == WEEKDAY.max && value == 7 { 0 } else { value };
        (self.min..=self.max).contains(&value).then_some(value)
    }

    fn syntax(&self, part: &str) -> CronError {
        CronError::Syntax { field: self.name, part: part.to_owned() }
    }

    /// The parts between commas; empty ones do not count.
    fn parts<'a>(&self, text: &'a str) -> Result<Vec<&'a str>, CronError> {
        let parts: Vec<&str> = text.split(',').filter(|part| !part.is_empty()).collect();
        if parts.is_empty() { Err(self.syntax(text)) } else { Ok(parts) }
    }

    /// Reads a part that any field can have; none when it is something else.
    fn part(&self, written: &str) -> Result<Option<Part>, CronError> {
        let text = written.to_ascii_lowercase();
        if matches!(text.as_str(), "*" | "?") {
            return Ok(Some(Part::All));
        }
        let (range, step) = match text.split_once('/') {
            Some((range, step)) if !step.is_empty() && step.bytes().all(|byte| byte.is_ascii_digit()) => (range, Some(step)),
            Some(_) => return Ok(None),
            None => (text.as_str(), None),
        };
        let (first, last) = match range.split_once('-') {
            Some((first, last)) => match (self.value(first), self.value(last)) {
                (Some(first), Some(last)) => (first, last),
                _ => return Ok(None),
            },
            None if range == "*" => (self.min, self.max),
            None => match (self.value(range), step) {
                (Some(value), Some(_)) => (value, self.max),
                (Some(value), None) => return Ok(Some(Part::One(value))),
                (None, _) => return Ok(None),
            },
        };
        let step = match step {
            None => 1,
            Some(step) => match step.parse() {
                Ok(step) if (1..=self.max).contains(&step) => step,
                _ => return Err(CronError::Interval(written.to_owned())),
            },
        };
        Ok(Some(Part::Steps { first, last, step }))
    }

    /// Adds the values of a part.
    fn add(&self, values: &mut Vec<i16>, part: &Part) {
        match *part {
            Part::All => values.extend(self.min..=self.max),
            Part::One(value) => values.push(value),
            Part::Steps { first, last, step } => {
                values.extend((first..=last).step_by(usize::try_from(step).unwrap_or(1)));
            }
        }
    }

    /// The values of a field without parts of its own.
    fn values(&self, text: &str) -> Result<Vec<i16>, CronError> {
        let mut values = Vec::new();
        for written in self.parts(text)? {
            let part = self.part(written)?.ok_or_else(|| self.syntax(written))?;
            self.add(&mut values, &part);
        }
        Ok(sorted(values))
    }
}

fn sorted(mut values: Vec<i16>) -> Vec<i16> {
    values.sort_unstable();
    values.dedup();
    values
}

impl MonthDays {
    fn parse(text: &str) -> Result<MonthDays, CronError> {
        let mut days = MonthDays { restricted: true, ..MonthDays::default() };
        for written in DAY.parts(text)? {
            if let Some(part) = DAY.part(written)? {
                days.restricted &= !matches!(part, Part::All);
                DAY.add(&mut days.days, &part);
                continue;
            }
            match written.to_ascii_lowercase().as_str() {
                "l" => days.last = true,
                "lw" => days.last_workday = true,
                other => {
                    let day = other.strip_suffix('w').and_then(|day| DAY.value(day));
                    days.nearest.push(day.ok_or_else(|| DAY.syntax(written))?);
                }
            }
        }
        days.days = sorted(days.days);
        days.nearest = sorted(days.nearest);
        Ok(days)
    }
}

impl WeekDays {
    fn parse(text: &str) -> Result<WeekDays, CronError> {
        let mut days = WeekDays { restricted: true, ..WeekDays::default() };
        for written in WEEKDAY.parts(text)? {
            if let Some(part) = WEEKDAY.part(written)? {
                days.restricted &= !matches!(part, Part::All);
                // Upstream lets a range that ends on a Sunday end on the day before.
                let part = match part {
                    Part::Steps { first, last: 0, step } => Part::Steps { first, last: WEEKDAY.max, step },
                    part => part,
                };
                WEEKDAY.add(&mut days.days, &part);
                continue;
            }
            let lower = written.to_ascii_lowercase();
            let of_last = lower.strip_suffix('l').and_then(|day| WEEKDAY.value(day));
            let of_week = lower.split_once('#').and_then(|(day, week)| {
                let week = week.parse().ok().filter(|n| week.len() == 1 && (1..=5).contains(n))?;
                Some((WEEKDAY.value(day)?, week))
            });
            match (of_last, of_week) {
                (Some(day), _) => days.last.push(day),
                (_, Some(nth)) => days.nth.push(nth),
                (None, None) => return Err(WEEKDAY.syntax(written)),
            }
        }
        days.days = sorted(days.days);
        Ok(days)
    }
}

/// The days of a month.
struct Month {
    /// The weekday of the first day, Sunday being 0.
    starts: i16,
    length: i16,
}

impl Month {
    fn of(year: i16, month: i16) -> Option<Month> {
        let first = Date::new(year, i8::try_from(month).ok()?, 1).ok()?;
        Some(Month { starts: i16::from(first.weekday().to_sunday_zero_offset()), length: i16::from(first.days_in_month()) })
    }

    fn weekday(&self, day: i16) -> i16 {
        (self.starts + day - 1).rem_euclid(7)
    }

    /// The weekday in the same month that is nearest to a day.
    fn nearest_workday(&self, day: i16) -> i16 {
        match self.weekday(day) {
            6 if day > 1 => day - 1,
            6 => day + 2,
            0 if day < self.length => day + 1,
            0 => day - 2,
            _ => day,
        }
    }
}

/// The first value that is at least `least`.
fn at_least(values: &[i16], least: i16) -> impl Iterator<Item = i16> + '_ {
    values.iter().skip(values.partition_point(|value| *value < least)).copied()
}

impl Cron {
    /// Reads an expression.
    pub fn parse(text: &str) -> Result<Cron, CronError> {
        let mut text = text.to_owned();
        if text.contains('@') {
            for (name, meaning) in NAMED {
                text = text.replace(name, meaning);
            }
        }
        let fields: Vec<&str> = text.split([' ', '\t', '\n', '\r', '\u{c}']).filter(|field| !field.is_empty()).collect();
        let (second, fields, year) = match fields.as_slice() {
            [minute, hour, day, month, weekday] => ("0", [minute, hour, day, month, weekday], "*"),
            [minute, hour, day, month, weekday, year] => ("0", [minute, hour, day, month, weekday], *year),
            [second, minute, hour, day, month, weekday, year, ..] => (*second, [minute, hour, day, month, weekday], *year),
            _ => return Err(CronError::MissingFields),
        };
        let [minute, hour, day, month, weekday] = fields;
        let cron = Cron {
            seconds: SECOND.values(second)?,
            minutes: MINUTE.values(minute)?,
            hours: HOUR.values(hour)?,
            days: MonthDays::parse(day)?,
            months: MONTH.values(month)?,
            weekdays: WeekDays::parse(weekday)?,
            years: YEAR.values(year)?,
        };
        if cron.months.is_empty() { Err(CronError::NoMonth((*month).to_owned())) } else { Ok(cron) }
    }

    /// The next time after `after`, both in nanoseconds since 1970; none when there is none before the year 2100.
    pub fn next_after(&self, after: i64, zone: &Zone) -> Option<i64> {
        // Between two changes of the clock, local times and instants have the same order.
        let mut from = Timestamp::from_second(after.div_euclid(1_000_000_000).checked_add(1)?).ok()?;
        loop {
            let offset = zone.0.to_offset(from);
            let change = zone.0.following(from).next().map(|change| change.timestamp());
            let found = self.next_local(offset.to_datetime(from)).and_then(|local| offset.to_timestamp(local).ok());
            match (found, change) {
                (Some(found), Some(change)) if found < change => return found.as_second().checked_mul(1_000_000_000),
                (Some(found), None) => return found.as_second().checked_mul(1_000_000_000),
                (None, None) => return None,
                // A change of the clock can bring back the last hour that fits, not more.
                (None, Some(change)) if from.checked_add(48.hours()).is_ok_and(|limit| change > limit) => return None,
                (_, Some(change)) => from = change,
            }
        }
    }

    /// The first local time that fits and is not before `from`.
    fn next_local(&self, from: DateTime) -> Option<DateTime> {
        let year_now = from.year();
        for year in at_least(&self.years, year_now) {
            let month_now = if year == year_now { i16::from(from.month()) } else { 1 };
            for month in at_least(&self.months, month_now) {
                let now = year == year_now && month == i16::from(from.month());
                let day_now = if now { i16::from(from.day()) } else { 1 };
                let days = self.days_of(year, month);
                for day in (day_now..=31).filter(|day| days & (1 << day) != 0) {
                    let time = if now && day == day_now {
                        self.next_time(i16::from(from.hour()), i16::from(from.minute()), i16::from(from.second()))
                    } else {
                        self.next_time(0, 0, 0)
                    };
                    if let Some((hour, minute, second)) = time {
                        let narrow = |value: i16| i8::try_from(value).ok();
                        let date = Date::new(year, narrow(month)?, narrow(day)?).ok()?;
                        return Some(date.at(narrow(hour)?, narrow(minute)?, narrow(second)?, 0));
                    }
                }
            }
        }
        None
    }

    /// The first time of day that fits and is not before the given one.
    fn next_time(&self, hour_now: i16, minute_now: i16, second_now: i16) -> Option<(i16, i16, i16)> {
        for hour in at_least(&self.hours, hour_now) {
            let minute_now = if hour == hour_now { minute_now } else { 0 };
            for minute in at_least(&self.minutes, minute_now) {
                let second_now = if hour == hour_now && minute == minute_now { second_now } else { 0 };
                if let Some(second) = at_least(&self.seconds, second_now).next() {
                    return Some((hour, minute, second));
                }
            }
        }
        None
    }

    /// The days of a month that fit, one bit for each.
    fn days_of(&self, year: i16, month: i16) -> u64 {
        let Some(month) = Month::of(year, month) else { return 0 };
        let (days, weekdays) = (&self.days, &self.weekdays);
        let mut found = 0_u64;
        for day in 1..=month.length {
            let weekday = month.weekday(day);
            let last_week = day + 7 > month.length;
            let by_day = days.restricted && (days.days.contains(&day) || days.last && day == month.length);
            let by_weekday = weekdays.restricted
                && (weekdays.days.contains(&weekday)
                    || last_week && weekdays.last.contains(&weekday)
                    || weekdays.nth.contains(&(weekday, (day + 6) / 7)));
            if by_day || by_weekday || !days.restricted && !weekdays.restricted {
                found |= 1 << day;
            }
        }
        if days.restricted {
            for day in days.nearest.iter().filter(|day| **day <= month.length) {
                found |= 1 << month.nearest_workday(*day);
            }
            if days.last_workday {
                found |= 1 << month.nearest_workday(month.length);
            }
        }
        found
    }
}
