//! Syntax tree of a condition: an allow-list. There are no comprehensions, no maps, no indices, no field access, and no functions
//! beside tests of a text, so that the cost of a condition is bounded by its length.

/// Maximum number of nodes of a syntax tree.
pub(super) const NODES_MAX: usize = 128;
/// Maximum nesting of parentheses, signs, arguments and conditionals. Bounds the stack of everything that recurses.
pub(super) const DEPTH_MAX: usize = 16;

/// Node of a syntax tree, with the index of its character in the text.
#[derive(Debug, PartialEq)]
pub(super) struct SyntaxNode {
    pub(super) character: usize,
    pub(super) syntax: Syntax,
}

/// Syntax of one node.
#[derive(Debug, PartialEq)]
pub(super) enum Syntax {
    Flag(bool),
    /// Literal with a decimal point or an exponent.
    Number(f64),
    /// Literal without either.
    Integer(f64),
    Text(String),
    Attribute(String),
    Not(Box<SyntaxNode>),
    Negative(Box<SyntaxNode>),
    Binary(BinaryOperator, Box<[SyntaxNode; 2]>),
    /// Left side of `in`, and the literals of the list on its right.
    In(Box<SyntaxNode>, Vec<SyntaxNode>),
    /// Test, value if it holds, value if it does not.
    Conditional(Box<[SyntaxNode; 3]>),
    /// Receiver and argument of a test such as `segment.startsWith("go")`.
    TextTest(TextTest, Box<[SyntaxNode; 2]>),
}

/// Operator between two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BinaryOperator {
    Or,
    And,
    Compare(Comparison),
    Arithmetic(Arithmetic),
}

impl BinaryOperator {
    /// Precedence among the binary operators; a higher one binds more tightly. All associate to the left.
    pub(super) fn precedence(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And => 2,
            Self::Compare(_) => COMPARISON_PRECEDENCE,
            Self::Arithmetic(Arithmetic::Add | Arithmetic::Subtract) => 4,
            Self::Arithmetic(Arithmetic::Multiply | Arithmetic::Divide) => 5,
        }
    }

    /// The operator as it is written.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Or => "||",
            Self::And => "&&",
            Self::Compare(Comparison::Equal) => "==",
            Self::Compare(Comparison::NotEqual) => "!=",
            Self::Compare(Comparison::Less) => "<",
            Self::Compare(Comparison::LessOrEqual) => "<=",
            Self::Compare(Comparison::Greater) => ">",
            Self::Compare(Comparison::GreaterOrEqual) => ">=",
            Self::Arithmetic(Arithmetic::Add) => "+",
            Self::Arithmetic(Arithmetic::Subtract) => "-",
            Self::Arithmetic(Arithmetic::Multiply) => "*",
            Self::Arithmetic(Arithmetic::Divide) => "/",
        }
    }
}

/// Precedence of comparisons and of `in`.
pub(super) const COMPARISON_PRECEDENCE: u8 = 3;

/// Comparison of two values of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Arithmetic on numbers. Without `%`, which the language defines for integers only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
}

/// Function that tests a text for another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextTest {
    StartsWith,
    EndsWith,
    Contains,
}

impl TextTest {
    /// All tests.
    pub(super) const ALL: [Self; 3] = [Self::StartsWith, Self::EndsWith, Self::Contains];

    /// Name of the function.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::StartsWith => "startsWith",
            Self::EndsWith => "endsWith",
            Self::Contains => "contains",
        }
    }
}
