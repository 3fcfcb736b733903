//! Stored format of the learned retention outlook: one byte of format version and the `postcard` encoding of
//! `StoredOutlookV1`. The value around it has the checksum.
//!
//! `store::codec` says what a change of the shapes has to do.

use std::collections::BTreeMap;
use std::fmt::Display;

use serde::{Deserialize, Serialize};

use super::artifact::ArtifactError;
use crate::domain::outlook::{
    AttributeWeight, BuyingFeature, BuyingOutlook, FeatureWeight, MbgNbd, Monotonicity, Outlook, RecencyFrequency,
    StayingFeature, StayingOutlook,
};

/// Format version of the encoded outlook.
const FORMAT: u8 = 1;

#[derive(Serialize, Deserialize)]
struct StoredOutlookV1 {
    buying: Option<StoredBuyingOutlook>,
    staying: Option<StoredStayingOutlook>,
}

#[derive(Serialize, Deserialize)]
struct StoredBuyingOutlook {
    rhythm: StoredRhythm,
    learned_days: f64,
    intercept: f64,
    slope: f64,
    typical: StoredRecency,
    /// By the feature's name, so that a feature added later has no weight in an older model.
    weights: BTreeMap<String, StoredWeight>,
}

#[derive(Serialize, Deserialize)]
struct StoredRhythm {
    r: f64,
    alpha: f64,
    a: f64,
    b: f64,
}

#[derive(Serialize, Deserialize)]
struct StoredRecency {
    repeat_purchases: f64,
    recency_weeks: f64,
    age_weeks: f64,
}

#[derive(Serialize, Deserialize)]
struct StoredStayingOutlook {
    learned_days: f64,
    intercept: f64,
    weights: BTreeMap<String, StoredWeight>,
    attributes: BTreeMap<String, StoredAttributeWeight>,
}

#[derive(Serialize, Deserialize)]
struct StoredWeight {
    mean: f64,
    deviation: f64,
    weight: f64,
}

#[derive(Serialize, Deserialize)]
enum StoredAttributeWeight {
    Numeric(StoredWeight),
    /// Weight of each category.
    Categorical(BTreeMap<String, f64>),
}

/// Encodes an outlook.
pub fn encode(outlook: &Outlook) -> Vec<u8> {
    let Outlook { buying, staying } = outlook;
    let stored = StoredOutlookV1 {
        buying: buying.as_ref().map(StoredBuyingOutlook::from),
        staying: staying.as_ref().map(StoredStayingOutlook::from),
    };
    postcard::to_extend(&stored, vec![FORMAT]).expect("a Vec takes any number of bytes")
}

/// Decodes an outlook.
///
/// # Errors
/// When the bytes are of another format, or have numbers that no training learns.
pub fn decode(bytes: &[u8]) -> Result<Outlook, ArtifactError> {
    let (&format, encoded) = bytes.split_first().ok_or_else(|| damaged("too short"))?;
    if format != FORMAT {
        return Err(ArtifactError::OtherFormat { found: format });
    }
    let StoredOutlookV1 { buying, staying } = postcard::from_bytes(encoded).map_err(damaged)?;
    Ok(Outlook {
        buying: buying.map(StoredBuyingOutlook::outlook).transpose()?,
        staying: staying.map(StoredStayingOutlook::outlook).transpose()?,
    })
}

#[allow(clippy::needless_pass_by_value, reason = "so that it fits `map_err`")]
fn damaged(detail: impl Display) -> ArtifactError {
    ArtifactError::Damaged { detail: format!("{detail}") }
}

impl From<&BuyingOutlook> for StoredBuyingOutlook {
    fn from(outlook: &BuyingOutlook) -> Self {
        let BuyingOutlook { rhythm, learned_days, intercept, slope, typical, weights } = outlook;
        let MbgNbd { r, alpha, a, b } = *rhythm;
        let RecencyFrequency { repeat_purchases, recency_weeks, age_weeks } = *typical;
        let named = BuyingFeature::ALL.iter().zip(weights);
        Self {
            rhythm: StoredRhythm { r, alpha, a, b },
            learned_days: *learned_days,
            intercept: *intercept,
            slope: *slope,
            typical: StoredRecency { repeat_purchases, recency_weeks, age_weeks },
            weights: named.map(|(signal, weight)| (signal.as_str().to_owned(), weight.into())).collect(),
        }
    }
}

