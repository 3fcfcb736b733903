//! Access rules: the roles of callers, as a TOML document.
//!
//! Deliberately not here: which methods a role may call (`grpc::access`), and how a caller proves its identity (certificates in
//! `server::tls`, tokens in `grpc::jwt`).
//!
//! ```toml
//! [[callers]]
//! identity = "spiffe://example.org/ns/shop/sa/checkout"  # a URI of the client certificate
//! roles = ["offers", "ingest"]
//!
//! [[callers]]
//! identity = "dns:batch.example.org"                     # a DNS name of the client certificate
//! roles = ["ingest"]
//!
//! [[callers]]
//! identity = "jwt:call-centre"                           # the subject of a token
//! roles = ["offers", "agent"]
//!
//! [jwt]                                                  # without it tokens are ignored
//! keys = "jwks.json"                                     # a JSON Web Key Set (RFC 7517), beside this file
//! algorithms = ["ES256"]                                 # and no others
//! issuer = "https://issuer.example.org"
//! audience = "tactful"
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// Role of a client: a set of methods that it may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Query offers, explanations and relationship health.
    Offers,
    /// Record events and outcomes; write products, offers and customers.
    Ingest,
    /// Read a customer; create, list and delete holds. Separate from operators: who talks with customers does not set policies.
    Agent,
    /// Manage policies and models; read reports.
    Operator,
    /// Export the data of a customer.
    Privacy,
    /// Erase a customer for good. Separate, because most who may read a customer's data must not be able to destroy it.
    Erasure,
    /// Copy the whole store. Separate, because operators need not see customers, and a nightly job need not change policies.
    Backup,
}

impl Role {
    /// Name in access rules and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Offers => "offers",
            Self::Ingest => "ingest",
            Self::Agent => "agent",
            Self::Operator => "operator",
            Self::Privacy => "privacy",
            Self::Erasure => "erasure",
            Self::Backup => "backup",
        }
    }

    /// Whether calls that need the role are audited: those that change what all customers are offered, or concern the person
    /// behind a customer.
    pub fn is_audited(self) -> bool {
        match self {
            Self::Offers | Self::Ingest => false,
            Self::Agent | Self::Operator | Self::Privacy | Self::Erasure | Self::Backup => true,
        }
    }
}

/// Access rules that were read from a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessFile {
    /// Path of the file.
    pub path: PathBuf,
    /// Rules as they were when the file was read.
    pub rules: AccessRules,
}

/// Callers and their roles.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccessRules {
    /// Roles by identity. An identity that is not listed may call nothing.
    pub callers: BTreeMap<String, BTreeSet<Role>>,
    /// Rules for tokens; `None`: tokens are ignored.
    pub tokens: Option<TokenRules>,
}

/// Rules by which tokens are verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRules {
    /// File of the JSON Web Key Set.
    pub keys: PathBuf,
    /// Accepted signature algorithms. None is symmetric: a server that can verify a token must not be able to sign one.
    pub algorithms: Vec<TokenAlgorithm>,
    /// Required issuer (`iss`).
    pub issuer: String,
    /// Required audience (`aud`).
    pub audience: String,
}

/// Signature algorithm of a token (RFC 7518).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[allow(missing_docs, reason = "names of a standard")]
pub enum TokenAlgorithm {
    ES256,
    ES384,
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    EdDSA,
}

/// Error returned for access rules that cannot be used: every fault, each with the path of the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct AccessFaults(pub Vec<String>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AccessDocument {
    #[serde(default)]
    callers: Vec<CallerEntry>,
    jwt: Option<JwtSection>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CallerEntry {
    identity: String,
    roles: Vec<Role>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JwtSection {
    keys: PathBuf,
    algorithms: Vec<TokenAlgorithm>,
    issuer: String,
    audience: String,
}

/// Prefixes of an identity.
const IDENTITY_PREFIXES: [&str; 3] = ["spiffe://", "dns:", "jwt:"];

impl AccessFile {
    /// Reads access rules from a file.
    ///
    /// # Errors
    /// Every fault of the file.
    pub fn read(path: &Path) -> Result<Self, AccessFaults> {
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|error| AccessFaults(vec![format!("{}: {error}", path.display())]))?;
        Ok(Self { path: path.to_owned(), rules: AccessRules::parse(&text, path)? })
    }
}

