//! Columns of a customers file that hold consents: recognised by their names, so that none becomes an attribute unnoticed.
//!
//! An opt-out that is imported as an attribute is an opt-out that is lost.

/// Parts of names that suggest a consent or an objection, in letters and digits only.
const CONSENT_NAME_PARTS: &[&str] = &[
    "optout",
    "optedout",
    "optin",
    "optedin",
    "unsubscri",
    "donot",
    "dontcall",
    "dontcontact",
    "dontemail",
    "dontmail",
    "nocall",
    "nocontact",
    "noemail",
    "nomail",
    "nomarketing",
    "nooffers",
    "nosms",
    "consent",
    "gdpr",
    "objectsto",
    "objection",
    "permission",
    "suppress",
    "acceptsmarketing",
    "acceptsemail",
    "acceptssms",
    "allowmarketing",
    "marketingaccept",
    "marketingallow",
    "marketingopt",
    "marketingok",
    // German and French.
    "einwilligung",
    "widerspruch",
    "werbesperre",
    "abgemeldet",
    "consentement",
    "desabonn",
];
/// Whole names that are too short to be searched for within others.
const CONSENT_NAMES: &[&str] = &["dnc", "dnm", "robinson"];

/// Whether a column is likely to hold a consent or an objection.
pub(super) fn is_consent_name(name: &str) -> bool {
    let letters: String = name.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    CONSENT_NAME_PARTS.iter().any(|part| letters.contains(part)) || CONSENT_NAMES.contains(&letters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_consents_are_recognised_however_they_are_written() {
        for name in [
            "opt_out",
            "Opted Out",
            "Unsubscribed",
            "do-not-contact",
            "DNC",
            "no_marketing",
            "GDPR",
            "Marketing Consent",
            "Accepts Email Marketing",
            "marketing_opt_in",
            "Werbesperre",
        ] {
            assert!(is_consent_name(name), "{name}");
        }
        for name in ["segment", "contract", "option", "options", "region", "marketing_segment", "notes", "subscribed"] {
            assert!(!is_consent_name(name), "{name}");
        }
    }
}
