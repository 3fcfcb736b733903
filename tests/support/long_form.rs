//! Some tests have a long form, which takes minutes: `TACTFUL_LONG=1`.

/// Returns the first value, or the second in the long form.
pub fn short_or_long<T>(short: T, long: T) -> T {
    if std::env::var_os("TACTFUL_LONG").is_some_and(|value| value != "0") { long } else { short }
}
