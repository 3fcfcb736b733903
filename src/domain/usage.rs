//! Use of what a product includes: reported amounts against an allowance, by meter and period.

use std::collections::BTreeMap;
use std::time::Duration;

use super::ids::Meter;
use super::time::{DAY, Timestamp};

/// Maximum number of meters of one product.
pub const METERS_MAX: usize = 3;
/// Maximum number of periods of one meter that are stored: the latest, enough for the running one and those that are judged.
pub const PERIODS_MAX: usize = 4;
/// Maximum length of a period.
pub const PERIOD_MAX: Duration = DAY.saturating_mul(400);
/// Number of whole periods that usage is judged by, the latest ones.
const JUDGED_PERIODS_MAX: usize = 3;
/// Minimum number of whole periods that usage is judged by.
const JUDGED_PERIODS_MIN: usize = 2;
/// Share of the allowance from which usage counts as near it.
pub const NEAR_ALLOWANCE: f64 = 0.8;

/// Period of an allowance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period {
    start: Timestamp,
    end: Timestamp,
}

impl Period {
    /// Creates a period; `None` unless it ends after it starts, at most [`PERIOD_MAX`] later.
    pub fn new(start: Timestamp, end: Timestamp) -> Option<Self> {
        (start < end && end.since(start) <= PERIOD_MAX).then_some(Self { start, end })
    }

    /// The calendar month of a moment, in UTC.
    pub fn month_of(at: Timestamp) -> Self {
        Self { start: at.day().first_of_month().start(), end: at.day().first_of_next_month().start() }
    }

    /// Start of the period.
    pub fn start(self) -> Timestamp {
        self.start
    }

    /// End of the period, exclusive.
    pub fn end(self) -> Timestamp {
        self.end
    }

    fn length(self) -> Duration {
        self.end.since(self.start)
    }
}

/// Share of its allowance that each meter of a product used in its latest periods, bounded. Reports can arrive in any order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct UsageHistory {
    /// Shares by meter and period; `None` for reports without a meter. At most [`METERS_MAX`] meters, the first by name, with
    /// at most [`PERIODS_MAX`] periods each, the latest.
    pub meters: BTreeMap<Option<Meter>, BTreeMap<Period, f64>>,
}

impl UsageHistory {
    /// Records the share of the allowance that was used in a period so far. Of several reports of one period the largest
    /// holds.
    pub fn record(&mut self, meter: Option<Meter>, period: Period, share: f64) {
        let periods = self.meters.entry(meter).or_default();
        let recorded = periods.entry(period).or_insert(share);
        *recorded = recorded.max(share);
        while periods.len() > PERIODS_MAX {
            periods.pop_first();
        }
        while self.meters.len() > METERS_MAX {
            self.meters.pop_last();
        }
    }

    /// Start of the latest reported period; `None` without any.
    pub fn latest_start(&self) -> Option<Timestamp> {
        self.meters.values().filter_map(|periods| periods.last_key_value()).map(|(period, _)| period.start).max()
    }

    /// Use of each meter as of `now`, for a product held since `held_since`. Meters whose feed has stopped are left out.
    pub fn as_of(&self, held_since: Timestamp, now: Timestamp) -> Vec<MeterUsage> {
        let meters = self.meters.iter().filter_map(|(meter, periods)| {
            let (latest, &share) = periods.last_key_value()?;
            // A report comes at the latest half a period after the end of its period.
            if now >= latest.end + latest.length() + latest.length() / 2 {
                return None;
            }
            let is_judged = |period: &Period| {
                // Of the first period, the customer had the product for a part only.
                let is_whole = period.end <= now && period.start >= held_since;
                let periods_kept = u32::try_from(PERIODS_MAX).unwrap_or(u32::MAX);
                is_whole && now < period.end + period.length().saturating_mul(periods_kept)
            };
            let whole = periods.iter().rev().filter(|(period, _)| is_judged(period)).map(|(_, share)| *share);
            let judged: Vec<f64> = whole.take(JUDGED_PERIODS_MAX).collect();
            let highest = judged.iter().copied().reduce(f64::max).filter(|_| judged.len() >= JUDGED_PERIODS_MIN);
            Some(MeterUsage { meter: meter.clone(), latest: share, settled: highest })
        });
        meters.collect()
    }
}

