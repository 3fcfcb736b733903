//! Texts without characters that change how a terminal or a page shows the text around them.

use std::borrow::Cow;
use std::fmt::Write;

/// Whether a character acts on the text around it instead of being shown: control characters, with which the escape sequences
/// of terminals begin, separators of lines and paragraphs, and marks that override the direction of text.
pub fn is_control(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether a text has control characters.
pub fn has_control_characters(text: &str) -> bool {
    text.chars().any(is_control)
}

/// Writes control characters as escape sequences of this language, except those in `kept`.
///
/// ```
/// use tactful::domain::plain_text::escape_control_characters;
///
/// assert_eq!(escape_control_characters("a\u{1b}[31m\n", "\n"), "a\\u{1b}[31m\n");
/// ```
pub fn escape_control_characters<'t>(text: &'t str, kept: &str) -> Cow<'t, str> {
    let is_escaped = |character: char| is_control(character) && !kept.contains(character);
    if !text.chars().any(is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if !is_escaped(character) {
            escaped.push(character);
        } else if character.is_control() {
            escaped.extend(character.escape_default());
        } else {
            // Not a control character for the standard library, which would not escape it everywhere.
            write!(escaped, "\\u{{{:x}}}", u32::from(character)).expect("writing to a String succeeds");
        }
    }
    Cow::Owned(escaped)
}

/// Replaces line breaks and tabs by spaces, for texts of files that are shown in one line.
pub fn in_one_line(text: &str) -> Cow<'_, str> {
    const BREAKS: [char; 3] = ['\t', '\n', '\r'];
    if text.contains(BREAKS) {
        let words: Vec<&str> = text.split(BREAKS).map(str::trim).filter(|part| !part.is_empty()).collect();
        Cow::Owned(words.join(" "))
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped_except_the_kept_ones() {
        assert_eq!(escape_control_characters("caf\u{e9} 12 \u{20ac}", ""), "caf\u{e9} 12 \u{20ac}");
        assert_eq!(escape_control_characters("\u{1b}]0;x\u{7}\u{9b}", ""), "\\u{1b}]0;x\\u{7}\\u{9b}");
        assert_eq!(escape_control_characters("a\n\tb", "\n\t"), "a\n\tb");
        assert_eq!(escape_control_characters("a\n\tb", ""), "a\\n\\tb");
        assert_eq!(escape_control_characters("\u{202e}cba", "\n"), "\\u{202e}cba");
        assert!(has_control_characters("\u{2066}") && !has_control_characters("\u{1f600} \u{200d}"));
    }

    #[test]
    fn breaks_become_single_spaces() {
        assert_eq!(in_one_line("Two-slot\r\n toaster\t"), "Two-slot toaster");
        assert_eq!(in_one_line(" as  it is "), " as  it is ");
    }
}
