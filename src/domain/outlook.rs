//! The learned retention outlook: the probability that a customer buys again within a window, or stays.
//!
//! There are two estimates for two kinds of relationship. A shop observes purchases but never the end of a relationship:
//! [`BuyingOutlook`]. A contract ends on a known day: [`StayingOutlook`]. Both are logistic regressions with **monotone
//! features**: training may set a weight to zero, never reverse its sign, so that a purchase dated now never lowers the
//! outlook and a return never raises it. These are the learned parameters; `model::outlook` learns them.

#![allow(clippy::cast_precision_loss, reason = "counts of days and subscriptions are far below 2^52")]

use std::collections::BTreeMap;
use std::time::Duration;

use super::decayed_sum::HalfLife;
use super::relationship::RelationshipState;
use super::time::{DAY, Timestamp};

/// The learned retention outlook; empty by default.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Outlook {
    /// Outlook of customers who buy.
    pub buying: Option<BuyingOutlook>,
    /// Outlook of customers under contract.
    pub staying: Option<StayingOutlook>,
}

/// Purchase rate model of a population: MBG/NBD (Batislam, Denizel and Filiztekin, "Empirical validation and
/// comparison of models for customer base analysis", International Journal of Research in Marketing 24, 2007).
///
/// Customers buy at a rate of their own, Gamma(`r`, `alpha`) a week, and after each purchase, the first included, leave
/// for good with a probability of their own, Beta(`a`, `b`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MbgNbd {
    /// Shape of the purchase rates; above 0.
    pub r: f64,
    /// Inverse scale of the purchase rates, in weeks; above 0.
    pub alpha: f64,
    /// First parameter of the dropout probabilities; above 0.
    pub a: f64,
    /// Second parameter of the dropout probabilities; above 0.
    pub b: f64,
}

/// Recency and frequency of a customer's purchases, the inputs of [`MbgNbd`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RecencyFrequency {
    /// Number of purchase days after the first.
    pub repeat_purchases: f64,
    /// Time from the first purchase day to the last, in weeks.
    pub recency_weeks: f64,
    /// Time from the first purchase day to now, in weeks.
    pub age_weeks: f64,
}

impl RecencyFrequency {
    /// Recency and frequency at `now`; `None` without a purchase.
    pub fn of(state: &RelationshipState, now: Timestamp) -> Option<Self> {
        let (first, last) = (state.purchase_days.first()?.start(), state.purchase_days.last()?.start());
        Some(Self {
            repeat_purchases: (state.purchase_days.len() - 1) as f64,
            recency_weeks: last.days_since(first) / 7.0,
            age_weeks: now.days_since(first).max(last.days_since(first)) / 7.0,
        })
    }
}

impl MbgNbd {
    /// Probability that the customer is still active.
    pub fn probability_active(&self, recency: RecencyFrequency) -> f64 {
        let RecencyFrequency { repeat_purchases, recency_weeks, age_weeks } = recency;
        let silence = ((self.alpha + age_weeks) / (self.alpha + recency_weeks)).ln() * (self.r + repeat_purchases);
        1.0 / (1.0 + self.a / (self.b + repeat_purchases) * silence.exp())
    }

    /// Expected purchase days per week, if the customer is active.
    pub fn purchase_rate(&self, recency: RecencyFrequency) -> f64 {
        (self.r + recency.repeat_purchases) / (self.alpha + recency.age_weeks)
    }

    /// Probability of a purchase within the next `weeks`.
    pub fn purchase_probability(&self, recency: RecencyFrequency, weeks: f64) -> f64 {
        let age = self.alpha + recency.age_weeks;
        self.probability_active(recency) * -((age / (age + weeks)).ln() * (self.r + recency.repeat_purchases)).exp_m1()
    }
}

/// Monotonicity constraint on a feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Monotonicity {
    /// A higher value never lowers the outlook.
    Increasing,
    /// A higher value never raises the outlook.
    Decreasing,
}

