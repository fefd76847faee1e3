//! Programs written as text, for the command line: `loop:1MiB`, `zipf:8MiB:0.9`, `mix(3*loop:1MiB,stream)`,
//! `phases(loop:1MiB,stream,10000)`, `code(512KiB,30,random:4MiB)`.

use std::str::FromStr;

use super::program::Program;

/// A text that names no program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadProgram {
    /// Nothing of that name.
    #[error(
        "no program {0:?}: use stream, loop:SIZE, random:SIZE, zipf:SIZE:EXPONENT, mix(WEIGHT*P,…), phases(P,P,ACCESSES) or code(SIZE,PERCENT,P)"
    )]
    Unknown(String),
    /// A size that is none.
    #[error("{0:?} is no size: write bytes above 0, as 512KiB or 4MiB")]
    Size(String),
    /// A number that is none.
    #[error("{text:?} is no {what}")]
    Number {
        /// What stands there.
        text: String,
        /// What it should be.
        what: &'static str,
    },
}

impl FromStr for Program {
    type Err = BadProgram;

    fn from_str(text: &str) -> Result<Self, BadProgram> {
        let text = text.trim();
        let unknown = || BadProgram::Unknown(text.to_owned());
        if let Some((name, inside)) = text.strip_suffix(')').and_then(|text| text.split_once('(')) {
            let parts = split(inside);
            return match (name, parts.as_slice()) {
                ("mix", parts @ [_, ..]) => {
                    Ok(Self::Mixed(parts.iter().map(|part| weighted(part)).collect::<Result<_, _>>()?))
                }
                ("phases", [first, second, accesses]) => Ok(Self::Phases {
                    first: Box::new(first.parse()?),
                    second: Box::new(second.parse()?),
                    accesses: number(accesses, "number of accesses")?,
                }),
                ("code", [bytes, percent, data]) => Ok(Self::WithCode {
                    bytes: size(bytes)?,
                    percent: number(percent, "percentage")?,
                    data: Box::new(data.parse()?),
                }),
                _ => Err(unknown()),
            };
        }
        match *text.split(':').collect::<Vec<_>>().as_slice() {
            ["stream"] => Ok(Self::Stream),
            ["loop", bytes] => Ok(Self::Loop { bytes: size(bytes)? }),
            ["random", bytes] => Ok(Self::Random { bytes: size(bytes)? }),
            ["zipf", bytes, exponent] => {
                let exponent: f64 = number(exponent, "exponent")?;
                let is_usable = exponent.is_finite() && exponent >= 0.0;
                if is_usable { Ok(Self::Zipf { bytes: size(bytes)?, exponent }) } else { Err(unknown()) }
            }
            _ => Err(unknown()),
        }
    }
}

/// Splits at the commas that are in no inner brackets.
fn split(text: &str) -> Vec<&str> {
    let mut depth = 0_u32;
    let outer = |c: char| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    };
    text.split(outer).map(str::trim).collect()
}

fn weighted(text: &str) -> Result<(u32, Program), BadProgram> {
    match text.split_once('*') {
        Some((weight, program)) => Ok((number(weight, "weight")?, program.parse()?)),
        None => Ok((1, text.parse()?)),
    }
}

fn number<T: FromStr>(text: &str, what: &'static str) -> Result<T, BadProgram> {
    text.trim().parse().map_err(|_| BadProgram::Number { text: text.to_owned(), what })
}

/// Longest program: lets a host be overrun many times and still be modelled in little memory.
const LONGEST: u64 = 1 << 32;

fn size(text: &str) -> Result<u64, BadProgram> {
    let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("", 1)];
    let scaled = units.iter().find_map(|(unit, scale)| {
        let bytes: u64 = text.strip_suffix(unit)?.trim().parse().ok()?;
        bytes.checked_mul(*scale)
    });
    scaled.filter(|bytes| (1..=LONGEST).contains(bytes)).ok_or_else(|| BadProgram::Size(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_meant() {
        let parse = |text: &str| text.parse::<Program>().unwrap();
        let mib = |n: u64| n << 20;
        assert_eq!(parse("loop:1MiB"), Program::Loop { bytes: mib(1) });
        assert_eq!(parse("zipf:8MiB:0.9"), Program::Zipf { bytes: mib(8), exponent: 0.9 });
        assert_eq!(
            parse("mix(3*loop:1MiB, stream)"),
            Program::Mixed(vec![(3, Program::Loop { bytes: mib(1) }), (1, Program::Stream)])
        );
        let phases = Program::Phases {
            first: Box::new(Program::Mixed(vec![(1, Program::Stream), (1, Program::Random { bytes: 4096 })])),
            second: Box::new(Program::Stream),
            accesses: 10,
        };
        assert_eq!(parse("phases(mix(stream,random:4KiB),stream,10)"), phases);
        assert!(matches!(parse("code(512KiB,30,stream)"), Program::WithCode { percent: 30, .. }));
    }

    #[test]
    fn other_texts_are_errors() {
        for text in [
            "",
            "walk",
            "loop",
            "loop:0",
            "loop:x",
            "loop:9999GiB",
            "zipf:1MiB:-1",
            "zipf:1MiB:NaN",
            "mix()",
            "phases(stream)",
            "mix(",
            "x(stream)",
        ] {
            assert!(text.parse::<Program>().is_err(), "{text:?}");
        }
    }
}
