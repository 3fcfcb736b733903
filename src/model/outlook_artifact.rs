//! The learned outlook as bytes. Layout: one byte of version, the `postcard` encoding of the shapes below. The checksum
//! is that of the artifact it is stored in.

use std::collections::BTreeMap;
use std::fmt::Display;

use serde::{Deserialize, Serialize};

use super::artifact::ArtifactError;
use crate::domain::outlook::{
    AttributeWeight, BuyingOutlook, BuyingSignal, Direction, Outlook, Recency, Rhythm, SignalWeight, StayingOutlook,
    StayingSignal,
};

/// The format written, and the only one read so far.
const FORMAT: u8 = 1;

#[derive(Serialize, Deserialize)]
struct OutlookShape {
    buying: Option<BuyingShape>,
    staying: Option<StayingShape>,
}

#[derive(Serialize, Deserialize)]
struct BuyingShape {
    /// r, alpha, a, b.
    rhythm: [f64; 4],
    learned_days: f64,
    intercept: f64,
    slope: f64,
    /// Repeats, last week, age in weeks.
    typical: [f64; 3],
    /// By the signal's name, so that a signal added later is nothing to an older model.
    weights: Vec<(String, WeightShape)>,
}

#[derive(Serialize, Deserialize)]
struct StayingShape {
    learned_days: f64,
    intercept: f64,
    weights: Vec<(String, WeightShape)>,
    attributes: Vec<(String, AttributeShape)>,
}

/// Mean, deviation, weight.
#[derive(Serialize, Deserialize)]
struct WeightShape(f64, f64, f64);

#[derive(Serialize, Deserialize)]
enum AttributeShape {
    Number(WeightShape),
    Words(Vec<(String, f64)>),
}

/// The outlook as bytes.
pub fn encode(outlook: &Outlook) -> Vec<u8> {
    let Outlook { buying, staying } = outlook;
    let shape =
        OutlookShape { buying: buying.as_ref().map(buying_shape), staying: staying.as_ref().map(staying_shape) };
    postcard::to_extend(&shape, vec![FORMAT]).expect("a Vec takes any number of bytes")
}

/// The outlook of these bytes.
///
/// # Errors
/// When the bytes are of another format, or tell numbers that no training learns.
pub fn decode(bytes: &[u8]) -> Result<Outlook, ArtifactError> {
    let (&format, encoded) = bytes.split_first().ok_or_else(|| damaged("too short"))?;
    if format != FORMAT {
        return Err(ArtifactError::OtherFormat { found: format });
    }
    let OutlookShape { buying, staying } = postcard::from_bytes(encoded).map_err(damaged)?;
    Ok(Outlook { buying: buying.map(buying_outlook).transpose()?, staying: staying.map(staying_outlook).transpose()? })
}

#[allow(clippy::needless_pass_by_value, reason = "so that it fits `map_err`")]
fn damaged(detail: impl Display) -> ArtifactError {
    ArtifactError::Damaged { detail: format!("{detail}") }
}

fn weight_shape(weight: &SignalWeight) -> WeightShape {
    let SignalWeight { mean, deviation, weight } = *weight;
    WeightShape(mean, deviation, weight)
}

fn buying_shape(outlook: &BuyingOutlook) -> BuyingShape {
    let BuyingOutlook { rhythm: Rhythm { r, alpha, a, b }, learned_days, intercept, slope, typical, weights } = outlook;
    let Recency { repeats, last_week, age_weeks } = *typical;
    let named = BuyingSignal::ALL.iter().zip(weights);
    BuyingShape {
        rhythm: [*r, *alpha, *a, *b],
        learned_days: *learned_days,
        intercept: *intercept,
        slope: *slope,
        typical: [repeats, last_week, age_weeks],
        weights: named.map(|(signal, weight)| (signal.as_str().to_owned(), weight_shape(weight))).collect(),
    }
}

fn staying_shape(outlook: &StayingOutlook) -> StayingShape {
    let StayingOutlook { learned_days, intercept, weights, attributes } = outlook;
    let named = StayingSignal::ALL.iter().zip(weights);
    let attribute = |weight: &AttributeWeight| match weight {
        AttributeWeight::Number(weight) => AttributeShape::Number(weight_shape(weight)),
        AttributeWeight::Words(words) => {
            AttributeShape::Words(words.iter().map(|(word, share)| (word.clone(), *share)).collect())
        }
    };
    StayingShape {
        learned_days: *learned_days,
        intercept: *intercept,
        weights: named.map(|(signal, weight)| (signal.as_str().to_owned(), weight_shape(weight))).collect(),
        attributes: attributes.iter().map(|(name, weight)| (name.clone(), attribute(weight))).collect(),
    }
}

fn buying_outlook(shape: BuyingShape) -> Result<BuyingOutlook, ArtifactError> {
    let BuyingShape { rhythm: [r, alpha, a, b], learned_days, intercept, slope, typical, weights } = shape;
    let [repeats, last_week, age_weeks] = typical;
    let is_recency = repeats >= 0.0 && last_week >= 0.0 && age_weeks >= last_week && age_weeks.is_finite();
    let positive = [r, alpha, a, b, learned_days].iter().all(|it| it.is_finite() && *it > 0.0);
    if !positive || !is_recency || !repeats.is_finite() || !intercept.is_finite() || !(0.0..=1.0).contains(&slope) {
        return Err(damaged("an outlook of buyers that was never learned"));
    }
    let weights = read_weights(weights)?;
    let weight = |signal: BuyingSignal| directed(&weights, signal.as_str(), signal.direction());
    let mut read = BuyingSignal::ALL.into_iter().map(weight);
    let mut ordered = [NOTHING; BuyingSignal::ALL.len()];
    for (slot, weight) in ordered.iter_mut().zip(&mut read) {
        *slot = weight?;
    }
    let (rhythm, typical) = (Rhythm { r, alpha, a, b }, Recency { repeats, last_week, age_weeks });
    Ok(BuyingOutlook { rhythm, learned_days, intercept, slope, typical, weights: ordered })
}

