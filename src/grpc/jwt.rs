//! Verification of bearer tokens, which prove a client's identity.
//!
//! Signed JSON Web Tokens (RFC 7519) are checked as RFC 8725 asks: the configuration chooses the algorithms and not the token,
//! symmetric keys are rejected, and signature, issuer, audience, subject and expiry must all be present and valid. Deliberately
//! without fetching keys from anywhere: they are a file.

use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;

use crate::config::access::{TokenAlgorithm, TokenRules};

/// Maximum difference between the clocks of issuer and server, in seconds.
const LEEWAY_SECONDS: u64 = 30;

/// Error returned for a key set that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeySetError {
    #[error("not a JSON Web Key Set: {0}")]
    Syntax(#[from] serde_json::Error),
    #[error("the JSON Web Key Set is empty")]
    Empty,
    /// A symmetric key could also sign tokens.
    #[error("the JSON Web Key Set has a symmetric key; only asymmetric keys are accepted")]
    SymmetricKey,
}

/// Error returned for a token that does not prove an identity. Does not quote the token.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenError {
    #[error("invalid token: {0}")]
    Invalid(#[from] jsonwebtoken::errors::Error),
    #[error("invalid token: algorithm {0:?} is not allowed")]
    Algorithm(Algorithm),
    #[error("invalid token: unknown key")]
    UnknownKey,
}

/// Verifier of tokens from one issuer.
pub(crate) struct TokenVerifier {
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
    /// Returns a verifier with the keys of a JSON Web Key Set.
    pub(crate) fn new(rules: &TokenRules, key_set: &str) -> Result<Self, KeySetError> {
        let keys: JwkSet = serde_json::from_str(key_set)?;
        if keys.keys.is_empty() {
            return Err(KeySetError::Empty);
        }
        if keys.keys.iter().any(|key| matches!(key.algorithm, AlgorithmParameters::OctetKey(_))) {
            return Err(KeySetError::SymmetricKey);
        }
        let TokenRules { keys: _, algorithms, issuer, audience } = rules;
        let algorithms = algorithms.iter().copied().map(algorithm).collect();
        Ok(Self { keys, algorithms, issuer: issuer.clone(), audience: audience.clone() })
    }

    /// Verifies a token and returns its subject.
    pub(crate) fn verify(&self, token: &str) -> Result<String, TokenError> {
        let header = jsonwebtoken::decode_header(token)?;
        if !self.algorithms.contains(&header.alg) {
            return Err(TokenError::Algorithm(header.alg));
        }
        let key = self.key(header.kid.as_deref()).ok_or(TokenError::UnknownKey)?;
        let mut validation = Validation::new(header.alg);
        validation.leeway = LEEWAY_SECONDS;
        validation.validate_nbf = true;
        validation.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[&self.audience]);
        let key = DecodingKey::from_jwk(key)?;
        let Claims { sub } = jsonwebtoken::decode(token, &key, &validation)?.claims;
        Ok(sub)
    }

    /// Returns the key that the token names; the only one when it names none.
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
