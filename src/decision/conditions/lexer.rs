//! Splits the text of a condition into tokens, in one pass.

use std::iter::Peekable;
use std::str::CharIndices;

use super::condition_error::ConditionError;
use super::syntax::{Arithmetic, BinaryOperator, Comparison};

/// Largest integer up to which a double represents each one exactly.
const INTEGER_MAX: f64 = 9_007_199_254_740_992.0;

/// Words that the language reserves; they are no names.
const RESERVED: [&str; 18] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "namespace",
    "null",
    "package",
    "return",
    "var",
    "void",
    "while",
];

/// Token with the index of its first character.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) character: usize,
    pub(super) kind: TokenKind,
}

/// Kind of a token.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum TokenKind {
    Name(String),
    Flag(bool),
    Number(f64),
    Integer(f64),
    Text(String),
    /// Binary operator; `-` is also a sign.
    Operator(BinaryOperator),
    In,
    Not,
    Question,
    Colon,
    Comma,
    Dot,
    OpenParenthesis,
    CloseParenthesis,
    OpenBracket,
    CloseBracket,
    End,
}

/// Splits a text into tokens; the last one is [`TokenKind::End`].
///
/// # Errors
/// The first character that begins no token of the supported subset.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, ConditionError> {
    let mut lexer = Lexer { text, characters: text.char_indices().peekable(), character: 0 };
    let mut tokens = Vec::new();
    loop {
        let token = lexer.next_token()?;
        let is_end = token.kind == TokenKind::End;
        tokens.push(token);
        if is_end {
            return Ok(tokens);
        }
    }
}

struct Lexer<'t> {
    text: &'t str,
    characters: Peekable<CharIndices<'t>>,
    /// Number of characters that were read.
    character: usize,
}

