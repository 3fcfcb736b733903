//! The retention outlook as it was learned: the probability that a customer buys again within a window, or stays.
//!
//! Two kinds of relation, two estimates. A shop observes purchases and never a farewell: [`BuyingOutlook`]. A contract
//! ends on a day that is known: [`StayingOutlook`]. Both are logistic in signals whose **direction is fixed**: training
//! may find a signal useless, never turn it round, so that a purchase dated now never lowers the outlook and a return
//! never raises it. What is learned here are numbers; how they are learned is `model::outlook`.

#![allow(clippy::cast_precision_loss, reason = "counts of days and subscriptions are far below 2^52")]

use std::collections::BTreeMap;
use std::time::Duration;

use super::decayed_sum::HalfLife;
use super::relationship::RelationshipState;
use super::time::{DAY, Timestamp};

/// What training learned about who comes back; nothing by default.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Outlook {
    /// Of customers who buy.
    pub buying: Option<BuyingOutlook>,
    /// Of customers under contract.
    pub staying: Option<StayingOutlook>,
}

/// The rhythm of purchases in a population: MBG/NBD (Batislam, Denizel and Filiztekin, "Empirical validation and
/// comparison of models for customer base analysis", International Journal of Research in Marketing 24, 2007).
///
/// Customers buy at a rate of their own, Gamma(`r`, `alpha`) a week, and after each purchase, the first included, leave
/// for good with a probability of their own, Beta(`a`, `b`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rhythm {
    /// Shape of the rates; above 0.
    pub r: f64,
    /// Inverse scale of the rates, in weeks; above 0.
    pub alpha: f64,
    /// Of leaving; above 0.
    pub a: f64,
    /// Of staying; above 0.
    pub b: f64,
}

/// A customer's purchases as a [`Rhythm`] sees them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Recency {
    /// Purchase days after the first.
    pub repeats: f64,
    /// From the first purchase day to the last, in weeks.
    pub last_week: f64,
    /// From the first purchase day to now, in weeks.
    pub age_weeks: f64,
}

impl Recency {
    /// What the purchase days say at `now`; `None` without a purchase.
    pub fn of(state: &RelationshipState, now: Timestamp) -> Option<Self> {
        let (first, last) = (state.purchase_days.first()?.start(), state.purchase_days.last()?.start());
        Some(Self {
            repeats: (state.purchase_days.len() - 1) as f64,
            last_week: last.days_since(first) / 7.0,
            age_weeks: now.days_since(first).max(last.days_since(first)) / 7.0,
        })
    }
}

impl Rhythm {
    /// The probability that the customer has not left.
    pub fn alive(&self, recency: Recency) -> f64 {
        let Recency { repeats, last_week, age_weeks } = recency;
        let silence = ((self.alpha + age_weeks) / (self.alpha + last_week)).ln() * (self.r + repeats);
        1.0 / (1.0 + self.a / (self.b + repeats) * silence.exp())
    }

    /// Purchase days a week, if the customer has not left.
    pub fn rate(&self, recency: Recency) -> f64 {
        (self.r + recency.repeats) / (self.alpha + recency.age_weeks)
    }

    /// The probability of a purchase within the next `weeks`.
    pub fn buys_within(&self, recency: Recency, weeks: f64) -> f64 {
        let age = self.alpha + recency.age_weeks;
        self.alive(recency) * -((age / (age + weeks)).ln() * (self.r + recency.repeats)).exp_m1()
    }
}

/// What a signal says when it grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Never lowers the outlook.
    Good,
    /// Never raises it.
    Bad,
}