/// Feature of a buyer's outlook, beside the purchase rate model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BuyingFeature {
    /// `ln(1 + days since the last purchase)`.
    Recency,
    /// `ln(purchase days)`.
    PurchaseDays,
    /// `ln(1 + days since the first purchase)`: the same purchases over a longer time are fewer.
    Tenure,
    /// `ln(1 + decayed purchase days)`, half-life 30 days.
    PurchaseDays30,
    /// The same, 90 days.
    PurchaseDays90,
    /// The same, 365 days.
    PurchaseDays365,
    /// `ln(1 + decayed money spent)`, half-life 365 days, in units of the currency.
    Spent,
    /// `ln(1 + decayed returns)`, half-life 365 days.
    Returned,
    /// `ln(1 + purchase days in the coming quarter a year ago)`: a customer who buys every Christmas is not lost in summer.
    LastYear,
    /// [`MbgNbd::probability_active`].
    Alive,
    /// `ln` of [`MbgNbd::purchase_rate`].
    Rate,
}

impl BuyingFeature {
    /// All features.
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

    /// The feature's monotonicity constraint.
    pub fn monotonicity(self) -> Monotonicity {
        match self {
            Self::Recency | Self::Tenure | Self::Returned => Monotonicity::Decreasing,
            Self::PurchaseDays
            | Self::PurchaseDays30
            | Self::PurchaseDays90
            | Self::PurchaseDays365
            | Self::Spent
            | Self::LastYear
            | Self::Alive
            | Self::Rate => Monotonicity::Increasing,
        }
    }

    /// Name in reports.
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

/// Features of a buyer at a moment, in the order of [`BuyingFeature::ALL`].
pub type BuyingFeatures = [f64; BuyingFeature::ALL.len()];

/// Length of the season of [`BuyingFeature::LastYear`].
const SEASON_DAYS: f64 = 91.0;
const YEAR_DAYS: f64 = 365.0;

/// Extracts the features of a buyer; `None` without a purchase.
pub fn buying_features(state: &RelationshipState, rhythm: &MbgNbd, now: Timestamp) -> Option<BuyingFeatures> {
    let recency = RecencyFrequency::of(state, now)?;
    let ages: Vec<f64> = state.purchase_days.iter().map(|day| now.days_since(day.start())).collect();
    let decayed = |days: f64| ages.iter().map(|age| (-age / days).exp2()).sum::<f64>().ln_1p();
    let year = HalfLife::of_days(YEAR_DAYS).expect("a supported half-life");
    let in_season = ages.iter().filter(|&&age| age <= YEAR_DAYS && age > YEAR_DAYS - SEASON_DAYS).count();
    let value = |feature: BuyingFeature| match feature {
        BuyingFeature::Recency => ages.last().copied().unwrap_or_default().ln_1p(),
        BuyingFeature::PurchaseDays => (ages.len() as f64).ln(),
        BuyingFeature::Tenure => state.first_purchase_day.map_or(0.0, |day| now.days_since(day.start())).ln_1p(),
        BuyingFeature::PurchaseDays30 => decayed(30.0),
        BuyingFeature::PurchaseDays90 => decayed(90.0),
        BuyingFeature::PurchaseDays365 => decayed(365.0),
        BuyingFeature::Spent => state.spent.at(now, year).max(0.0).ln_1p(),
        BuyingFeature::Returned => state.returned.at(now, year).max(0.0).ln_1p(),
        BuyingFeature::LastYear => (in_season as f64).ln_1p(),
        BuyingFeature::Alive => rhythm.probability_active(recency),
        BuyingFeature::Rate => rhythm.purchase_rate(recency).ln(),
    };
    Some(BuyingFeature::ALL.map(value))
}

/// Weight of one standardised feature, which adds `weight x (feature - mean) / deviation` to the logit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FeatureWeight {
    /// Mean of the feature in the training data.
    pub mean: f64,
    /// Standard deviation of the feature in the training data; above 0.
    pub deviation: f64,
    /// Zero, or of the sign that the monotonicity constraint allows.
    pub weight: f64,
}