impl Lexer<'_> {
    fn next_token(&mut self) -> Result<Token, ConditionError> {
        self.skip_blanks();
        let character = self.character + 1;
        let Some(&(at, first)) = self.characters.peek() else {
            return Ok(Token { character, kind: TokenKind::End });
        };
        let kind = match first {
            'A'..='Z' | 'a'..='z' | '_' => self.word(at),
            '0'..='9' => self.number(at),
            '"' | '\'' => self.text_literal(first),
            _ => self.symbol(first),
        };
        let kind = kind.map_err(|problem| ConditionError::Syntax { character, problem })?;
        Ok(Token { character, kind })
    }

    fn bump(&mut self) -> Option<char> {
        let (_, next) = self.characters.next()?;
        self.character += 1;
        Some(next)
    }

    fn bump_if(&mut self, wanted: impl Fn(char) -> bool) -> bool {
        let is_wanted = self.characters.peek().is_some_and(|&(_, next)| wanted(next));
        if is_wanted {
            self.bump();
        }
        is_wanted
    }

    fn bump_while(&mut self, wanted: impl Fn(char) -> bool) {
        while self.bump_if(&wanted) {}
    }

    fn offset(&mut self) -> usize {
        self.characters.peek().map_or(self.text.len(), |&(at, _)| at)
    }

    fn skip_blanks(&mut self) {
        loop {
            self.bump_while(|next| matches!(next, ' ' | '\t' | '\r' | '\n' | '\u{c}'));
            let at = self.offset();
            if !self.text[at..].starts_with("//") {
                return;
            }
            self.bump_while(|next| next != '\n');
        }
    }

    fn word(&mut self, start: usize) -> Result<TokenKind, String> {
        self.bump_while(|next| next.is_ascii_alphanumeric() || next == '_');
        let end = self.offset();
        let word = &self.text[start..end];
        if matches!(self.characters.peek(), Some((_, '"' | '\''))) {
            return Err(format!("text literals with the prefix {word} are not supported"));
        }
        match word {
            "true" => Ok(TokenKind::Flag(true)),
            "false" => Ok(TokenKind::Flag(false)),
            "in" => Ok(TokenKind::In),
            _ if RESERVED.contains(&word) => Err(format!("{word} is a reserved word")),
            _ => Ok(TokenKind::Name(word.to_owned())),
        }
    }

    fn number(&mut self, start: usize) -> Result<TokenKind, String> {
        self.bump_while(|next| next.is_ascii_digit());
        let mut is_integer = true;
        let has_fraction = {
            let at = self.offset();
            let mut following = self.text[at..].chars();
            following.next() == Some('.') && following.next().is_some_and(|next| next.is_ascii_digit())
        };
        if has_fraction {
            is_integer = false;
            self.bump();
            self.bump_while(|next| next.is_ascii_digit());
        }
        if self.bump_if(|next| matches!(next, 'e' | 'E')) {
            is_integer = false;
            self.bump_if(|next| matches!(next, '+' | '-'));
            self.bump_while(|next| next.is_ascii_digit());
        }
        let end = self.offset();
        let written = &self.text[start..end];
        if self.characters.peek().is_some_and(|&(_, next)| next.is_ascii_alphanumeric() || next == '_') {
            return Err("only decimal numbers are supported".to_owned());
        }
        let number: f64 = written.parse().map_err(|_| format!("{written} is not a number"))?;
        if !number.is_finite() {
            return Err("the number is too large".to_owned());
        }
        match is_integer {
            true if number > INTEGER_MAX => Err("the integer is too large: write a decimal point".to_owned()),
            true => Ok(TokenKind::Integer(number)),
            false => Ok(TokenKind::Number(number)),
        }
    }

    fn text_literal(&mut self, quote: char) -> Result<TokenKind, String> {
        self.bump();
        let mut value = String::new();
        loop {
            match self.bump() {
                None | Some('\n' | '\r') => return Err("the text has no closing quote".to_owned()),
                Some('\\') => value.push(self.escaped()?),
                Some(character) if character == quote => break,
                Some(character) => value.push(character),
            }
        }
        // Two quotes that a third one follows open a text in triple quotes.
        if value.is_empty() && self.characters.peek().is_some_and(|&(_, next)| next == quote) {
            return Err("texts in triple quotes are not supported".to_owned());
        }
        Ok(TokenKind::Text(value))
    }

    fn escaped(&mut self) -> Result<char, String> {
        match self.bump() {
            Some(literal @ ('\\' | '"' | '\'' | '`' | '?')) => Ok(literal),
            Some('n') => Ok('\n'),
            Some('r') => Ok('\r'),
            Some('t') => Ok('\t'),
            Some('u') => {
                let mut digits = (0..4).map(|_| self.bump().and_then(|digit| digit.to_digit(16)));
                let code = digits.try_fold(0, |code, digit| Some(code * 16 + digit?));
                code.and_then(char::from_u32).ok_or_else(|| "\\u takes four hexadecimal digits".to_owned())
            }
            Some(other) => Err(format!("the escape sequence \\{} is not supported", other.escape_default())),
            None => Err("the text has no closing quote".to_owned()),
        }
    }

    fn symbol(&mut self, first: char) -> Result<TokenKind, String> {
        use TokenKind::{
            CloseBracket, CloseParenthesis, Colon, Comma, Dot, Not, OpenBracket, OpenParenthesis, Operator, Question,
        };
        let compare = |comparison| Operator(BinaryOperator::Compare(comparison));
        let compute = |arithmetic| Operator(BinaryOperator::Arithmetic(arithmetic));
        self.bump();
        let mut doubled = |second: char| self.bump_if(|next| next == second);
        Ok(match first {
            '(' => OpenParenthesis,
            ')' => CloseParenthesis,
            '[' => OpenBracket,
            ']' => CloseBracket,
            ',' => Comma,
            '.' => Dot,
            '?' => Question,
            ':' => Colon,
            '+' => compute(Arithmetic::Add),
            '-' => compute(Arithmetic::Subtract),
            '*' => compute(Arithmetic::Multiply),
            '/' => compute(Arithmetic::Divide),
            '&' if doubled('&') => Operator(BinaryOperator::And),
            '|' if doubled('|') => Operator(BinaryOperator::Or),
            '=' if doubled('=') => compare(Comparison::Equal),
            '!' if doubled('=') => compare(Comparison::NotEqual),
            '!' => Not,
            '<' if doubled('=') => compare(Comparison::LessOrEqual),
            '<' => compare(Comparison::Less),
            '>' if doubled('=') => compare(Comparison::GreaterOrEqual),
            '>' => compare(Comparison::Greater),
            other => return Err(format!("`{}` is not supported", other.escape_default())),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_numbers_are_read_as_the_language_defines_them() {
        let kinds = |text: &str| -> Vec<TokenKind> {
            tokens(text).expect("tokens").into_iter().map(|token| token.kind).collect()
        };
        assert_eq!(kinds(r#""a\"\n\u0041" // a comment"#), [TokenKind::Text("a\"\nA".to_owned()), TokenKind::End]);
        assert_eq!(kinds("1.5e3"), [TokenKind::Number(1500.0), TokenKind::End]);
        assert_eq!(kinds("007"), [TokenKind::Integer(7.0), TokenKind::End]);
        let with_place = tokens("a  == 'é' || b").expect("tokens");
        assert_eq!(with_place.iter().map(|token| token.character).collect::<Vec<_>>(), [1, 4, 7, 11, 14, 15]);
    }

    #[test]
    fn unsupported_literals_are_refused() {
        for text in
            ["0x1F", "3u", "1e", "1e999", "99999999999999999", "b'x'", "r'x'", "'''x'''", "'\\x41'", "'a", "`a`"]
        {
            assert!(matches!(tokens(text), Err(ConditionError::Syntax { .. })), "{text}");
        }
    }
}