/// What the outlook of a buyer is made from, beside the rhythm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BuyingSignal {
    /// `ln(1 + days since the last purchase)`.
    Recency,
    /// `ln(purchase days)`.
    PurchaseDays,
    /// `ln(1 + days since the first purchase)`: the same purchases over a longer time are fewer.
    Tenure,
    /// `ln(1 + purchase days that fade)`, half-life 30 days.
    PurchaseDays30,
    /// The same, 90 days.
    PurchaseDays90,
    /// The same, 365 days.
    PurchaseDays365,
    /// `ln(1 + money spent that fades)`, half-life 365 days, in units of the currency.
    Spent,
    /// `ln(1 + returns that fade)`, half-life 365 days.
    Returned,
    /// `ln(1 + purchase days in the coming quarter a year ago)`: who comes every Christmas is not lost in summer.
    LastYear,
    /// [`Rhythm::alive`].
    Alive,
    /// `ln` of [`Rhythm::rate`].
    Rate,
}

impl BuyingSignal {
    /// All signals.
    pub const ALL: [Self; 11] = [
        Self::Recency,
        Self::PurchaseDays,
        Self::Tenure,
        Self::PurchaseDays30,
        Self::PurchaseDays90,
        Self::PurchaseDays365,
        Self::Spent,
        Self::Returned,
        Self::LastYear,
        Self::Alive,
        Self::Rate,
    ];

    /// What it says when it grows.
    pub fn direction(self) -> Direction {
        match self {
            Self::Recency | Self::Tenure | Self::Returned => Direction::Bad,
            Self::PurchaseDays
            | Self::PurchaseDays30
            | Self::PurchaseDays90
            | Self::PurchaseDays365
            | Self::Spent
            | Self::LastYear
            | Self::Alive
            | Self::Rate => Direction::Good,
        }
    }

    /// The signal's name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Recency => "recency",
            Self::PurchaseDays => "purchase_days",
            Self::Tenure => "tenure",
            Self::PurchaseDays30 => "purchase_days_30",
            Self::PurchaseDays90 => "purchase_days_90",
            Self::PurchaseDays365 => "purchase_days_365",
            Self::Spent => "spent",
            Self::Returned => "returned",
            Self::LastYear => "last_year",
            Self::Alive => "alive",
            Self::Rate => "rate",
        }
    }
}

/// The signals of a buyer at a moment, in the order of [`BuyingSignal::ALL`].
pub type BuyingSignals = [f64; BuyingSignal::ALL.len()];

/// The quarter that [`BuyingSignal::LastYear`] looks at.
const SEASON_DAYS: f64 = 91.0;
const YEAR_DAYS: f64 = 365.0;

/// Reads all signals of a buyer; `None` without a purchase.
pub fn buying_signals(state: &RelationshipState, rhythm: &Rhythm, now: Timestamp) -> Option<BuyingSignals> {
    let recency = Recency::of(state, now)?;
    let ages: Vec<f64> = state.purchase_days.iter().map(|day| now.days_since(day.start())).collect();
    let fading = |days: f64| ages.iter().map(|age| (-age / days).exp2()).sum::<f64>().ln_1p();
    let year = HalfLife::of_days(YEAR_DAYS).expect("the bank keeps a year");
    let in_season = ages.iter().filter(|&&age| age <= YEAR_DAYS && age > YEAR_DAYS - SEASON_DAYS).count();
    let signal = |signal: BuyingSignal| match signal {
        BuyingSignal::Recency => ages.last().copied().unwrap_or_default().ln_1p(),
        BuyingSignal::PurchaseDays => (ages.len() as f64).ln(),
        BuyingSignal::Tenure => ages.first().copied().unwrap_or_default().ln_1p(),
        BuyingSignal::PurchaseDays30 => fading(30.0),
        BuyingSignal::PurchaseDays90 => fading(90.0),
        BuyingSignal::PurchaseDays365 => fading(365.0),
        BuyingSignal::Spent => state.spent.at(now, year).max(0.0).ln_1p(),
        BuyingSignal::Returned => state.returned.at(now, year).max(0.0).ln_1p(),
        BuyingSignal::LastYear => (in_season as f64).ln_1p(),
        BuyingSignal::Alive => rhythm.alive(recency),
        BuyingSignal::Rate => rhythm.rate(recency).ln(),
    };
    Some(BuyingSignal::ALL.map(signal))
}

