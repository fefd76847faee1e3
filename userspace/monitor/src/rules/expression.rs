//! Numbers and conditions as they are evaluated: total, and without a value where what they rest on has none.

use super::past::Function;
use super::quantity::Quantity;
use super::word::{Scene, Scope, Word};

/// A number.
#[derive(Debug, Clone, PartialEq)]
pub enum Number {
    /// Written down.
    Literal(f64),
    /// Of the window.
    Word(Word),
    /// A function over history, by its place in the table.
    Past(usize),
    /// The negative.
    Negative(Box<Number>),
    /// A sum; of those marked, the negative.
    Sum(Box<Number>, Vec<(bool, Number)>),
    /// A product; of those marked, the reciprocal.
    Product(Box<Number>, Vec<(bool, Number)>),
}

/// How a comparison compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Than {
    Less,
    AtMost,
    More,
    AtLeast,
    Equal,
    Unequal,
}

/// A condition.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// `true`, `false`.
    Constant(bool),
    /// The target has no process.
    Missing,
    /// Of two numbers.
    Compare(Than, Number, Number),
    /// All of them hold.
    All(Vec<Condition>),
    /// Any of them holds.
    Any(Vec<Condition>),
    /// It does not hold.
    Not(Box<Condition>),
}

/// A window of a target and the functions' values in it.
#[derive(Debug, Clone, Copy)]
pub struct Moment<'m> {
    /// The window.
    pub scene: Scene<'m>,
    /// The target is configured and has no process.
    pub missing: bool,
    /// Values of the functions, by their place in the table.
    pub past: &'m [Option<f64>],
}

impl Number {
    /// Its value; `None` where a part has none, and where the result is not finite.
    pub fn value(&self, moment: Moment<'_>) -> Option<f64> {
        let value = match self {
            Self::Literal(value) => *value,
            Self::Word(word) => word.value(moment.scene)?,
            Self::Past(place) => moment.past.get(*place).copied().flatten()?,
            Self::Negative(inner) => -inner.value(moment)?,
            Self::Sum(first, others) => {
                let first = first.value(moment)?;
                others.iter().try_fold(first, |sum, (is_less, other)| {
                    let other = other.value(moment)?;
                    Some(if *is_less { sum - other } else { sum + other })
                })?
            }
            Self::Product(first, others) => {
                let first = first.value(moment)?;
                others.iter().try_fold(first, |product, (is_over, other)| {
                    let other = other.value(moment)?;
                    Some(if *is_over { product / other } else { product * other })
                })?
            }
        };
        value.is_finite().then_some(value)
    }

    /// Calls `see` with every word in it, those in functions included.
    pub fn words(&self, functions: &[Function], see: &mut impl FnMut(Word)) {
        match self {
            Self::Literal(_) => {}
            Self::Word(word) => see(*word),
            // Functions do not nest, so this goes one step down.
            Self::Past(place) => {
                if let Some(function) = functions.get(*place) {
                    function.of.words(&[], see);
                }
            }
            Self::Negative(inner) => inner.words(functions, see),
            Self::Sum(first, others) | Self::Product(first, others) => {
                first.words(functions, see);
                others.iter().for_each(|(_, other)| other.words(functions, see));
            }
        }
    }

    /// Calls `see` with the place of every function in it.
    pub fn functions(&self, see: &mut impl FnMut(usize)) {
        match self {
            Self::Literal(_) | Self::Word(_) => {}
            Self::Past(place) => see(*place),
            Self::Negative(inner) => inner.functions(see),
            Self::Sum(first, others) | Self::Product(first, others) => {
                first.functions(see);
                others.iter().for_each(|(_, other)| other.functions(see));
            }
        }
    }
}

impl Than {
    fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Self::Less => left < right,
            Self::AtMost => left <= right,
            Self::More => left > right,
            Self::AtLeast => left >= right,
            Self::Equal => left == right,
            Self::Unequal => left != right,
        }
    }
}

impl Condition {
    /// Whether it holds; `None` where that depends on a comparison without a value (Kleene's logic: `false and ?` is false).
    pub fn holds(&self, moment: Moment<'_>) -> Option<bool> {
        let among = |conditions: &[Self], decides: bool| {
            let mut result = Some(!decides);
            for condition in conditions {
                match condition.holds(moment) {
                    Some(holds) if holds == decides => return Some(decides),
                    Some(_) => {}
                    None => result = None,
                }
            }
            result
        };
        match self {
            Self::Constant(holds) => Some(*holds),
            Self::Missing => Some(moment.missing),
            Self::Compare(than, left, right) => Some(than.holds(left.value(moment)?, right.value(moment)?)),
            Self::All(conditions) => among(conditions, false),
            Self::Any(conditions) => among(conditions, true),
            Self::Not(inner) => inner.holds(moment).map(|holds| !holds),
        }
    }

    /// Calls `see` with every number that is compared.
    pub fn numbers(&self, see: &mut impl FnMut(&Number)) {
        match self {
            Self::Constant(_) | Self::Missing => {}
            Self::Compare(_, left, right) => {
                see(left);
                see(right);
            }
            Self::All(conditions) | Self::Any(conditions) => {
                conditions.iter().for_each(|condition| condition.numbers(see));
            }
            Self::Not(inner) => inner.numbers(see),
        }
    }

    fn speaks_of_missing(&self) -> bool {
        match self {
            Self::Missing => true,
            Self::Constant(_) | Self::Compare(..) => false,
            Self::All(conditions) | Self::Any(conditions) => conditions.iter().any(Self::speaks_of_missing),
            Self::Not(inner) => inner.speaks_of_missing(),
        }
    }

    /// Of targets if any of its words is.
    pub fn scope(&self, functions: &[Function]) -> Scope {
        let mut of_target = self.speaks_of_missing();
        self.numbers(&mut |number| {
            number.words(functions, &mut |word| of_target |= word.scope() == Scope::Target);
        });
        if of_target { Scope::Target } else { Scope::Host }
    }
}

/// A part of a condition that is told in an alert.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// As it was written.
    pub text: String,
    /// What it counts.
    pub quantity: Quantity,
    /// Its number.
    pub number: Number,
}
