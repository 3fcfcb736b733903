//! Who may call what: callers with roles, as a TOML document.
//!
//! Deliberately not here: which methods a role opens (`grpc::access`), and how a caller proves who it is (certificates in
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
//! roles = ["offers", "privacy"]
//!
//! [jwt]                                                  # without it tokens are not looked at
//! keys = "jwks.json"                                     # a JSON Web Key Set (RFC 7517), beside this file
//! algorithms = ["ES256"]                                 # and no others
//! issuer = "https://issuer.example.org"
//! audience = "tactful"
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// What a caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Ask for offers, explanations and relationship health.
    Offers,
    /// Record events and outcomes; put products, offers and customers.
    Ingest,
    /// Policies, models, holds, reports.
    Operator,
    /// Read, export and erase what is held of a customer.
    Privacy,
    /// Copy the whole store. A role of its own: operators need not see customers, and a nightly job need not change policies.
    Backup,
}

/// Callers and their roles.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccessRules {
    /// Roles by identity. Who is not in it may do nothing.
    pub callers: BTreeMap<String, BTreeSet<Role>>,
    /// How tokens are checked; `None`: they are not looked at.
    pub tokens: Option<TokenRules>,
}

/// How tokens are checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRules {
    /// The file of the JSON Web Key Set.
    pub keys: PathBuf,
    /// The signatures that count. None is symmetric: who can check a token must not be able to make one.
    pub algorithms: Vec<TokenAlgorithm>,
    /// Who must have issued it.
    pub issuer: String,
    /// For whom it must be.
    pub audience: String,
}

/// Signatures of tokens (RFC 7518).
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    callers: Vec<Caller>,
    jwt: Option<Tokens>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Caller {
    identity: String,
    roles: Vec<Role>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tokens {
    keys: PathBuf,
    algorithms: Vec<TokenAlgorithm>,
    issuer: String,
    audience: String,
}

/// The forms of an identity.
const FORMS: [&str; 3] = ["spiffe://", "dns:", "jwt:"];

impl AccessRules {
    /// Reads the document that lies in `file`.
    ///
    /// # Errors
    /// What does not read as TOML, or every caller and token rule that is wrong; each with the file.
    pub fn read(text: &str, file: &Path) -> Result<Self, Vec<String>> {
        let directory = file.parent().unwrap_or(Path::new(""));
        let told = |fault: String| format!("{}: {fault}", file.display());
        Self::of_document(text, directory).map_err(|faults| faults.into_iter().map(told).collect())
    }

    fn of_document(text: &str, directory: &Path) -> Result<Self, Vec<String>> {
        let document: Document = toml::from_str(text).map_err(|error| vec![error.to_string()])?;
        let mut faults = Vec::new();
        let mut callers = BTreeMap::new();
        for Caller { identity, roles } in document.callers {
            let is_known_form =
                FORMS.iter().any(|form| identity.strip_prefix(form).is_some_and(|rest| !rest.is_empty()));
            if !is_known_form {
                faults.push(format!("identity {identity:?} is not spiffe://..., dns:NAME or jwt:SUBJECT"));
            }
            if identity.starts_with("jwt:") && document.jwt.is_none() {
                faults.push(format!("identity {identity:?} needs a section [jwt]"));
            }
            if roles.is_empty() {
                faults.push(format!("identity {identity:?} has no roles: leave it out"));
            }
            if callers.insert(identity.clone(), roles.into_iter().collect()).is_some() {
                faults.push(format!("identity {identity:?} is there twice"));
            }
        }
        if callers.is_empty() {
            faults.push("there are no callers: nobody could do anything".to_owned());
        }
        let tokens = document.jwt.map(|Tokens { keys, algorithms, issuer, audience }| {
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
    fn the_document_of_the_module_reads() {
        let documented = include_str!("access.rs").lines().filter_map(|line| line.strip_prefix("//! "));
        let text: Vec<&str> = documented.skip_while(|line| *line != "```toml").skip(1).collect();
        let text = text.split(|line| *line == "```").next().expect("it ends").join("\n");
        let rules = AccessRules::read(&text, Path::new("/etc/tactful/access.toml")).expect("it is right");
        assert_eq!(rules.callers["jwt:call-centre"], BTreeSet::from([Role::Offers, Role::Privacy]));
        assert_eq!(rules.tokens.expect("tokens").keys, Path::new("/etc/tactful/jwks.json"));
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let text = r#"
            callers = [
                { identity = "checkout", roles = ["offers"] },
                { identity = "jwt:x", roles = [] },
                { identity = "jwt:x", roles = ["offers"] },
            ]
        "#;
        let faults = AccessRules::read(text, Path::new("")).expect_err("five faults");
        assert_eq!(faults.len(), 5, "{faults:?}");
    }

    /// Broken by: an algorithm by which whoever checks could sign.
    #[test]
    fn roles_and_algorithms_are_those_that_there_are() {
        let with = |roles: &str, algorithms: &str| {
            let jwt = format!("jwt = {{ keys = \"k\", algorithms = {algorithms}, issuer = \"i\", audience = \"a\" }}");
            AccessRules::read(&format!("callers = [{{ identity = \"jwt:x\", roles = {roles} }}]\n{jwt}"), Path::new(""))
        };
        assert!(with("[\"offers\"]", "[\"RS256\"]").is_ok());
        assert!(with("[\"root\"]", "[\"RS256\"]").is_err());
        for refused in ["[]", "[\"none\"]", "[\"HS256\"]"] {
            assert!(with("[\"offers\"]", refused).is_err(), "{refused}");
        }
    }
}