/// What one signal adds to the logit: `weight x (signal - mean) / deviation`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SignalWeight {
    /// The mean of the signal where it was learned.
    pub mean: f64,
    /// Its standard deviation there; above 0.
    pub deviation: f64,
    /// Zero or of the sign that the signal's direction allows.
    pub weight: f64,
}

impl SignalWeight {
    /// The share of the logit.
    pub fn logit(&self, signal: f64) -> f64 {
        self.weight * (signal - self.mean) / self.deviation
    }
}

/// The learned outlook of customers who buy.
///
/// `logit P(window) = intercept + slope x logit R(window) + sum of signals + (1 - slope) x step`, where `R(t)` is the
/// rhythm's probability of a purchase within `t`. The logistic part was learned over one window and the rhythm carries it to
/// another: the logit of a typical customer grows by the whole `step = logit R(window) - logit R(learned)`. Taking each
/// customer's own step in place of the typical one would let a purchase lower the outlook where the slope is below 1.
#[derive(Debug, Clone, PartialEq)]
pub struct BuyingOutlook {
    /// The rhythm of all customers.
    pub rhythm: Rhythm,
    /// The window that the logistic part was learned over, in days.
    pub learned_days: f64,
    /// The logit of a mean customer.
    pub intercept: f64,
    /// How much the rhythm counts, 0 to 1: beyond 1 a longer window could tell less.
    pub slope: f64,
    /// The customer whose step from one window to another is typical.
    pub typical: Recency,
    /// In the order of [`BuyingSignal::ALL`].
    pub weights: [SignalWeight; BuyingSignal::ALL.len()],
}

impl BuyingOutlook {
    /// The probability of a purchase within the window after `now`; `None` without a purchase before.
    pub fn probability(&self, state: &RelationshipState, now: Timestamp, window: Duration) -> Option<f64> {
        let recency = Recency::of(state, now)?;
        let signals = buying_signals(state, &self.rhythm, now)?;
        let days = window.as_secs_f64() / DAY.as_secs_f64();
        let own: f64 = self.weights.iter().zip(signals).map(|(weight, signal)| weight.logit(signal)).sum();
        let step = step(&self.rhythm, self.typical, self.learned_days, days);
        let by_rhythm = self.slope * rhythm_logit(&self.rhythm, recency, days) + (1.0 - self.slope) * step;
        Some(logistic(self.intercept + by_rhythm + own))
    }
}

/// How much the logit of the rhythm grows from one window to another, in days.
pub fn step(rhythm: &Rhythm, recency: Recency, from_days: f64, to_days: f64) -> f64 {
    if from_days.total_cmp(&to_days).is_eq() {
        return 0.0;
    }
    rhythm_logit(rhythm, recency, to_days) - rhythm_logit(rhythm, recency, from_days)
}

/// The logit of the rhythm's probability of a purchase within some days, kept within a thousand to one.
pub fn rhythm_logit(rhythm: &Rhythm, recency: Recency, days: f64) -> f64 {
    const CERTAIN: f64 = 1e-3;
    let probability = rhythm.buys_within(recency, days / 7.0).clamp(CERTAIN, 1.0 - CERTAIN);
    (probability / (1.0 - probability)).ln()
}

/// What the outlook of a subscriber is made from, beside the profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StayingSignal {
    /// `ln(1 + days)` of the longest running subscription.
    Tenure,
    /// `ln(running subscriptions)`.
    Subscriptions,
    /// `ln` of recent use over usual use: `(e30 / 30 + p) / (e180 / 180 + p)` with the engagement that fades with a
    /// half-life of 30 and 180 days and `p = 1 / 180`; 0 is as usual.
    UsageTrend,
}

