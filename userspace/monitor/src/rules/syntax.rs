//! From tokens to a tree of operations: precedence only, no meaning yet.
//!
//! ```text
//! any     = all { "or" all }                        all   = not { "and" not }
//! not     = "not" not | compare                     compare = sum [ ("<" | "<=" | ">" | ">=" | "==" | "!=") sum ]
//! sum     = product { ("+" | "-") product }         product = signed { ("*" | "/") signed }
//! signed  = "-" signed | NUMBER | NAME [ "(" any { "," any } ")" ] | "(" any ")"
//! ```

use std::ops::Range;

use super::error::Mistake;
use super::quantity::Quantity;
use super::token::{Kind, Token, tokens};

/// Operations within one another that are followed.
const DEEPEST: u32 = 32;
/// Longest condition, in bytes.
pub const LONGEST: usize = 2000;

/// An operation, and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Tree {
    /// What it is.
    pub node: Node,
    /// Where it stands, in bytes.
    pub at: Range<usize>,
}

/// What an operation is.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// A literal.
    Number(f64, Quantity),
    /// A word.
    Name(String),
    /// A function and its arguments.
    Call(String, Vec<Tree>),
    /// All of these, or any of them.
    Joined(&'static str, Vec<Tree>),
    /// Not this.
    Not(Box<Tree>),
    /// The negative of this.
    Negative(Box<Tree>),
    /// A first operand, and others each with its sign: `+ -` or `* /`.
    Chain(Box<Tree>, Vec<(&'static str, Tree)>),
    /// A comparison.
    Compare(&'static str, Box<Tree>, Box<Tree>),
}

/// Reads a condition.
///
/// # Errors
/// Where it is no condition by its form, and what is expected there.
pub fn tree(text: &str) -> Result<Tree, Mistake> {
    if text.len() > LONGEST {
        let message = format!("{} bytes; a condition has at most {LONGEST}", text.len());
        return Err(Mistake::new(text, 0..0, message));
    }
    let mut parser = Parser { text, tokens: tokens(text)?, at: 0, depth: 0 };
    let tree = parser.any()?;
    let rest = parser.here();
    if rest.kind != Kind::End {
        let found = parser.found();
        let hint = match &rest.kind {
            Kind::Sign("<" | "<=" | ">" | ">=" | "==" | "!=") => {
                "compare two numbers, and join comparisons by and, or"
            }
            _ => "an operator (+ - * / < <= > >= == != and or) or the end is expected",
        };
        return Err(parser.wrong(format!("{found} does not go here; {hint}")));
    }
    Ok(tree)
}

struct Parser<'t> {
    text: &'t str,
    tokens: Vec<Token>,
    at: usize,
    depth: u32,
}

const END: Token = Token { kind: Kind::End, at: 0..0 };

impl Parser<'_> {
    fn here(&self) -> Token {
        self.tokens.get(self.at).or(self.tokens.last()).cloned().unwrap_or(END)
    }

    fn found(&self) -> String {
        let here = self.here();
        match self.text.get(here.at) {
            Some(text) if !text.is_empty() => format!("`{text}`"),
            _ => "the end".to_owned(),
        }
    }

    fn wrong(&self, message: impl Into<String>) -> Mistake {
        Mistake::new(self.text, self.here().at, message)
    }

    /// Takes a sign, or a word that is written like one.
    fn take(&mut self, wanted: &[&'static str]) -> Option<&'static str> {
        let taken = match self.here().kind {
            Kind::Sign("&&") => "and",
            Kind::Sign("||") => "or",
            Kind::Sign("!") => "not",
            Kind::Sign(sign) => sign,
            Kind::Name(name) => ["and", "or", "not"].into_iter().find(|word| *word == name)?,
            Kind::Number(..) | Kind::End => return None,
        };
        wanted.contains(&taken).then(|| {
            self.at += 1;
            taken
        })
    }

    fn any(&mut self) -> Result<Tree, Mistake> {
        self.joined("or", |parser| parser.joined("and", Self::not))
    }

    fn joined(
        &mut self,
        word: &'static str,
        part: impl Fn(&mut Self) -> Result<Tree, Mistake>,
    ) -> Result<Tree, Mistake> {
        let first = part(self)?;
        let mut parts = vec![first];
        while self.take(&[word]).is_some() {
            parts.push(part(self)?);
        }
        if parts.len() == 1
            && let Some(only) = parts.pop()
        {
            return Ok(only);
        }
        let at = span(parts.first(), parts.last());
        Ok(Tree { node: Node::Joined(word, parts), at })
    }

    fn not(&mut self) -> Result<Tree, Mistake> {
        let start = self.here().at.start;
        if self.take(&["not"]).is_none() {
            return self.compare();
        }
        let inner = self.deeper(Self::not)?;
        let at = start..inner.at.end;
        Ok(Tree { node: Node::Not(Box::new(inner)), at })
    }

    fn compare(&mut self) -> Result<Tree, Mistake> {
        let left = self.sum()?;
        let Some(sign) = self.take(&["<", "<=", ">", ">=", "==", "!="]) else { return Ok(left) };
        let right = self.sum()?;
        let at = left.at.start..right.at.end;
        Ok(Tree { node: Node::Compare(sign, Box::new(left), Box::new(right)), at })
    }

    fn sum(&mut self) -> Result<Tree, Mistake> {
        self.chain(&["+", "-"], |parser| parser.chain(&["*", "/"], Self::signed))
    }

    fn chain(
        &mut self,
        signs: &[&'static str],
        part: impl Fn(&mut Self) -> Result<Tree, Mistake>,
    ) -> Result<Tree, Mistake> {
        let first = part(self)?;
        let mut others = Vec::new();
        while let Some(sign) = self.take(signs) {
            others.push((sign, part(self)?));
        }
        if others.is_empty() {
            return Ok(first);
        }
        let at = span(Some(&first), others.last().map(|(_, last)| last));
        Ok(Tree { node: Node::Chain(Box::new(first), others), at })
    }

    fn signed(&mut self) -> Result<Tree, Mistake> {
        let start = self.here().at.start;
        if self.take(&["-"]).is_some() {
            let inner = self.deeper(Self::signed)?;
            let at = start..inner.at.end;
            return Ok(Tree { node: Node::Negative(Box::new(inner)), at });
        }
        if self.take(&["("]).is_some() {
            let inner = self.deeper(Self::any)?;
            let end = self.closing()?;
            return Ok(Tree { at: start..end, ..inner });
        }
        let token = self.here();
        let node = match token.kind {
            Kind::Number(value, quantity) => Node::Number(value, quantity),
            Kind::Name(name) if !["and", "or", "not"].contains(&name.as_str()) => Node::Name(name),
            _ => {
                let found = self.found();
                let message = format!("a metric, a number or ( is expected before {found}");
                return Err(self.wrong(message));
            }
        };
        self.at += 1;
        match node {
            Node::Name(name) if self.take(&["("]).is_some() => self.call(name, start),
            node => Ok(Tree { node, at: token.at }),
        }
    }

    fn call(&mut self, name: String, start: usize) -> Result<Tree, Mistake> {
        let mut arguments = Vec::new();
        if self.here().kind != Kind::Sign(")") {
            arguments.push(self.deeper(Self::any)?);
            while self.take(&[","]).is_some() {
                arguments.push(self.deeper(Self::any)?);
            }
        }
        let end = self.closing()?;
        Ok(Tree { node: Node::Call(name, arguments), at: start..end })
    }

    /// The end of a closing bracket.
    fn closing(&mut self) -> Result<usize, Mistake> {
        let end = self.here().at.end;
        if self.take(&[")"]).is_some() {
            return Ok(end);
        }
        let found = self.found();
        Err(self.wrong(format!("a closing bracket ) is expected before {found}")))
    }

    fn deeper<T>(&mut self, part: impl FnOnce(&mut Self) -> Result<T, Mistake>) -> Result<T, Mistake> {
        if self.depth >= DEEPEST {
            return Err(self.wrong(format!("nested deeper than {DEEPEST}; write it flatter")));
        }
        self.depth += 1;
        let inner = part(self);
        self.depth -= 1;
        inner
    }
}

fn span(first: Option<&Tree>, last: Option<&Tree>) -> Range<usize> {
    first.map_or(0, |tree| tree.at.start)..last.map_or(0, |tree| tree.at.end)
}