impl StoredBuyingOutlook {
    fn outlook(self) -> Result<BuyingOutlook, ArtifactError> {
        let Self { rhythm, learned_days, intercept, slope, typical, weights } = self;
        let StoredRhythm { r, alpha, a, b } = rhythm;
        let StoredRecency { repeat_purchases, recency_weeks, age_weeks } = typical;
        let is_recency =
            repeat_purchases >= 0.0 && recency_weeks >= 0.0 && age_weeks >= recency_weeks && age_weeks.is_finite();
        let positive = [r, alpha, a, b, learned_days].iter().all(|it| it.is_finite() && *it > 0.0);
        if !positive
            || !is_recency
            || !repeat_purchases.is_finite()
            || !intercept.is_finite()
            || !(0.0..=1.0).contains(&slope)
        {
            return Err(damaged("a number of the buying outlook is out of range"));
        }
        let mut read = BuyingFeature::ALL
            .into_iter()
            .map(|signal| directed_weight(&weights, signal.as_str(), signal.monotonicity()));
        let mut ordered = [NO_WEIGHT; BuyingFeature::ALL.len()];
        for (slot, weight) in ordered.iter_mut().zip(&mut read) {
            *slot = weight?;
        }
        let (rhythm, typical) =
            (MbgNbd { r, alpha, a, b }, RecencyFrequency { repeat_purchases, recency_weeks, age_weeks });
        Ok(BuyingOutlook { rhythm, learned_days, intercept, slope, typical, weights: ordered })
    }
}

impl From<&StayingOutlook> for StoredStayingOutlook {
    fn from(outlook: &StayingOutlook) -> Self {
        let StayingOutlook { learned_days, intercept, weights, attributes } = outlook;
        let named = StayingFeature::ALL.iter().zip(weights);
        Self {
            learned_days: *learned_days,
            intercept: *intercept,
            weights: named.map(|(signal, weight)| (signal.as_str().to_owned(), weight.into())).collect(),
            attributes: attributes.iter().map(|(name, weight)| (name.clone(), weight.into())).collect(),
        }
    }
}

impl StoredStayingOutlook {
    fn outlook(self) -> Result<StayingOutlook, ArtifactError> {
        let Self { learned_days, intercept, weights, attributes } = self;
        if !(learned_days.is_finite() && learned_days > 0.0 && intercept.is_finite()) {
            return Err(damaged("a number of the staying outlook is out of range"));
        }
        let mut read = StayingFeature::ALL
            .into_iter()
            .map(|signal| directed_weight(&weights, signal.as_str(), signal.monotonicity()));
        let mut ordered = [NO_WEIGHT; StayingFeature::ALL.len()];
        for (slot, weight) in ordered.iter_mut().zip(&mut read) {
            *slot = weight?;
        }
        let attributes = attributes.into_iter().map(|(name, stored)| Ok((name, stored.attribute_weight()?)));
        let attributes = attributes.collect::<Result<_, _>>()?;
        Ok(StayingOutlook { learned_days, intercept, weights: ordered, attributes })
    }
}

const NO_WEIGHT: FeatureWeight = FeatureWeight { mean: 0.0, deviation: 1.0, weight: 0.0 };

impl From<&FeatureWeight> for StoredWeight {
    fn from(weight: &FeatureWeight) -> Self {
        let FeatureWeight { mean, deviation, weight } = *weight;
        Self { mean, deviation, weight }
    }
}

impl StoredWeight {
    fn weight(&self) -> Result<FeatureWeight, ArtifactError> {
        let Self { mean, deviation, weight } = *self;
        let is_learned = mean.is_finite() && deviation.is_finite() && deviation > 0.0 && weight.is_finite();
        if is_learned {
            Ok(FeatureWeight { mean, deviation, weight })
        } else {
            Err(damaged("a weight or its scale is out of range"))
        }
    }
}