/// Use of one meter.
#[derive(Debug, Clone, PartialEq)]
pub struct MeterUsage {
    /// The meter; `None` for reports without one.
    pub meter: Option<Meter>,
    /// Share of the allowance used in the latest reported period, which may be running.
    pub latest: f64,
    /// Highest share in the latest whole periods; `None` when fewer than two are known.
    pub settled: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(day: u32) -> Timestamp {
        // 1 January 2026.
        Timestamp::from_unix_ms(20_454 * 86_400_000).expect("in range") + DAY * day
    }

    fn history(shares: &[(u32, f64)]) -> UsageHistory {
        let mut history = UsageHistory::default();
        for &(day, share) in shares {
            history.record(None, Period::month_of(at(day)), share);
        }
        history
    }

    /// Broken by: a running period or one before the product was held that is judged; one period that suffices; a feed that
    /// stopped and is still judged; the mean, or the latest, instead of the highest.
    #[test]
    fn usage_is_judged_by_whole_periods() {
        // Reports in the middle of January, February, March and April; now is the 20th of April.
        let all = [(14, 0.1), (45, 0.2), (73, 0.05), (104, 0.9)];
        let none: &[(u32, f64)] = &[];
        let cases = [
            ("nothing", none, 0, 109, None),
            ("three whole periods and a running one", &all, 0, 109, Some((0.9, Some(0.2)))),
            ("held since the middle of January", &all, 10, 109, Some((0.9, Some(0.2)))),
            ("held since the middle of February", &all, 40, 109, Some((0.9, None))),
            ("one whole period", &all[2..], 0, 109, Some((0.9, None))),
            ("only a running period", &all[3..], 0, 109, Some((0.9, None))),
            ("no report for a month and a half", &all[..3], 0, 134, Some((0.05, Some(0.2)))),
            ("no report for longer", &all[..3], 0, 137, None),
        ];
        for (name, shares, held_since, now, expected) in cases {
            let used = history(shares).as_of(at(held_since), at(now));
            let used = used.first().map(|used| (used.latest, used.settled));
            assert_eq!(used, expected, "{name}");
        }
    }

    /// Broken by: a report that replaces a larger one of its period; periods that are evicted by the order of arrival.
    #[test]
    fn the_order_of_reports_does_not_matter() {
        let reports: Vec<(u32, f64)> =
            (0..8_u32).map(|number| (number * 20, f64::from(number * 5 % 7) / 7.0)).collect();
        let backwards: Vec<(u32, f64)> = reports.iter().rev().copied().collect();
        assert_eq!(history(&reports), history(&backwards));
        assert_eq!(history(&reports).meters[&None].len(), PERIODS_MAX);

        let names = ["d", "b", "a", "c"].map(|name| Meter::new(name).expect("a valid name"));
        let mut metered = UsageHistory::default();
        for name in names {
            metered.record(Some(name), Period::month_of(at(0)), 0.5);
        }
        let stored: Vec<String> = metered.meters.keys().flatten().map(ToString::to_string).collect();
        assert_eq!(stored, ["a", "b", "c"]);
    }

    /// Broken by: months of 30 days; a December without a next month.
    #[test]
    fn a_month_ends_where_the_next_one_begins() {
        for (day, start, end) in [(0, 0, 31), (30, 0, 31), (31, 31, 59), (58, 31, 59), (59, 59, 90), (364, 334, 365)] {
            let month = Period::month_of(at(day) + Duration::from_secs(5));
            assert_eq!((month.start(), month.end()), (at(start), at(end)), "{day}");
        }
        assert_eq!(Period::new(at(1), at(1)), None);
        assert_eq!(Period::new(at(1), at(402)), None);
        assert!(Period::new(at(1), at(401)).is_some());
    }
}
