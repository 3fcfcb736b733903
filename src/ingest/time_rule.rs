//! Time formats of a file.
//!
//! A time without an offset is local time in the mapping's zone. An ambiguous local time, when clocks are set back, means the
//! first one; a local time that is skipped, when clocks are set forward, is moved by the gap (02:30 becomes 03:30), as in
//! iCalendar (RFC 5545). The IANA time zone database is compiled in, so that a file gives the same times on every machine.

use std::time::Duration;

use jiff::civil::DateTime;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::{Disambiguation, TimeZone};

use super::cell_values::{excerpt, parse_decimal};
use super::invalid_cell::InvalidCell;
use super::mapping_table::MappingTable;
use crate::domain::time::{DAY, Timestamp};

/// Table `[time]` of a mapping.
#[derive(Debug, Clone)]
pub(super) struct TimeRule {
    format: TimeFormat,
    zone: TimeZone,
    /// Events at this time or later are skipped.
    pub until: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq)]
enum TimeFormat {
    Rfc3339,
    UnixSeconds,
    UnixMs,
    DaysAgo,
    Pattern(String),
}

impl Default for TimeRule {
    fn default() -> Self {
        Self { format: TimeFormat::Rfc3339, zone: TimeZone::UTC, until: None }
    }
}

impl TimeRule {
    /// Parses the table; faulty values are replaced by their defaults.
    pub fn from_table(mut table: MappingTable<'_>) -> Self {
        let mut rule = Self::default();
        if let Some(name) = table.text("zone") {
            match TimeZone::get(&name) {
                Ok(zone) => rule.zone = zone,
                Err(_) => {
                    table.fault(
                        "zone",
                        format!("unknown IANA time zone {}; write it like Europe/London", excerpt(&name)),
                    );
                }
            }
        }
        if let Some(format) = table.text("format") {
            match TimeFormat::parse(&format) {
                Ok(format) => rule.format = format,
                Err(problem) => table.fault("format", problem),
            }
        }
        if let Some(until) = table.text("until") {
            match rule.parse_rfc3339(&until) {
                Ok(until) => rule.until = Some(until),
                Err(problem) => table.fault("until", problem),
            }
        }
        table.finish();
        rule
    }

    /// Parses the time in a cell.
    pub fn parse(&self, text: &str, now: Timestamp) -> Result<Timestamp, InvalidCell> {
        match &self.format {
            TimeFormat::Rfc3339 => self.parse_rfc3339(text),
            TimeFormat::UnixSeconds => in_range(parse_decimal(text)? * 1000.0),
            TimeFormat::UnixMs => in_range(parse_decimal(text)?),
            TimeFormat::DaysAgo => days_before(now, parse_decimal(text)?),
            TimeFormat::Pattern(pattern) => self.parse_pattern(pattern, text),
        }
    }

    /// Parses RFC 3339, and also a time without an offset or a date alone, both taken in the zone.
    fn parse_rfc3339(&self, text: &str) -> Result<Timestamp, InvalidCell> {
        if let Ok(moment) = text.parse::<jiff::Timestamp>() {
            return from_jiff(moment);
        }
        // A local time with a zone in brackets would parse, and its zone would be dropped.
        match text.parse::<DateTime>() {
            Ok(local) if !text.contains('[') => self.at_local(local),
            _ => Err(InvalidCell(format!(
                "must be a time such as 2011-06-10T09:30:00Z or a day such as 2011-06-10, not {}; [time] format of the \
                 mapping can name another way to write it",
                excerpt(text)
            ))),
        }
    }

    fn parse_pattern(&self, pattern: &str, text: &str) -> Result<Timestamp, InvalidCell> {
        let unfit = |_| InvalidCell(format!("must be written as {pattern:?}, not {}", excerpt(text)));
        let parsed = BrokenDownTime::parse(pattern, text).map_err(unfit)?;
        if parsed.iana_time_zone().is_some() {
            return from_jiff(parsed.to_zoned_datetime().map_err(unfit)?.timestamp());
        }
        if parsed.offset().is_some() || parsed.timestamp().is_some() {
            return from_jiff(parsed.to_timestamp().map_err(unfit)?);
        }
        self.at_local(parsed.to_datetime().map_err(unfit)?)
    }

    fn at_local(&self, local: DateTime) -> Result<Timestamp, InvalidCell> {
        let zoned = self.zone.to_ambiguous_zoned_datetime(local).disambiguate(Disambiguation::Compatible);
        from_jiff(zoned.map_err(|_| out_of_range())?.timestamp())
    }
}

impl TimeFormat {
    fn parse(text: &str) -> Result<Self, InvalidCell> {
        match text {
            "rfc3339" => Ok(Self::Rfc3339),
            "unix_seconds" => Ok(Self::UnixSeconds),
            "unix_ms" => Ok(Self::UnixMs),
            "days_ago" => Ok(Self::DaysAgo),
            pattern if pattern.contains('%') => check_pattern(pattern).map(|()| Self::Pattern(pattern.to_owned())),
            _ => Err(InvalidCell(format!(
                "must be rfc3339, unix_seconds, unix_ms, days_ago or a pattern such as \"%Y-%m-%d %H:%M:%S\", not {}",
                excerpt(text)
            ))),
        }
    }
}