/// Converts the weight of one feature, which must have the sign that its monotonicity constraint allows; a feature unknown to the model has none.
fn directed_weight(
    weights: &BTreeMap<String, StoredWeight>,
    name: &str,
    monotonicity: Monotonicity,
) -> Result<FeatureWeight, ArtifactError> {
    let weight = weights.get(name).map_or(Ok(NO_WEIGHT), StoredWeight::weight)?;
    let is_directed = match monotonicity {
        Monotonicity::Increasing => weight.weight >= 0.0,
        Monotonicity::Decreasing => weight.weight <= 0.0,
    };
    if is_directed { Ok(weight) } else { Err(damaged(format!("the weight of {name} has the wrong sign"))) }
}

impl From<&AttributeWeight> for StoredAttributeWeight {
    fn from(weight: &AttributeWeight) -> Self {
        match weight {
            AttributeWeight::Number(weight) => Self::Numeric(weight.into()),
            AttributeWeight::Categories(words) => Self::Categorical(words.clone()),
        }
    }
}

impl StoredAttributeWeight {
    fn attribute_weight(self) -> Result<AttributeWeight, ArtifactError> {
        match self {
            Self::Numeric(weight) => Ok(AttributeWeight::Number(weight.weight()?)),
            Self::Categorical(weights) => {
                let is_finite = weights.values().all(|weight| weight.is_finite());
                if is_finite {
                    Ok(AttributeWeight::Categories(weights))
                } else {
                    Err(damaged("the weight of a category is not finite"))
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outlook() -> Outlook {
        let weight = |weight| FeatureWeight { mean: 0.5, deviation: 2.0, weight };
        let buying = BuyingOutlook {
            rhythm: MbgNbd { r: 0.5, alpha: 4.0, a: 0.7, b: 2.5 },
            learned_days: 91.0,
            intercept: -0.25,
            slope: 0.75,
            typical: RecencyFrequency { repeat_purchases: 3.0, recency_weeks: 20.5, age_weeks: 30.0 },
            weights: BuyingFeature::ALL.map(|signal| match signal.monotonicity() {
                Monotonicity::Increasing => weight(0.125),
                Monotonicity::Decreasing => weight(-0.125),
            }),
        };
        let words = BTreeMap::from([("two years".to_owned(), 0.5), ("none".to_owned(), -0.5)]);
        let attributes = BTreeMap::from([
            ("contract".to_owned(), AttributeWeight::Categories(words)),
            ("age".to_owned(), AttributeWeight::Number(weight(-0.25))),
        ]);
        let staying = StayingOutlook { learned_days: 91.0, intercept: 1.5, weights: [weight(0.5); 3], attributes };
        Outlook { buying: Some(buying), staying: Some(staying) }
    }

    /// Decodes and encodes the golden file. To make it anew, delete it and run this test with
    /// `TACTFUL_WRITE_GOLDEN_FILES=1`.
    #[test]
    fn outlook_v1_round_trips() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stored_formats/outlook-v1.bin");
        if std::env::var_os("TACTFUL_WRITE_GOLDEN_FILES").is_some() && !std::path::Path::new(path).exists() {
            std::fs::write(path, encode(&outlook())).expect("the file can be written");
        }
        let golden = std::fs::read(path).expect("the golden file is there");
        assert_eq!(decode(&golden), Ok(outlook()));
        assert_eq!(encode(&outlook()), golden);
        assert_eq!(decode(&encode(&Outlook::default())), Ok(Outlook::default()));
    }

    /// Broken by: accepting a weight whatever its sign.
    #[test]
    fn weight_of_the_wrong_sign_is_an_error() {
        let mut reversed = outlook();
        reversed.buying.as_mut().expect("there").weights[0].weight = 0.5;
        assert!(matches!(decode(&encode(&reversed)), Err(ArtifactError::Damaged { .. })));
        reversed = outlook();
        reversed.staying.as_mut().expect("there").weights[0].weight = f64::NAN;
        assert!(matches!(decode(&encode(&reversed)), Err(ArtifactError::Damaged { .. })));
        for broken in [&[][..], &[2], &encode(&outlook())[..40]] {
            assert!(decode(broken).is_err());
        }
    }
}
