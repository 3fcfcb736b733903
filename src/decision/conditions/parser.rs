//! Builds the syntax tree of a condition by recursive descent, without backtracking: each token is read once.

use super::condition_error::ConditionError;
use super::lexer::{Token, TokenKind, tokens};
use super::syntax::{
    Arithmetic, BinaryOperator, COMPARISON_PRECEDENCE, DEPTH_MAX, NODES_MAX, Syntax, SyntaxNode, TextTest,
};

/// Parses a text. The caller limits its length.
///
/// # Errors
/// If the text is not an expression of the supported subset, or exceeds a limit.
pub(super) fn parse(text: &str) -> Result<SyntaxNode, ConditionError> {
    let mut parser = ConditionParser { tokens: tokens(text)?, next: 0, nodes: 0, depth: 0 };
    let expression = parser.expression()?;
    if *parser.peek() == TokenKind::End { Ok(expression) } else { Err(parser.unexpected("the end")) }
}

struct ConditionParser {
    /// Tokens, of which the last one is the end.
    tokens: Vec<Token>,
    next: usize,
    nodes: usize,
    depth: usize,
}

/// Sign of a number.
const MINUS: TokenKind = TokenKind::Operator(BinaryOperator::Arithmetic(Arithmetic::Subtract));

type Parsed = Result<SyntaxNode, ConditionError>;

impl ConditionParser {
    /// Conditional, or an operand of one.
    fn expression(&mut self) -> Parsed {
        self.nested(|parser| {
            let test = parser.operators(0)?;
            if *parser.peek() != TokenKind::Question {
                return Ok(test);
            }
            let character = parser.character();
            parser.bump();
            let then = parser.operators(0)?;
            parser.expect(&TokenKind::Colon, "`:`")?;
            let otherwise = parser.expression()?;
            parser.node(character, Syntax::Conditional(Box::new([test, then, otherwise])))
        })
    }

    /// Operands joined by binary operators of at least this precedence.
    fn operators(&mut self, precedence_min: u8) -> Parsed {
        let mut left = self.signed()?;
        loop {
            let character = self.character();
            if let TokenKind::Operator(operator) = *self.peek()
                && operator.precedence() >= precedence_min
            {
                self.bump();
                let right = self.operators(operator.precedence() + 1)?;
                left = self.node(character, Syntax::Binary(operator, Box::new([left, right])))?;
            } else if *self.peek() == TokenKind::In && COMPARISON_PRECEDENCE >= precedence_min {
                self.bump();
                let list = self.list()?;
                left = self.node(character, Syntax::In(Box::new(left), list))?;
            } else {
                return Ok(left);
            }
        }
    }

    /// Operand with its signs: either `!` or `-`, as often as wanted.
    fn signed(&mut self) -> Parsed {
        let character = self.character();
        let sign: fn(Box<SyntaxNode>) -> Syntax = if *self.peek() == TokenKind::Not {
            Syntax::Not
        } else if *self.peek() == MINUS {
            Syntax::Negative
        } else {
            return self.tested();
        };
        let written = self.peek().clone();
        self.bump();
        let operand =
            self.nested(|parser| if *parser.peek() == written { parser.signed() } else { parser.tested() })?;
        self.node(character, sign(Box::new(operand)))
    }

    /// Operand with the functions that are called on it.
    fn tested(&mut self) -> Parsed {
        let mut operand = self.primary()?;
        while *self.peek() == TokenKind::Dot {
            self.bump();
            let character = self.character();
            let test = if let TokenKind::Name(name) = self.peek() {
                TextTest::ALL.into_iter().find(|test| test.as_str() == name)
            } else {
                None
            };
            let Some(test) = test else {
                return Err(self.unexpected("one of the functions startsWith, endsWith and contains"));
            };
            self.bump();
            self.expect(&TokenKind::OpenParenthesis, "`(`")?;
            let argument = self.expression()?;
            self.expect(&TokenKind::CloseParenthesis, "`)`")?;
            operand = self.node(character, Syntax::TextTest(test, Box::new([operand, argument])))?;
        }
        Ok(operand)
    }

    fn primary(&mut self) -> Parsed {
        let character = self.character();
        let syntax = match self.peek().clone() {
            TokenKind::OpenParenthesis => {
                self.bump();
                let inner = self.expression()?;
                self.expect(&TokenKind::CloseParenthesis, "`)`")?;
                return Ok(inner);
            }
            TokenKind::Name(name) => Syntax::Attribute(name),
            TokenKind::Flag(value) => Syntax::Flag(value),
            TokenKind::Number(value) => Syntax::Number(value),
            TokenKind::Integer(value) => Syntax::Integer(value),
            TokenKind::Text(value) => Syntax::Text(value),
            TokenKind::Operator(_)
            | TokenKind::In
            | TokenKind::Not
            | TokenKind::Question
            | TokenKind::Colon
            | TokenKind::Comma
            | TokenKind::Dot
            | TokenKind::CloseParenthesis
            | TokenKind::OpenBracket
            | TokenKind::CloseBracket
            | TokenKind::End => return Err(self.unexpected("an attribute, a literal or `(`")),
        };
        self.bump();
        if let (Syntax::Attribute(name), TokenKind::OpenParenthesis) = (&syntax, self.peek()) {
            return Err(ConditionError::Syntax { character, problem: format!("the function {name} is not supported") });
        }
        self.node(character, syntax)
    }

    /// List of literals, which may have a sign.
    fn list(&mut self) -> Result<Vec<SyntaxNode>, ConditionError> {
        self.expect(&TokenKind::OpenBracket, "a list such as [\"a\", \"b\"]")?;
        let mut elements = Vec::new();
        while *self.peek() != TokenKind::CloseBracket {
            elements.push(self.signed()?);
            if *self.peek() != TokenKind::CloseBracket {
                self.expect(&TokenKind::Comma, "`,` or `]`")?;
            }
        }
        self.bump();
        Ok(elements)
    }

    /// Parses one level deeper.
    fn nested(&mut self, parse: impl FnOnce(&mut Self) -> Parsed) -> Parsed {
        if self.depth == DEPTH_MAX {
            return Err(ConditionError::TooDeep);
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    fn node(&mut self, character: usize, syntax: Syntax) -> Parsed {
        self.nodes += 1;
        if self.nodes > NODES_MAX { Err(ConditionError::TooManyNodes) } else { Ok(SyntaxNode { character, syntax }) }
    }

    fn token(&self) -> &Token {
        &self.tokens[self.next]
    }

    fn peek(&self) -> &TokenKind {
        &self.token().kind
    }

    fn character(&self) -> usize {
        self.token().character
    }

    /// Moves to the next token; the end stays the last one.
    fn bump(&mut self) {
        self.next = (self.next + 1).min(self.tokens.len() - 1);
    }

    fn expect(&mut self, wanted: &TokenKind, description: &str) -> Result<(), ConditionError> {
        if self.peek() != wanted {
            return Err(self.unexpected(description));
        }
        self.bump();
        Ok(())
    }

    fn unexpected(&self, wanted: &str) -> ConditionError {
        ConditionError::Syntax { character: self.character(), problem: format!("{wanted} is expected") }
    }
}
