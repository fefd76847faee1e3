//! From a tree to a condition: what words mean, and whether units go together.

use std::ops::Range;

use waytrace_model::spelling::nearest;

use super::error::Mistake;
use super::expression::{Condition, Number, Shown, Than};
use super::past::{FUNCTIONS, Function, Past};
use super::quantity::Quantity;
use super::syntax::{Node, Tree, tree};
use super::word::Word;

/// Longest time a function looks back.
const LONGEST_S: f64 = 30.0 * 86_400.0;
/// The word for a target without a process.
const MISSING: &str = "missing";

/// A condition and what of it is told in alerts.
#[derive(Debug, Clone, PartialEq)]
pub struct Compiled {
    /// The condition.
    pub condition: Condition,
    /// Its words and functions, in the order they were written.
    pub shown: Vec<Shown>,
}

/// Reads a condition; functions it needs are added to the table unless they are there.
///
/// # Errors
/// What is wrong, where, and what is expected there.
pub fn compile(text: &str, window_ns: u64, functions: &mut Vec<Function>) -> Result<Compiled, Mistake> {
    let tree = tree(text)?;
    let mut compiler = Compiler { text, window_ns, functions, shown: Vec::new(), inside: false };
    let condition = compiler.condition(&tree)?;
    Ok(Compiled { condition, shown: compiler.shown })
}

struct Compiler<'c> {
    text: &'c str,
    window_ns: u64,
    functions: &'c mut Vec<Function>,
    shown: Vec<Shown>,
    /// Within a function, whose words are told by its own text.
    inside: bool,
}

type Typed = (Number, Quantity);

