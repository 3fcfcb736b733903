//! Bearer tokens: who does the caller say to be, and who vouches for it?
//!
//! Signed JSON Web Tokens (RFC 7519) are checked as RFC 8725 asks: the algorithms are ours to choose and not the token's,
//! symmetric keys are refused, and signature, issuer, audience, subject and end must all be there and right. Deliberately
//! without fetching keys from anywhere: they are a file.

use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;

use crate::config::access::{TokenAlgorithm, TokenRules};

/// How far the clocks of issuer and server may be apart, in seconds.
const LEEWAY_SECONDS: u64 = 30;

/// Checks tokens.
pub struct TokenVerifier {
    keys: JwkSet,
    algorithms: Vec<Algorithm>,
    issuer: String,
    audience: String,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
}

impl TokenVerifier {
    /// Checks by the keys of a JSON Web Key Set.
    ///
    /// # Errors
    /// When the text is none, is empty, or holds a key that can sign.
    pub fn new(rules: &TokenRules, key_set: &str) -> Result<Self, String> {
        let keys: JwkSet = serde_json::from_str(key_set).map_err(|error| format!("no JSON Web Key Set: {error}"))?;
        if keys.keys.is_empty() {
            return Err("the JSON Web Key Set is empty".to_owned());
        }
        if keys.keys.iter().any(|key| matches!(key.algorithm, AlgorithmParameters::OctetKey(_))) {
            return Err("a symmetric key: whoever checks tokens by it could make them".to_owned());
        }
        let TokenRules { keys: _, algorithms, issuer, audience } = rules;
        let algorithms = algorithms.iter().copied().map(algorithm).collect();
        Ok(Self { keys, algorithms, issuer: issuer.clone(), audience: audience.clone() })
    }

    /// The subject of a token that is right.
    ///
    /// # Errors
    /// What is wrong with it, without what it says.
    pub fn subject(&self, token: &str) -> Result<String, String> {
        let wrong = |error: jsonwebtoken::errors::Error| format!("the token is not right: {error}");
        let header = jsonwebtoken::decode_header(token).map_err(wrong)?;
        if !self.algorithms.contains(&header.alg) {
            return Err(format!("the token is not right: {:?} is not among the algorithms allowed", header.alg));
        }
        let key = self.key(header.kid.as_deref()).ok_or("the token is not right: no such key")?;
        let mut validation = Validation::new(header.alg);
        validation.leeway = LEEWAY_SECONDS;
        validation.validate_nbf = true;
        validation.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[&self.audience]);
        let key = DecodingKey::from_jwk(key).map_err(wrong)?;
        let Claims { sub } = jsonwebtoken::decode(token, &key, &validation).map_err(wrong)?.claims;
        Ok(sub)
    }

    /// The key that the token names; the only one when it names none.
    fn key(&self, id: Option<&str>) -> Option<&Jwk> {
        match (id, self.keys.keys.as_slice()) {
            (Some(id), _) => self.keys.find(id),
            (None, [only]) => Some(only),
            (None, _) => None,
        }
    }
}

fn algorithm(allowed: TokenAlgorithm) -> Algorithm {
    match allowed {
        TokenAlgorithm::ES256 => Algorithm::ES256,
        TokenAlgorithm::ES384 => Algorithm::ES384,
        TokenAlgorithm::RS256 => Algorithm::RS256,
        TokenAlgorithm::RS384 => Algorithm::RS384,
        TokenAlgorithm::RS512 => Algorithm::RS512,
        TokenAlgorithm::PS256 => Algorithm::PS256,
        TokenAlgorithm::PS384 => Algorithm::PS384,
        TokenAlgorithm::PS512 => Algorithm::PS512,
        TokenAlgorithm::EdDSA => Algorithm::EdDSA,
    }
}