impl AccessRules {
    /// Parses the document of the file `path`.
    ///
    /// # Errors
    /// The TOML syntax error, or every faulty caller and token rule.
    pub fn parse(text: &str, path: &Path) -> Result<Self, AccessFaults> {
        let directory = path.parent().unwrap_or(Path::new(""));
        let with_path = |fault: String| format!("{}: {fault}", path.display());
        Self::from_document(text, directory).map_err(|faults| AccessFaults(faults.into_iter().map(with_path).collect()))
    }

    fn from_document(text: &str, directory: &Path) -> Result<Self, Vec<String>> {
        let document: AccessDocument = toml::from_str(text).map_err(|error| vec![error.to_string()])?;
        let mut faults = Vec::new();
        let mut callers = BTreeMap::new();
        for CallerEntry { identity, roles } in document.callers {
            let is_valid = IDENTITY_PREFIXES
                .iter()
                .any(|prefix| identity.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty()));
            if !is_valid {
                faults.push(format!("identity {identity:?} is not spiffe://..., dns:NAME or jwt:SUBJECT"));
            }
            if identity.starts_with("jwt:") && document.jwt.is_none() {
                faults.push(format!("identity {identity:?} needs a section [jwt]"));
            }
            if roles.is_empty() {
                faults.push(format!("identity {identity:?} has no roles: remove it"));
            }
            if callers.insert(identity.clone(), roles.into_iter().collect()).is_some() {
                faults.push(format!("identity {identity:?} is listed twice"));
            }
        }
        if callers.is_empty() {
            faults.push("no callers: no client could call anything".to_owned());
        }
        let tokens = document.jwt.map(|JwtSection { keys, algorithms, issuer, audience }| {
            for (name, is_missing) in [
                ("algorithms", algorithms.is_empty()),
                ("issuer", issuer.is_empty()),
                ("audience", audience.is_empty()),
            ] {
                if is_missing {
                    faults.push(format!("jwt.{name} is empty"));
                }
            }
            TokenRules { keys: directory.join(keys), algorithms, issuer, audience }
        });
        if faults.is_empty() { Ok(Self { callers, tokens }) } else { Err(faults) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_example_parses() {
        let documented = include_str!("access.rs").lines().filter_map(|line| line.strip_prefix("//! "));
        let text: Vec<&str> = documented.skip_while(|line| *line != "```toml").skip(1).collect();
        let text = text.split(|line| *line == "```").next().expect("the example ends").join("\n");
        let rules = AccessRules::parse(&text, Path::new("/etc/tactful/access.toml")).expect("it is valid");
        assert_eq!(rules.callers["jwt:call-centre"], BTreeSet::from([Role::Offers, Role::Agent]));
        assert_eq!(rules.tokens.expect("tokens").keys, Path::new("/etc/tactful/jwks.json"));
    }

    #[test]
    fn all_faults_are_reported_at_once() {
        let text = r#"
            callers = [
                { identity = "checkout", roles = ["offers"] },
                { identity = "jwt:x", roles = [] },
                { identity = "jwt:x", roles = ["offers"] },
            ]
        "#;
        let faults = AccessRules::parse(text, Path::new("")).expect_err("five faults");
        assert_eq!(faults.0.len(), 5, "{faults:?}");
    }

    #[test]
    fn roles_are_read_by_their_names() {
        let roles =
            [Role::Offers, Role::Ingest, Role::Agent, Role::Operator, Role::Privacy, Role::Erasure, Role::Backup];
        for role in roles {
            let text = format!("callers = [{{ identity = \"dns:x\", roles = [{:?}] }}]", role.as_str());
            let rules = AccessRules::parse(&text, Path::new("")).expect("a role");
            assert_eq!(rules.callers["dns:x"], BTreeSet::from([role]));
        }
    }

    /// Broken by: an algorithm whose verification key can sign.
    #[test]
    fn unknown_roles_and_symmetric_algorithms_are_rejected() {
        let with = |roles: &str, algorithms: &str| {
            let jwt = format!("jwt = {{ keys = \"k\", algorithms = {algorithms}, issuer = \"i\", audience = \"a\" }}");
            AccessRules::parse(
                &format!("callers = [{{ identity = \"jwt:x\", roles = {roles} }}]\n{jwt}"),
                Path::new(""),
            )
        };
        assert!(with("[\"offers\"]", "[\"RS256\"]").is_ok());
        assert!(with("[\"root\"]", "[\"RS256\"]").is_err());
        for rejected in ["[]", "[\"none\"]", "[\"HS256\"]"] {
            assert!(with("[\"offers\"]", rejected).is_err(), "{rejected}");
        }
    }
}