impl Compiler<'_> {
    fn wrong<T>(&self, at: &Range<usize>, message: impl Into<String>) -> Result<T, Mistake> {
        Err(Mistake::new(self.text, at.clone(), message))
    }

    fn condition(&mut self, tree: &Tree) -> Result<Condition, Mistake> {
        match &tree.node {
            Node::Joined(word, parts) => {
                let parts = parts.iter().map(|part| self.condition(part)).collect::<Result<Vec<_>, _>>()?;
                Ok(if *word == "and" { Condition::All(parts) } else { Condition::Any(parts) })
            }
            Node::Not(inner) => Ok(Condition::Not(Box::new(self.condition(inner)?))),
            Node::Name(name) if name == MISSING => Ok(Condition::Missing),
            Node::Name(name) if name == "true" => Ok(Condition::Constant(true)),
            Node::Name(name) if name == "false" => Ok(Condition::Constant(false)),
            Node::Compare(sign, left, right) => self.compare(sign, left, right),
            Node::Number(..) | Node::Name(_) | Node::Call(..) | Node::Negative(_) | Node::Chain(..) => {
                // A name that does not exist is the likelier mistake.
                let (_, quantity) = self.number(tree, None)?;
                let message = format!("a number alone is no condition; compare it: > {}", quantity.example());
                self.wrong(&tree.at, message)
            }
        }
    }

    fn compare(&mut self, sign: &str, left: &Tree, right: &Tree) -> Result<Condition, Mistake> {
        let than = match sign {
            "<" => Than::Less,
            "<=" => Than::AtMost,
            ">" => Than::More,
            ">=" => Than::AtLeast,
            "==" => Than::Equal,
            _ => Than::Unequal,
        };
        let (left_number, left_quantity) = self.number(left, Some(right))?;
        let (right_number, right_quantity) = self.number(right, Some(left))?;
        self.together(left, left_quantity, right, right_quantity)?;
        Ok(Condition::Compare(than, left_number, right_number))
    }

    /// What a sum or comparison of both counts.
    fn together(
        &self,
        left: &Tree,
        one: Quantity,
        right: &Tree,
        other: Quantity,
    ) -> Result<Quantity, Mistake> {
        // Zero is zero in every unit.
        for (zero, quantity) in [(left, other), (right, one)] {
            if matches!(zero.node, Node::Number(0.0, number) if number.bare) {
                return Ok(quantity);
            }
        }
        if let Some(both) = one.beside(other) {
            return Ok(both);
        }
        let (at, quantity) = if one.bare { (&left.at, other) } else { (&right.at, one) };
        if one.bare || other.bare {
            return self.wrong(at, format!("{quantity} needs a number with a unit: {}", quantity.example()));
        }
        self.wrong(&(left.at.start..right.at.end), format!("{one} and {other} do not go together"))
    }

    /// A number; `beside` is the comparison's other side.
    fn number(&mut self, tree: &Tree, beside: Option<&Tree>) -> Result<Typed, Mistake> {
        match &tree.node {
            Node::Number(value, quantity) => Ok((Number::Literal(*value), *quantity)),
            Node::Name(name) => self.word(name, tree),
            Node::Call(name, arguments) => self.call(name, arguments, tree, beside),
            Node::Negative(inner) => {
                let (number, quantity) = self.number(inner, beside)?;
                Ok((Number::Negative(Box::new(number)), quantity))
            }
            Node::Chain(first, others) => self.chain(first, others, beside),
            Node::Joined(..) | Node::Not(_) | Node::Compare(..) => {
                self.wrong(&tree.at, "a number is expected here, and this is a condition")
            }
        }
    }

    fn chain(
        &mut self,
        first: &Tree,
        others: &[(&'static str, Tree)],
        beside: Option<&Tree>,
    ) -> Result<Typed, Mistake> {
        let (first_number, mut quantity) = self.number(first, beside)?;
        let mut numbers = Vec::with_capacity(others.len());
        for (sign, other) in others {
            let (number, its) = self.number(other, beside)?;
            quantity = match *sign {
                "*" => quantity.times(its),
                "/" => quantity.over(its),
                _ => self.together(first, quantity, other, its)?,
            };
            numbers.push((matches!(*sign, "-" | "/"), number));
        }
        let is_product = others.first().is_some_and(|(sign, _)| matches!(*sign, "*" | "/"));
        let first = Box::new(first_number);
        let number = if is_product { Number::Product(first, numbers) } else { Number::Sum(first, numbers) };
        Ok((number, quantity))
    }

    fn word(&mut self, name: &str, tree: &Tree) -> Result<Typed, Mistake> {
        if let Some(word) = Word::parse(name) {
            let (number, quantity) = (Number::Word(word), word.quantity());
            self.show(tree, quantity, &number);
            return Ok((number, quantity));
        }
        if let Some(past) = Past::parse(name) {
            return self.wrong(&tree.at, format!("`{name}` is a function; write {}", past.signature()));
        }
        if [MISSING, "true", "false"].contains(&name) {
            return self.wrong(&tree.at, format!("`{name}` is a condition, and a number is expected here"));
        }
        let meant = meant(name, Word::names().chain([MISSING.to_owned()]));
        self.wrong(&tree.at, format!("`{name}` is no metric or word; {meant}"))
    }

    fn show(&mut self, tree: &Tree, quantity: Quantity, number: &Number) {
        let text = self.text.get(tree.at.clone()).unwrap_or_default();
        if !self.inside && self.shown.iter().all(|shown| shown.text != text) {
            self.shown.push(Shown { text: text.to_owned(), quantity, number: number.clone() });
        }
    }

    fn call(
        &mut self,
        name: &str,
        arguments: &[Tree],
        tree: &Tree,
        beside: Option<&Tree>,
    ) -> Result<Typed, Mistake> {
        let Some(past) = Past::parse(name) else {
            let names = FUNCTIONS.iter().map(|row| row.0.to_owned());
            let meant = match Word::parse(name) {
                Some(_) => "it is a word, and takes no brackets".to_owned(),
                None => meant(name, names),
            };
            return self.wrong(&tree.at, format!("`{name}` is no function; {meant}"));
        };
        if self.inside {
            return self.wrong(&tree.at, "functions do not nest; their first argument is of one window");
        }
        let (of, span) = match (past, arguments, beside) {
            (Past::Baseline, [span], Some(beside)) if !has_calls(beside) => (beside, span),
            (Past::Baseline, [_], Some(beside)) => {
                return self.wrong(&beside.at, "what is compared with a baseline must be without functions");
            }
            (Past::Baseline, [_], None) => {
                return self.wrong(&tree.at, "baseline(TIME) stands on one side of a comparison");
            }
            (_, [of, span], _) => (of, span),
            _ => return self.wrong(&tree.at, format!("write {}", past.signature())),
        };
        let span_ns = self.span(past, span)?;
        self.inside = true;
        let typed = self.number(of, None);
        self.inside = false;
        let (of, quantity) = typed?;
        let quantity = if past.is_slope() { quantity.per_second() } else { quantity };
        let function = Function { past, of, span_ns };
        let place = self.functions.iter().position(|known| *known == function).unwrap_or_else(|| {
            self.functions.push(function);
            self.functions.len() - 1
        });
        let number = Number::Past(place);
        self.show(tree, quantity, &number);
        Ok((number, quantity))
    }

    /// How long a function looks back, in nanoseconds: enough for what it needs at least.
    fn span(&self, past: Past, tree: &Tree) -> Result<u64, Mistake> {
        let Node::Number(seconds, Quantity { bytes: 0, seconds: 1, .. }) = tree.node else {
            return self.wrong(&tree.at, "a time is expected here, like 90s, 5m or 1h");
        };
        if seconds > LONGEST_S {
            return self.wrong(&tree.at, "at most 30d can be looked back");
        }
        let span_ns = (seconds * 1e9) as u64;
        let least_ns = (past.least() as u64).saturating_mul(self.window_ns);
        if span_ns < least_ns {
            let (needed, window) = (
                Quantity::TIME.show(least_ns as f64 / 1e9),
                Quantity::TIME.show(self.window_ns as f64 / 1e9),
            );
            let message = format!(
                "it needs {} windows at least, and windows are {window} long; write {needed} or more",
                past.least()
            );
            return self.wrong(&tree.at, message);
        }
        Ok(span_ns)
    }
}

fn has_calls(tree: &Tree) -> bool {
    match &tree.node {
        Node::Number(..) | Node::Name(_) => false,
        Node::Call(..) => true,
        Node::Joined(_, parts) => parts.iter().any(has_calls),
        Node::Not(inner) | Node::Negative(inner) => has_calls(inner),
        Node::Chain(first, others) => has_calls(first) || others.iter().any(|(_, other)| has_calls(other)),
        Node::Compare(_, left, right) => has_calls(left) || has_calls(right),
    }
}

/// What was probably meant.
fn meant(name: &str, known: impl Iterator<Item = String>) -> String {
    let all: Vec<String> = known.collect();
    match nearest(name, all.iter().map(String::as_str)) {
        Some(word) => format!("do you mean `{word}`?"),
        None if all.len() <= 10 => format!("there are {}", all.join(", ")),
        None => "docs/monitor-rules.md lists all".to_owned(),
    }
}
