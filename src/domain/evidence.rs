//! Evidence for a candidate: codes with exact figures, which can be recomputed from history and catalogue.
//!
//! Evidence is stored with the offer and put into words by `wording` when it is read.

use super::ids::ProductId;

/// One piece of evidence for a candidate, which becomes a reason for its offer.
#[derive(Debug, Clone, PartialEq)]
pub enum Evidence {
    /// It is better than the product that it replaces in some features: the gains of the upgrade or offer.
    BetterFeatures,
    /// Customers or baskets with `with` that also have the candidate.
    BoughtTogether {
        /// The product of the customer or basket.
        with: ProductId,
        /// Number with both.
        together: u32,
        /// Number with `with`.
        with_total: u32,
        /// Unit of the counts.
        counted: CountBasis,
    },
    /// Number of recent buyers.
    Popular {
        /// Distinct buyers; baskets, for purchases without a customer.
        buyers: u32,
        /// Within this many days before the model was trained.
        days: u32,
    },
    /// The product is new: no customer has bought it yet, but another product of its category sells well.
    NewInCategory {
        /// Best seller of the category.
        like: ProductId,
        /// Distinct buyers of the best seller, at least one.
        buyers: u32,
        /// Within this many days before the model was trained.
        days: u32,
    },
    /// The catalogue says that it requires or is compatible with a product of the customer.
    Compatible {
        /// The product of the customer.
        with: ProductId,
    },
    /// A higher tier on the same ladder.
    HigherTier {
        /// Tier owned.
        from: u32,
        /// Tier of the candidate.
        to: u32,
    },
    /// Customers who had the owned product and then bought the candidate.
    MovedUp {
        /// Number of such customers.
        customers: u32,
    },
    /// Offers of it were accepted more often than those of other products of equal propensity.
    Accepted {
        /// Accepted offers.
        accepted: u32,
        /// Offers with an outcome, or without one for a week.
        offered: u32,
        /// Within this many days.
        days: u32,
    },
    /// It is part of the range: nothing more is known.
    InRange {
        /// Its category, broadest level first; may be empty.
        category: Vec<String>,
    },
    /// The customer uses most of the allowance of the owned product.
    UsageNearAllowance {
        /// Share used; 1 is all of it.
        share: f64,
    },
}

impl Evidence {
    /// Stable code in responses.
    pub fn code(&self) -> &'static str {
        match self {
            Self::BetterFeatures => "BETTER_FEATURES",
            Self::BoughtTogether { .. } => "BOUGHT_TOGETHER",
            Self::Popular { .. } => "POPULAR",
            Self::NewInCategory { .. } => "NEW_IN_CATEGORY",
            Self::Compatible { .. } => "COMPATIBLE",
            Self::HigherTier { .. } => "HIGHER_TIER",
            Self::MovedUp { .. } => "MOVED_UP",
            Self::Accepted { .. } => "WELL_RECEIVED",
            Self::InRange { .. } => "IN_RANGE",
            Self::UsageNearAllowance { .. } => "USAGE_NEAR_ALLOWANCE",
        }
    }

    /// Another product that it names.
    pub fn other_product(&self) -> Option<&ProductId> {
        match self {
            Self::BoughtTogether { with, .. } | Self::Compatible { with } => Some(with),
            Self::NewInCategory { like, .. } => Some(like),
            Self::BetterFeatures
            | Self::Popular { .. }
            | Self::HigherTier { .. }
            | Self::MovedUp { .. }
            | Self::Accepted { .. }
            | Self::InRange { .. }
            | Self::UsageNearAllowance { .. } => None,
        }
    }
}

/// Unit of the counts of [`Evidence::BoughtTogether`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CountBasis {
    /// Customers over their whole history.
    Customers,
    /// Single baskets.
    Baskets,
}