impl FeatureWeight {
    /// Contribution to the logit.
    pub fn logit(&self, feature: f64) -> f64 {
        self.weight * (feature - self.mean) / self.deviation
    }
}

/// The learned outlook of customers who buy.
///
/// `logit P(window) = intercept + slope x logit R(window) + sum of features + (1 - slope) x step`, where `R(t)` is the
/// probability of a purchase within `t` under the purchase rate model. The logistic part was learned for one window; the
/// purchase rate model extrapolates it to another, so that the logit of a typical customer grows by the whole
/// `step = logit R(window) - logit R(learned)`. Using each customer's own step instead would let a purchase lower the outlook
/// where the slope is below 1.
#[derive(Debug, Clone, PartialEq)]
pub struct BuyingOutlook {
    /// Purchase rate model of all customers.
    pub rhythm: MbgNbd,
    /// Window for which the logistic part was learned, in days.
    pub learned_days: f64,
    /// Logit of a customer with mean features.
    pub intercept: f64,
    /// Weight of the purchase rate model, 0 to 1: above 1 a longer window could lower the probability.
    pub slope: f64,
    /// Customer whose step from one window to another is typical.
    pub typical: RecencyFrequency,
    /// In the order of [`BuyingFeature::ALL`].
    pub weights: [FeatureWeight; BuyingFeature::ALL.len()],
}

impl BuyingOutlook {
    /// Probability of a purchase within the window after `now`; `None` for a customer who has never bought.
    pub fn probability(&self, state: &RelationshipState, now: Timestamp, window: Duration) -> Option<f64> {
        let recency = RecencyFrequency::of(state, now)?;
        let features = buying_features(state, &self.rhythm, now)?;
        let days = window.as_secs_f64() / DAY.as_secs_f64();
        let weighted: f64 = self.weights.iter().zip(features).map(|(weight, feature)| weight.logit(feature)).sum();
        let step = step(&self.rhythm, self.typical, self.learned_days, days);
        let by_rhythm = self.slope * rhythm_logit(&self.rhythm, recency, days) + (1.0 - self.slope) * step;
        Some(logistic(self.intercept + by_rhythm + weighted))
    }
}

/// Growth of the purchase rate model's logit from one window to another, in days.
pub fn step(rhythm: &MbgNbd, recency: RecencyFrequency, from_days: f64, to_days: f64) -> f64 {
    if from_days.total_cmp(&to_days).is_eq() {
        return 0.0;
    }
    rhythm_logit(rhythm, recency, to_days) - rhythm_logit(rhythm, recency, from_days)
}

/// Logit of the purchase rate model's probability of a purchase within some days, clamped to odds of a thousand to one.
pub fn rhythm_logit(rhythm: &MbgNbd, recency: RecencyFrequency, days: f64) -> f64 {
    const PROBABILITY_MIN: f64 = 1e-3;
    let probability = rhythm.purchase_probability(recency, days / 7.0).clamp(PROBABILITY_MIN, 1.0 - PROBABILITY_MIN);
    (probability / (1.0 - probability)).ln()
}

/// Feature of a subscriber's outlook, beside the profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StayingFeature {
    /// `ln(1 + days)` of the subscription that has run longest.
    Tenure,
    /// `ln(running subscriptions)`.
    Subscriptions,
    /// `ln` of recent use over usual use: `(e30 / 30 + p) / (e180 / 180 + p)`, with engagement decayed with a half-life of 30
    /// and 180 days, and `p = 1 / 180`; 0 is as usual.
    UsageTrend,
}

impl StayingFeature {
    /// All features.
    pub const ALL: [Self; 3] = [Self::Tenure, Self::Subscriptions, Self::UsageTrend];

