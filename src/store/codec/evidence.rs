//! Evidence inside a stored offer.

use serde::{Deserialize, Serialize};

use super::frame::CodecError;
use super::scalar::{FiniteF64, stored_enum};
use crate::domain::evidence::{CountBasis, Evidence};
use crate::domain::ids::ProductId;

#[derive(Serialize, Deserialize)]
pub(super) enum StoredEvidence {
    BetterFeatures,
    BoughtTogether { with: String, together: u32, with_total: u32, counted: StoredCountBasis },
    Popular { buyers: u32, days: u32 },
    NewInCategory { like: String, buyers: u32, days: u32 },
    Compatible { with: String },
    HigherTier { from: u32, to: u32 },
    MovedUp { customers: u32 },
    Accepted { accepted: u32, offered: u32, days: u32 },
    InRange { category: Vec<String> },
    UsageNearAllowance { share: FiniteF64 },
}

stored_enum! {
    /// Stored [`CountBasis`].
    StoredCountBasis of CountBasis { Customers, Baskets }
}

impl From<&Evidence> for StoredEvidence {
    fn from(evidence: &Evidence) -> Self {
        match evidence {
            Evidence::BetterFeatures => Self::BetterFeatures,
            Evidence::BoughtTogether { with, together, with_total, counted } => Self::BoughtTogether {
                with: with.to_string(),
                together: *together,
                with_total: *with_total,
                counted: (*counted).into(),
            },
            Evidence::Popular { buyers, days } => Self::Popular { buyers: *buyers, days: *days },
            Evidence::NewInCategory { like, buyers, days } => {
                Self::NewInCategory { like: like.to_string(), buyers: *buyers, days: *days }
            }
            Evidence::Compatible { with } => Self::Compatible { with: with.to_string() },
            Evidence::HigherTier { from, to } => Self::HigherTier { from: *from, to: *to },
            Evidence::MovedUp { customers } => Self::MovedUp { customers: *customers },
            Evidence::Accepted { accepted, offered, days } => {
                Self::Accepted { accepted: *accepted, offered: *offered, days: *days }
            }
            Evidence::InRange { category } => Self::InRange { category: category.clone() },
            Evidence::UsageNearAllowance { share } => Self::UsageNearAllowance { share: FiniteF64(*share) },
        }
    }
}

impl StoredEvidence {
    pub fn evidence(self) -> Result<Evidence, CodecError> {
        Ok(match self {
            Self::BetterFeatures => Evidence::BetterFeatures,
            Self::BoughtTogether { with, together, with_total, counted } => {
                Evidence::BoughtTogether { with: ProductId::new(with)?, together, with_total, counted: counted.into() }
            }
            Self::Popular { buyers, days } => Evidence::Popular { buyers, days },
            Self::NewInCategory { like, buyers, days } => {
                Evidence::NewInCategory { like: ProductId::new(like)?, buyers, days }
            }
            Self::Compatible { with } => Evidence::Compatible { with: ProductId::new(with)? },
            Self::HigherTier { from, to } => Evidence::HigherTier { from, to },
            Self::MovedUp { customers } => Evidence::MovedUp { customers },
            Self::Accepted { accepted, offered, days } => Evidence::Accepted { accepted, offered, days },
            Self::InRange { category } => Evidence::InRange { category },
            Self::UsageNearAllowance { share } => Evidence::UsageNearAllowance { share: share.0 },
        })
    }
}