impl StayingSignal {
    /// All signals.
    pub const ALL: [Self; 3] = [Self::Tenure, Self::Subscriptions, Self::UsageTrend];

    /// What it says when it grows.
    pub fn direction(self) -> Direction {
        match self {
            Self::Tenure | Self::Subscriptions | Self::UsageTrend => Direction::Good,
        }
    }

    /// The signal's name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tenure => "tenure",
            Self::Subscriptions => "subscriptions",
            Self::UsageTrend => "usage_trend",
        }
    }
}

/// The signals of a subscriber at a moment, in the order of [`StayingSignal::ALL`].
pub type StayingSignals = [f64; StayingSignal::ALL.len()];

/// The signals of a subscriber.
pub fn staying_signals(state: &RelationshipState, running: usize, tenure: Duration, now: Timestamp) -> StayingSignals {
    let engagement = |days: f64| {
        let half_life = HalfLife::of_days(days).expect("the bank keeps both half-lives");
        state.engagement.at(now, half_life) / days + 1.0 / 180.0
    };
    let signal = |signal: StayingSignal| match signal {
        StayingSignal::Tenure => (tenure.as_secs_f64() / DAY.as_secs_f64()).ln_1p(),
        StayingSignal::Subscriptions => (running.max(1) as f64).ln(),
        StayingSignal::UsageTrend => (engagement(30.0) / engagement(180.0)).ln(),
    };
    StayingSignal::ALL.map(signal)
}

/// What a customer's profile says, by attribute. It has no direction: a profile is not an event.
#[derive(Debug, Clone, PartialEq)]
pub enum AttributeWeight {
    /// An attribute that is a number.
    Number(SignalWeight),
    /// The share of the logit of each word; a word that is not listed adds nothing.
    Words(BTreeMap<String, f64>),
}

impl AttributeWeight {
    fn logit(&self, text: &str) -> f64 {
        match self {
            Self::Number(weight) => attribute_number(text).map_or(0.0, |number| weight.logit(number)),
            Self::Words(words) => words.get(text).copied().unwrap_or(0.0),
        }
    }
}

/// Beyond this a number is a slip, and its square is none any more.
const ATTRIBUTE_NUMBER_MAX: f64 = 1e100;

/// An attribute's value as a number, where it is one.
pub fn attribute_number(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|number: &f64| number.abs() <= ATTRIBUTE_NUMBER_MAX)
}

/// The learned outlook of customers under contract: `logit P = intercept + sum of signals + sum of attributes` over the
/// window that it was learned over; over another, `P(window) = P ^ (window / learned)`, a constant risk.
#[derive(Debug, Clone, PartialEq)]
pub struct StayingOutlook {
    /// The window that it was learned over, in days.
    pub learned_days: f64,
    /// The logit of a mean customer.
    pub intercept: f64,
    /// In the order of [`StayingSignal::ALL`].
    pub weights: [SignalWeight; StayingSignal::ALL.len()],
    /// By the attribute's name.
    pub attributes: BTreeMap<String, AttributeWeight>,
}

impl StayingOutlook {
    /// The probability of staying through the window.
    pub fn probability<'a>(
        &self,
        signals: &StayingSignals,
        attributes: impl IntoIterator<Item = (&'a String, &'a String)>,
        window: Duration,
    ) -> f64 {
        let own: f64 = self.weights.iter().zip(signals).map(|(weight, &signal)| weight.logit(signal)).sum();
        let told = |(name, text): (&String, &String)| self.attributes.get(name).map_or(0.0, |it| it.logit(text));
        let profile: f64 = attributes.into_iter().map(told).sum();
        let windows = window.as_secs_f64() / DAY.as_secs_f64() / self.learned_days;
        logistic(self.intercept + own + profile).powf(windows)
    }
}

/// `1 / (1 + exp(-logit))`.
pub fn logistic(logit: f64) -> f64 {
    1.0 / (1.0 + (-logit).exp())
}
