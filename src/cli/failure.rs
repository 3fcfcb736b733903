//! Why a command failed, in one line.

/// Why a command failed: for people, on standard error.
#[derive(Debug)]
pub struct Failure(pub String);

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(source) = cause {
            let told = source.to_string();
            // Some errors repeat their cause in their own text.
            if !text.ends_with(&told) {
                text = format!("{text}: {told}");
            }
            cause = source.source();
        }
        Self(text)
    }
}