/// Checks that a pattern parses a time that it formatted; one without the year, for example, does not.
fn check_pattern(pattern: &str) -> Result<(), InvalidCell> {
    let unusable = |_| InvalidCell(format!("the pattern {pattern:?} cannot be used; see strptime for valid patterns"));
    let sample = jiff::Timestamp::UNIX_EPOCH.to_zoned_datetime(TimeZone::UTC);
    let written = jiff::fmt::strtime::format(pattern, &sample).map_err(unusable)?;
    let read = BrokenDownTime::parse(pattern, &written).map_err(unusable)?;
    let is_moment = read.timestamp().is_some() || read.to_datetime().is_ok();
    is_moment.then_some(()).ok_or_else(|| {
        InvalidCell(format!(
            "the pattern {pattern:?} does not give a complete date (year, month and day) with a consistent time"
        ))
    })
}

fn days_before(now: Timestamp, days: f64) -> Result<Timestamp, InvalidCell> {
    let longest = Timestamp::MAX.days_since(Timestamp::MIN);
    if !(0.0..=longest).contains(&days) {
        return Err(InvalidCell(format!("must be 0 or more days ago, at most {longest:.0}")));
    }
    let span = Duration::from_millis(to_ms(days * DAY.as_secs_f64() * 1000.0).unsigned_abs());
    Ok(now - span)
}

fn from_jiff(moment: jiff::Timestamp) -> Result<Timestamp, InvalidCell> {
    let ms = moment.as_nanosecond().div_euclid(1_000_000);
    i64::try_from(ms).ok().and_then(Timestamp::from_unix_ms).ok_or_else(out_of_range)
}

fn in_range(ms: f64) -> Result<Timestamp, InvalidCell> {
    Timestamp::from_unix_ms(to_ms(ms)).ok_or_else(out_of_range)
}

#[allow(clippy::cast_possible_truncation, reason = "the cast stops at the ends of i64, far outside the range accepted")]
fn to_ms(ms: f64) -> i64 {
    ms.round() as i64
}

fn out_of_range() -> InvalidCell {
    InvalidCell("must be within the years 1900 to 2200; is the [time] format of the mapping right?".to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::read_error::MappingFault;
    use super::*;

    fn rule(text: &str) -> Result<TimeRule, Vec<MappingFault>> {
        let mut faults = Vec::new();
        let rule = TimeRule::from_table(MappingTable::new("[time]", text.parse().expect("TOML"), &mut faults));
        if faults.is_empty() { Ok(rule) } else { Err(faults) }
    }

    fn read(rule_text: &str, text: &str) -> Result<String, InvalidCell> {
        let now = Timestamp::from_unix_ms(1_700_000_000_000).expect("in range");
        rule(rule_text).expect("a good rule").parse(text, now).map(|at| at.to_string())
    }

    #[test]
    fn times_are_read_in_every_format() {
        let pattern = "format = '%d/%m/%Y %H:%M'\nzone = 'Europe/London'";
        let cases = [
            ("", "2011-06-10T09:30:00.250+01:00", "2011-06-10T08:30:00.250Z"),
            ("", "2011-06-10", "2011-06-10T00:00:00Z"),
            ("zone = 'Europe/London'", "2011-06-10 09:30", "2011-06-10T08:30:00Z"),
            (pattern, "10/06/2011 09:30", "2011-06-10T08:30:00Z"),
            ("format = '%Y-%m-%d'", "1969-12-31", "1969-12-31T00:00:00Z"),
            ("format = '%Y-%m-%d %H:%M %z'\nzone = 'Asia/Tokyo'", "2011-06-10 09:30 +0100", "2011-06-10T08:30:00Z"),
            ("format = 'unix_seconds'", "1307698200.25", "2011-06-10T09:30:00.250Z"),
            ("format = 'unix_ms'", "1307698200250", "2011-06-10T09:30:00.250Z"),
            ("format = 'days_ago'", "0.5", "2023-11-14T10:13:20Z"),
        ];
        for (rule, text, expected) in cases {
            assert_eq!(read(rule, text).as_deref(), Ok(expected), "{text} by {rule}");
        }
    }

    #[test]
    fn invalid_times_are_rejected() {
        let pattern = "format = '%Y-%m-%d'";
        let cases = [
            ("", "yesterday"),
            ("", "2011-06-31"),
            ("", "2011-06-10T09:30[Europe/London]"),
            ("", "1899-12-31"),
            (pattern, "2011-06-10 09:30"),
            (pattern, "9999-01-01"),
            ("format = 'unix_seconds'", "1307698200000"),
            ("format = 'unix_seconds'", "NaN"),
            ("format = 'days_ago'", "-1"),
            ("format = 'days_ago'", "1e12"),
        ];
        for (rule, text) in cases {
            assert!(read(rule, text).is_err(), "{text} by {rule}");
        }
    }

    #[test]
    fn an_ambiguous_local_time_is_the_first_and_a_skipped_one_is_moved() {
        let london = "zone = 'Europe/London'";
        assert_eq!(read(london, "2010-10-31T01:30:00").as_deref(), Ok("2010-10-31T00:30:00Z"));
        assert_eq!(read(london, "2011-03-27T01:30:00").as_deref(), Ok("2011-03-27T01:30:00Z"));
    }

    #[test]
    fn all_faults_of_the_table_are_found_at_once() {
        let faults = rule("format = '%H:%M'\nzone = 'London'\nuntil = 'soon'\nstep = 1").expect_err("four faults");
        let places: Vec<&str> = faults.iter().map(|fault| fault.place.as_str()).collect();
        assert_eq!(places, ["[time] zone", "[time] format", "[time] until", "[time] step"]);
        for bad in ["format = 'iso'", "format = '%'", "format = '%d %m'"] {
            assert!(rule(bad).is_err(), "{bad}");
        }
    }
}
