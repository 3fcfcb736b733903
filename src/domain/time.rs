//! Timestamps and days. The clock itself is not here: `now` is an argument of every rule.

use std::fmt;
use std::time::Duration;

/// One day. Days have 24 hours here; time zones do not matter to any rule.
pub const DAY: Duration = Duration::from_secs(86_400);

/// A timestamp in UTC, to the millisecond.
///
/// Range: the years 1900 to 2200, so that sums of timestamps and durations cannot overflow.
///
/// ```
/// use tactful::domain::time::{DAY, Timestamp};
///
/// let noon = Timestamp::from_unix_ms(1_700_000_000_000).unwrap();
/// assert_eq!((noon + DAY).since(noon), DAY);
/// assert_eq!(noon.since(noon + DAY), std::time::Duration::ZERO);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The first moment of the year 1900.
    pub const MIN: Self = Self(-2_208_988_800_000);
    /// The first moment of the year 2200.
    pub const MAX: Self = Self(7_258_118_400_000);

    /// Creates a timestamp from milliseconds after 1970-01-01T00:00:00Z; `None` outside the years 1900 to 2200.
    pub fn from_unix_ms(unix_ms: i64) -> Option<Self> {
        (Self::MIN.0..=Self::MAX.0).contains(&unix_ms).then_some(Self(unix_ms))
    }

    /// Milliseconds after 1970-01-01T00:00:00Z.
    pub fn unix_ms(self) -> i64 {
        self.0
    }

    /// Time from `earlier` to this moment, zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0).max(0).unsigned_abs())
    }

    /// Time between two moments, whichever is earlier.
    pub fn distance(self, other: Self) -> Duration {
        self.since(other).max(other.since(self))
    }

    /// Time from `earlier` to this moment in days, zero when `earlier` is later.
    pub fn days_since(self, earlier: Self) -> f64 {
        self.since(earlier).as_secs_f64() / DAY.as_secs_f64()
    }

    /// The UTC day of this moment.
    pub fn day(self) -> Day {
        Day(i32::try_from(self.0.div_euclid(MS_PER_DAY)).expect("1900 to 2200 has fewer days than an i32"))
    }
}

const MS_PER_DAY: i64 = 86_400_000;

impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;

    /// Saturates at [`Timestamp::MAX`].
    fn add(self, span: Duration) -> Self {
        let ms = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(ms).min(Self::MAX.0))
    }
}

impl std::ops::Sub<Duration> for Timestamp {
    type Output = Self;

    /// Saturates at [`Timestamp::MIN`].
    fn sub(self, span: Duration) -> Self {
        let ms = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(ms).max(Self::MIN.0))
    }
}

impl fmt::Display for Timestamp {
    /// Writes RFC 3339 in UTC, with milliseconds only where they are not zero.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.day().civil();
        let ms = self.0.rem_euclid(MS_PER_DAY);
        let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        match ms % 1000 {
            0 => write!(f, "Z"),
            fraction => write!(f, ".{fraction:03}Z"),
        }
    }
}

/// A UTC day, counted from 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(i32);

impl Day {
    /// The day this many days after 1970-01-01.
    pub fn from_number(number: i32) -> Self {
        Self(number)
    }

    /// Days after 1970-01-01.
    pub fn number(self) -> i32 {
        self.0
    }

    /// First day of its calendar month.
    pub fn first_of_month(self) -> Self {
        let (_, _, day) = self.civil();
        Self(self.0 - i32::try_from(day - 1).unwrap_or(0))
    }

    /// First day of the next calendar month.
    pub fn first_of_next_month(self) -> Self {
        // No month has more than 31 days, and none is so short that this skips it.
        Self(self.first_of_month().0 + 31).first_of_month()
    }

    /// Midnight at the start of the day, clamped to the range of [`Timestamp`].
    pub fn start(self) -> Timestamp {
        let ms = i64::from(self.0) * MS_PER_DAY;
        Timestamp(ms.clamp(Timestamp::MIN.0, Timestamp::MAX.0))
    }

    /// Year, month and day of month in the Gregorian calendar (Howard Hinnant, "chrono-compatible low-level date
    /// algorithms", `civil_from_days`).
    pub fn civil(self) -> (i64, i64, i64) {
        let shifted = i64::from(self.0) + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        (year, month, day)
    }
}

impl fmt::Display for Day {
    /// Writes a date that is unambiguous in every country: `14 March 2026`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MONTHS: [&str; 12] = [
            "January",
            "February",
            "March",
            "April",
            "May",
            "June",
            "July",
            "August",
            "September",
            "October",
            "November",
            "December",
        ];
        let (year, month, day) = self.civil();
        let name = usize::try_from(month - 1).ok().and_then(|index| MONTHS.get(index)).unwrap_or(&"?");
        write!(f, "{day} {name} {year}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_print_as_rfc_3339() {
        let at = |ms| Timestamp::from_unix_ms(ms).expect("in range").to_string();
        assert_eq!(at(0), "1970-01-01T00:00:00Z");
        assert_eq!(at(951_782_400_000), "2000-02-29T00:00:00Z");
        assert_eq!(at(1_307_664_000_250), "2011-06-10T00:00:00.250Z");
        assert_eq!(Timestamp::MIN.to_string(), "1900-01-01T00:00:00Z");
        assert_eq!(Timestamp::MAX.to_string(), "2200-01-01T00:00:00Z");
    }

    #[test]
    fn days_print_for_people() {
        assert_eq!(Day::from_number(15_135).to_string(), "10 June 2011");
    }

    #[test]
    fn arithmetic_saturates_at_the_ends() {
        assert_eq!(Timestamp::MAX + Duration::MAX, Timestamp::MAX);
        assert_eq!(Timestamp::MIN - Duration::MAX, Timestamp::MIN);
    }
}
