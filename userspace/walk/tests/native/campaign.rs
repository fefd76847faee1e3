//! Blocks of all forms in turn, and what came of them.

use std::collections::{BTreeMap, BTreeSet};

use iced_x86::{Code, EncodingKind};

use super::forms;
use super::processor::Processor;
use super::random::Random;
use super::trial::{Outcome, Trial};

pub struct Campaign {
    trial: Trial,
    random: Random,
    forms: Vec<Code>,
    /// What the processor refuses or the generator cannot make.
    unavailable: BTreeSet<Code>,
    /// One report for each form that differs.
    wrong: BTreeMap<Code, String>,
}

impl Campaign {
    pub fn new(processor: Processor, seed: u64) -> Self {
        Self {
            trial: Trial::new(processor),
            random: Random(seed),
            forms: forms::all(),
            unavailable: BTreeSet::new(),
            wrong: BTreeMap::new(),
        }
    }

    /// Runs each form `rounds` times: first alone, to learn what this processor has, then among others.
    pub fn run(&mut self, rounds: u64) {
        for round in 0..rounds {
            for place in 0..self.forms.len() {
                let form = self.forms[place];
                let is_hopeless = self.unavailable.contains(&form) && !self.trial.run.contains(&form);
                if round > 1 && is_hopeless {
                    continue;
                }
                let block = if round == 0 { vec![form] } else { self.among_others(form) };
                match self.trial.block(&block, &mut self.random) {
                    Outcome::Right => {}
                    Outcome::Unavailable(form) => drop(self.unavailable.insert(form)),
                    Outcome::Wrong(form, report) => drop(self.wrong.entry(form).or_insert(report)),
                }
            }
        }
    }

    /// The form and up to three that are known to run, in any order.
    fn among_others(&mut self, form: Code) -> Vec<Code> {
        let mut block = vec![form];
        if forms::is_run_alone(form) {
            return block;
        }
        for _ in 0..self.random.below(4) {
            let other = self.random.pick(&self.forms);
            if self.trial.run.contains(&other) && !forms::is_run_alone(other) {
                block.push(other);
            }
        }
        let place = self.random.below(block.len() as u64) as usize;
        block.swap(0, place);
        block
    }

    /// Prints what was run, and the reports of all that differs.
    pub fn report(&self, lists_forms: bool) {
        let trial = &self.trial;
        for encoding in [EncodingKind::Legacy, EncodingKind::VEX, EncodingKind::EVEX] {
            let of = |set: &BTreeSet<Code>| {
                set.iter().filter(|form| form.op_code().encoding() == encoding).count()
            };
            let all = self.forms.iter().copied().collect();
            let (all, run, followed) = (of(&all), of(&trial.run), of(&trial.followed));
            println!(
                "{encoding:?}: {run} of {all} forms run here, {followed} of them followed with nothing lost"
            );
        }
        println!(
            "{} blocks, {} instructions; walks that ended early: {:?}",
            trial.blocks, trial.steps, trial.ends
        );
        if lists_forms {
            let lost: Vec<_> = trial.run.difference(&trial.followed).collect();
            println!("run, but not followed: {lost:?}");
            let never: Vec<_> = self.forms.iter().filter(|form| !trial.run.contains(form)).collect();
            println!("never run: {never:?}");
        }
        for (form, report) in &self.wrong {
            println!("---- {form:?}\n{report}");
        }
    }

    /// Forms executed by the processor and compared.
    pub fn run_count(&self) -> usize {
        self.trial.run.len()
    }

    /// Forms after which the walk knew all registers and flags, as it had before.
    pub fn followed_count(&self) -> usize {
        self.trial.followed.len()
    }

    /// The forms that differ.
    pub fn wrong(&self) -> Vec<Code> {
        self.wrong.keys().copied().collect()
    }
}
