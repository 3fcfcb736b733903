//! Pseudonyms of customers in logs: a keyed hash of the id, unless the operator chose plain ids.
//!
//! All logging of customers goes through [`LoggedCustomer`]. The hash is HMAC-SHA-256 (RFC 2104), truncated to 48 bits: enough to
//! correlate the lines about one customer. Without a key a reader of the log could hash a guessed id and compare; so there always
//! is one: random in each process, or configured, which correlates lines across processes and restarts.

use std::fmt;
use std::sync::OnceLock;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Minimum length of a key: shorter ones can be guessed like the ids.
pub(crate) const KEY_BYTES_MIN: usize = 16;
/// Length of a pseudonym in bytes, each of which is two hex digits.
const PSEUDONYM_BYTES: usize = 6;

/// Key of the hashes. Its `Debug` output hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct PseudonymKey(Vec<u8>);

impl PseudonymKey {
    /// Returns a key of at least [`KEY_BYTES_MIN`] bytes; trailing white space, which editors add, is removed.
    pub(crate) fn new(bytes: &[u8]) -> Option<Self> {
        let key = bytes.trim_ascii_end();
        (key.len() >= KEY_BYTES_MIN).then(|| Self(key.to_owned()))
    }

    /// Generates a key from the random numbers of the operating system.
    fn random() -> Self {
        let mut key = [0; 32];
        getrandom::fill(&mut key).expect("the operating system provides random numbers");
        Self(key.to_vec())
    }

    fn hash(&self, id: &str) -> [u8; PSEUDONYM_BYTES] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        mac.update(id.as_bytes());
        let hash: [u8; 32] = mac.finalize().into_bytes().into();
        std::array::from_fn(|index| hash[index])
    }
}

impl fmt::Debug for PseudonymKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PseudonymKey")
    }
}

/// Form in which logs name customers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CustomerIdLogging {
    PlainIds,
    /// Pseudonyms under this key; `None`: under a random one.
    Pseudonyms(Option<PseudonymKey>),
}

/// Form chosen for this process.
static CHOSEN: OnceLock<CustomerIdLogging> = OnceLock::new();

/// Chooses the form, before anything is logged. A second choice in one process changes nothing.
pub(crate) fn choose_customer_id_logging(form: CustomerIdLogging) {
    // `set` fails when it was chosen already, as in a test that starts two servers.
    let _already_chosen = CHOSEN.set(with_key(form));
}

fn with_key(form: CustomerIdLogging) -> CustomerIdLogging {
    match form {
        CustomerIdLogging::Pseudonyms(None) => CustomerIdLogging::Pseudonyms(Some(PseudonymKey::random())),
        CustomerIdLogging::PlainIds | CustomerIdLogging::Pseudonyms(Some(_)) => form,
    }
}

/// Customer id as logs may show it. Costs nothing until it is written.
#[derive(Clone, Copy)]
pub(crate) struct LoggedCustomer<'a>(pub(crate) &'a str);

impl LoggedCustomer<'_> {
    fn write(self, form: &CustomerIdLogging, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match form {
            CustomerIdLogging::PlainIds => f.write_str(self.0),
            CustomerIdLogging::Pseudonyms(Some(key)) => {
                key.hash(self.0).iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
            // `with_key` leaves no pseudonyms without a key.
            CustomerIdLogging::Pseudonyms(None) => f.write_str("?"),
        }
    }
}

impl fmt::Display for LoggedCustomer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(CHOSEN.get_or_init(|| with_key(CustomerIdLogging::Pseudonyms(None))), f)
    }
}

impl fmt::Debug for LoggedCustomer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logged(id: &str, form: CustomerIdLogging) -> String {
        struct Logged<'a>(&'a str, CustomerIdLogging);
        impl fmt::Display for Logged<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                LoggedCustomer(self.0).write(&self.1, f)
            }
        }
        Logged(id, with_key(form)).to_string()
    }

    fn with_text_key(key: &str) -> CustomerIdLogging {
        CustomerIdLogging::Pseudonyms(Some(PseudonymKey::new(key.as_bytes()).expect("long enough")))
    }

    /// The expected value is of another implementation (Python's `hmac`). Broken by: a hash without its key.
    #[test]
    fn pseudonym_is_the_start_of_the_keyed_hash() {
        assert_eq!(logged("ada", with_text_key("0123456789abcdef0123456789abcdef")), "7f06173e229c");
        let with_newline = with_text_key("0123456789abcdef0123456789abcdef\n");
        assert_eq!(logged("ada", with_newline), "7f06173e229c", "an editor's trailing newline");
        assert_ne!(logged("ada", with_text_key("another key of some length")), "7f06173e229c");
        assert_eq!(logged("ada", CustomerIdLogging::PlainIds), "ada");
    }

    #[test]
    fn pseudonym_is_stable_within_a_process() {
        let pseudonym = LoggedCustomer("ada").to_string();
        assert_eq!(pseudonym.len(), 12);
        assert_eq!(pseudonym, LoggedCustomer("ada").to_string());
    }

    /// Broken by: a fixed key.
    #[test]
    fn random_keys_give_different_pseudonyms() {
        let random = || logged("ada", CustomerIdLogging::Pseudonyms(None));
        assert_ne!(random(), random());
    }

    /// Broken by: a printed key.
    #[test]
    fn keys_are_long_and_hidden_in_debug_output() {
        assert_eq!(PseudonymKey::new(b"fifteen bytes.."), None);
        assert_eq!(PseudonymKey::new(b"fifteen bytes..          "), None);
        let printed = format!("{:?}", with_text_key("secret secret secret"));
        assert!(!printed.contains("secret") && !printed.contains("115"), "{printed}");
    }
}
