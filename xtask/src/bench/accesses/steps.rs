//! What a walked instruction costs, by the bench of the crate that walks (`userspace/walk/benches/steps.rs`): no process
//! is attached to, and memory is at hand.

use super::super::context::Context;
use super::super::figure::{Asked, Figure};
use crate::workspace;
use anyhow::{Context as _, Result, ensure};

/// Nanoseconds asked for, of code that a walk has come by before.
const MOST_NS: f64 = 75.0;
/// What is there to compare with: code that no walk has come by.
const FIRST_TIME: &str = "decode";

pub fn run(context: &Context) -> Result<Vec<Figure>> {
    eprintln!("xtask: cost of a walked instruction");
    let mut figures: Vec<(String, Vec<f64>)> = Vec::new();
    for _ in 0..context.pick(5, 1) {
        let mut cargo = workspace::cargo()?;
        let output = cargo.args(["bench", "-q", "-p", "waytrace-walk", "--bench", "steps"]).output();
        let output = output.context("cannot start cargo")?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        for (name, ns) in parse(&String::from_utf8_lossy(&output.stdout))? {
            match figures.iter_mut().find(|(known, _)| *known == name) {
                Some((_, values)) => values.push(ns),
                None => figures.push((name, vec![ns])),
            }
        }
    }
    let figure = |(name, values): (String, Vec<f64>)| {
        let figure = Figure::new(format!("a walked instruction: {name}"), "ns", values);
        if name.contains(FIRST_TIME) { figure } else { figure.asked(Asked::AtMost(MOST_NS)) }
    };
    Ok(figures.into_iter().map(figure).collect())
}

fn parse(text: &str) -> Result<Vec<(String, f64)>> {
    let line = |line: &str| {
        let (ns, name) = line.split_once('\t').with_context(|| format!("not a figure: {line}"))?;
        Ok((name.to_owned(), ns.parse().with_context(|| format!("not a number: {ns}"))?))
    };
    text.lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_figures_or_errors() {
        assert_eq!(parse("21.50\thash\n").unwrap(), [("hash".to_owned(), 21.5)]);
        assert!(parse("hash").is_err() && parse("x\thash").is_err());
    }
}