fn staying_outlook(shape: StayingShape) -> Result<StayingOutlook, ArtifactError> {
    let StayingShape { learned_days, intercept, weights, attributes } = shape;
    if !(learned_days.is_finite() && learned_days > 0.0 && intercept.is_finite()) {
        return Err(damaged("an outlook of subscribers that was never learned"));
    }
    let weights = read_weights(weights)?;
    let weight = |signal: StayingSignal| directed(&weights, signal.as_str(), signal.direction());
    let mut read = StayingSignal::ALL.into_iter().map(weight);
    let mut ordered = [NOTHING; StayingSignal::ALL.len()];
    for (slot, weight) in ordered.iter_mut().zip(&mut read) {
        *slot = weight?;
    }
    let attributes = attributes.into_iter().map(|(name, shape)| Ok((name, attribute_weight(shape)?)));
    Ok(StayingOutlook { learned_days, intercept, weights: ordered, attributes: attributes.collect::<Result<_, _>>()? })
}

const NOTHING: SignalWeight = SignalWeight { mean: 0.0, deviation: 1.0, weight: 0.0 };

fn read_weights(weights: Vec<(String, WeightShape)>) -> Result<BTreeMap<String, SignalWeight>, ArtifactError> {
    weights.into_iter().map(|(name, shape)| Ok((name, read_weight(shape)?))).collect()
}

fn read_weight(WeightShape(mean, deviation, weight): WeightShape) -> Result<SignalWeight, ArtifactError> {
    let is_learned = mean.is_finite() && deviation.is_finite() && deviation > 0.0 && weight.is_finite();
    if is_learned { Ok(SignalWeight { mean, deviation, weight }) } else { Err(damaged("a weight without a scale")) }
}

/// The weight of a signal, which must not have turned round; nothing for one that the model does not know.
fn directed(
    weights: &BTreeMap<String, SignalWeight>,
    name: &str,
    direction: Direction,
) -> Result<SignalWeight, ArtifactError> {
    let weight = weights.get(name).copied().unwrap_or(NOTHING);
    let is_directed = match direction {
        Direction::Good => weight.weight >= 0.0,
        Direction::Bad => weight.weight <= 0.0,
    };
    if is_directed { Ok(weight) } else { Err(damaged(format!("the signal {name} has turned round"))) }
}

fn attribute_weight(shape: AttributeShape) -> Result<AttributeWeight, ArtifactError> {
    match shape {
        AttributeShape::Number(shape) => Ok(AttributeWeight::Number(read_weight(shape)?)),
        AttributeShape::Words(words) => {
            let is_finite = words.iter().all(|(_, share)| share.is_finite());
            let words = AttributeWeight::Words(words.into_iter().collect());
            if is_finite { Ok(words) } else { Err(damaged("a word without a share")) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outlook() -> Outlook {
        let weight = |weight| SignalWeight { mean: 0.5, deviation: 2.0, weight };
        let buying = BuyingOutlook {
            rhythm: Rhythm { r: 0.5, alpha: 4.0, a: 0.7, b: 2.5 },
            learned_days: 91.0,
            intercept: -0.25,
            slope: 0.75,
            typical: Recency { repeats: 3.0, last_week: 20.5, age_weeks: 30.0 },
            weights: BuyingSignal::ALL.map(|signal| match signal.direction() {
                Direction::Good => weight(0.125),
                Direction::Bad => weight(-0.125),
            }),
        };
        let words = BTreeMap::from([("two years".to_owned(), 0.5), ("none".to_owned(), -0.5)]);
        let attributes = BTreeMap::from([
            ("contract".to_owned(), AttributeWeight::Words(words)),
            ("age".to_owned(), AttributeWeight::Number(weight(-0.25))),
        ]);
        let staying = StayingOutlook { learned_days: 91.0, intercept: 1.5, weights: [weight(0.5); 3], attributes };
        Outlook { buying: Some(buying), staying: Some(staying) }
    }

    /// What an earlier version wrote is read, and this version still writes the same.
    #[test]
    fn outlook_v1_reads_and_writes_the_same() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stored_formats/outlook-v1.bin");
        if std::env::var_os("TACTFUL_WRITE_GOLDEN_FILES").is_some() && !std::path::Path::new(path).exists() {
            std::fs::write(path, encode(&outlook())).expect("the file can be written");
        }
        let golden = std::fs::read(path).expect("the golden file is there");
        assert_eq!(decode(&golden), Ok(outlook()));
        assert_eq!(encode(&outlook()), golden);
        assert_eq!(decode(&encode(&Outlook::default())), Ok(Outlook::default()));
    }

    /// Broken by: taking a weight whatever its sign.
    #[test]
    fn a_signal_that_turned_round_is_an_error() {
        let mut turned = outlook();
        turned.buying.as_mut().expect("there").weights[0].weight = 0.5;
        assert!(matches!(decode(&encode(&turned)), Err(ArtifactError::Damaged { .. })));
        turned = outlook();
        turned.staying.as_mut().expect("there").weights[0].weight = f64::NAN;
        assert!(matches!(decode(&encode(&turned)), Err(ArtifactError::Damaged { .. })));
        for broken in [&[][..], &[2], &encode(&outlook())[..40]] {
            assert!(decode(broken).is_err());
        }
    }
}