    /// The feature's monotonicity constraint.
    pub fn monotonicity(self) -> Monotonicity {
        match self {
            Self::Tenure | Self::Subscriptions | Self::UsageTrend => Monotonicity::Increasing,
        }
    }

    /// Name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tenure => "tenure",
            Self::Subscriptions => "subscriptions",
            Self::UsageTrend => "usage_trend",
        }
    }
}

/// Features of a subscriber at a moment, in the order of [`StayingFeature::ALL`].
pub type StayingFeatures = [f64; StayingFeature::ALL.len()];

/// Extracts the features of a subscriber.
pub fn staying_features(
    state: &RelationshipState,
    running: usize,
    tenure: Duration,
    now: Timestamp,
) -> StayingFeatures {
    let engagement = |days: f64| {
        let half_life = HalfLife::of_days(days).expect("supported half-lives");
        state.engagement.at(now, half_life) / days + 1.0 / 180.0
    };
    let value = |feature: StayingFeature| match feature {
        StayingFeature::Tenure => (tenure.as_secs_f64() / DAY.as_secs_f64()).ln_1p(),
        StayingFeature::Subscriptions => (running.max(1) as f64).ln(),
        StayingFeature::UsageTrend => (engagement(30.0) / engagement(180.0)).ln(),
    };
    StayingFeature::ALL.map(value)
}

/// Weight of a profile attribute. It has no monotonicity constraint: a profile is not an event.
#[derive(Debug, Clone, PartialEq)]
pub enum AttributeWeight {
    /// A numeric attribute.
    Number(FeatureWeight),
    /// A categorical attribute: the contribution of each value to the logit. A value that is not listed adds nothing.
    Categories(BTreeMap<String, f64>),
}

impl AttributeWeight {
    fn logit(&self, text: &str) -> f64 {
        match self {
            Self::Number(weight) => attribute_number(text).map_or(0.0, |number| weight.logit(number)),
            Self::Categories(categories) => categories.get(text).copied().unwrap_or(0.0),
        }
    }
}

/// Maximum absolute value of a numeric attribute: a larger one is a mistake, and its square overflows.
const ATTRIBUTE_NUMBER_MAX: f64 = 1e100;

/// Parses an attribute's value as a number; `None` where it is not one.
pub fn attribute_number(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|number: &f64| number.abs() <= ATTRIBUTE_NUMBER_MAX)
}

/// The learned outlook of customers under contract: `logit P = intercept + sum of features + sum of attributes` for the
/// window for which it was learned; for another, `P(window) = P ^ (window / learned)`, a constant hazard.
#[derive(Debug, Clone, PartialEq)]
pub struct StayingOutlook {
    /// Window for which it was learned, in days.
    pub learned_days: f64,
    /// Logit of a customer with mean features.
    pub intercept: f64,
    /// In the order of [`StayingFeature::ALL`].
    pub weights: [FeatureWeight; StayingFeature::ALL.len()],
    /// Weights of profile attributes, by name.
    pub attributes: BTreeMap<String, AttributeWeight>,
}

impl StayingOutlook {
    /// Probability of staying through the window.
    pub fn probability<'a>(
        &self,
        features: &StayingFeatures,
        attributes: impl IntoIterator<Item = (&'a String, &'a String)>,
        window: Duration,
    ) -> f64 {
        let weighted: f64 = self.weights.iter().zip(features).map(|(weight, &feature)| weight.logit(feature)).sum();
        let attribute =
            |(name, text): (&String, &String)| self.attributes.get(name).map_or(0.0, |weight| weight.logit(text));
        let profile: f64 = attributes.into_iter().map(attribute).sum();
        let windows = window.as_secs_f64() / DAY.as_secs_f64() / self.learned_days;
        logistic(self.intercept + weighted + profile).powf(windows)
    }
}

/// The logistic function, `1 / (1 + exp(-logit))`.
pub fn logistic(logit: f64) -> f64 {
    1.0 / (1.0 + (-logit).exp())
}
