//! The rules at work: a window in, what began and ended out.

use std::collections::{BTreeMap, BTreeSet};

use waytrace_model::monitor::{Alert, HostWindow, RecordingLink, TargetWindow};

use super::compile::{Compiled, compile};
use super::config::{MOST_WINDOWS, Record, RuleConfig};
use super::error::{Error, Mistake};
use super::expression::{Moment, Shown};
use super::holding::{Patience, Turn};
use super::past::Function;
use super::series::Series;
use super::target::Memory;
use super::word::{Scene, Scope, end_boot_ns};
use crate::targets::Glob;

/// Functions over history that are kept for each target.
const MOST_FUNCTIONS: usize = 256;
/// Targets that are not seen are remembered for the longest time that is looked back, and for so many windows.
const PATIENCE_WINDOWS: u64 = 10;
/// The target's name in alerts of the host.
const HOST: &str = "";

/// What the rules say of a window.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A rule has held for long enough.
    Began(Alert),
    /// It has been over for long enough, or is no longer a rule.
    Ended(Alert),
}

#[derive(Debug)]
struct Rule {
    config: RuleConfig,
    when: Compiled,
    clear: Option<Compiled>,
    scope: Scope,
    /// Whom it applies to.
    targets: Glob,
    /// Places of its functions in the table.
    functions: BTreeSet<usize>,
}

/// Rules and what they remember.
#[derive(Debug)]
pub struct Rules {
    window_ns: u64,
    rules: Vec<Rule>,
    functions: Vec<Function>,
    /// By name; the host's is empty.
    memories: BTreeMap<String, Memory>,
}

impl Rules {
    /// Reads rules, for windows of a usual length in nanoseconds.
    ///
    /// # Errors
    /// The first rule that cannot be used, and why.
    pub fn new(configs: &[RuleConfig], window_ns: u64) -> Result<Self, Error> {
        let mut functions = Vec::new();
        let mut rules: Vec<Rule> = Vec::new();
        for (position, config) in configs.iter().enumerate() {
            check(config, position, configs)?;
            rules.push(Rule::new(config, window_ns, &mut functions)?);
        }
        if functions.len() > MOST_FUNCTIONS {
            return Err(Error::TooMany { count: functions.len(), most: MOST_FUNCTIONS });
        }
        Ok(Self { window_ns, rules, functions, memories: BTreeMap::new() })
    }

    /// What begins and ends with a window. Windows come in order.
    pub fn judge(&mut self, window: &HostWindow) -> Vec<Event> {
        let mut events = Vec::new();
        let mut judged = BTreeSet::from([HOST]);
        self.judge_one(window, HOST, None, false, &mut events);
        for target in &window.targets {
            if judged.insert(&target.target) {
                self.judge_one(window, &target.target, Some(target), false, &mut events);
            }
        }
        for name in &window.missing {
            if judged.insert(name) {
                self.judge_one(window, name, None, true, &mut events);
            }
        }
        // Neither seen nor missed: it has ended, or is no target any more.
        let gone: Vec<String> = self
            .memories
            .iter()
            .filter(|(name, memory)| !judged.contains(name.as_str()) && memory.is_alerting())
            .map(|(name, _)| name.clone())
            .collect();
        for name in gone {
            self.judge_one(window, &name, None, false, &mut events);
        }
        self.forget(end_boot_ns(window));
        events
    }

    fn judge_one(
        &mut self,
        window: &HostWindow,
        name: &str,
        target: Option<&TargetWindow>,
        missing: bool,
        events: &mut Vec<Event>,
    ) {
        let scope = if name == HOST { Scope::Host } else { Scope::Target };
        let applies =
            |rule: &Rule| rule.scope == scope && (scope == Scope::Host || rule.targets.matches(name));
        if !self.rules.iter().any(applies) {
            return;
        }
        let memory = self.memories.entry(name.to_owned()).or_default();
        if scope == Scope::Target {
            memory.meet(window, target);
        }
        let end_ns = end_boot_ns(window);
        memory.judged_ns = end_ns;
        let scene = Scene { host: window, target };
        let mut past = vec![None; self.functions.len()];
        let needed: BTreeSet<usize> = self
            .rules
            .iter()
            .filter(|rule| applies(rule))
            .flat_map(|rule| rule.functions.iter().copied())
            .collect();
        for place in needed {
            let Some(function) = self.functions.get(place) else { continue };
            let now = function.of.value(Moment { scene, missing, past: &[] });
            let series = memory.series.entry(place).or_insert_with(|| Series::new(function, self.window_ns));
            if let Some(value) = past.get_mut(place) {
                *value = series.next(end_ns, now);
            }
        }
        let moment = Moment { scene, missing, past: &past };
        for (place, rule) in self.rules.iter().enumerate().filter(|(_, rule)| applies(rule)) {
            let holding = memory.rules.entry(place).or_default();
            let holds = rule.when.condition.holds(moment);
            let is_over = match &rule.clear {
                Some(clear) => clear.condition.holds(moment),
                None => holds.map(|holds| !holds),
            };
            let now_unix_ns = window.start_unix_ns.saturating_add(window.length_ns);
            match holding.next(rule.patience(), holds, is_over, now_unix_ns) {
                Some(Turn::Begins { since_unix_ns }) => {
                    let alert = rule.alert(name, moment, since_unix_ns);
                    holding.begin(alert.clone());
                    events.push(Event::Began(alert));
                }
                Some(Turn::Ends) => events.extend(holding.end(now_unix_ns).map(Event::Ended)),
                None => {}
            }
        }
    }

    /// Targets that have not been seen for so long that nothing of their history is looked at.
    fn forget(&mut self, now_ns: u64) {
        let longest_ns = self.functions.iter().map(|function| function.span_ns).max().unwrap_or(0);
        let kept_ns = longest_ns.saturating_add(self.window_ns.saturating_mul(PATIENCE_WINDOWS));
        self.memories
            .retain(|_, memory| memory.is_alerting() || now_ns.saturating_sub(memory.judged_ns) <= kept_ns);
    }

    /// Alerts that are told now, by target and rule.
    pub fn active(&self) -> Vec<&Alert> {
        let alerts = self.memories.values().flat_map(|memory| memory.rules.values());
        alerts.filter_map(|holding| holding.alert.as_ref()).collect()
    }

    /// A rule by its name.
    pub fn config(&self, rule: &str) -> Option<&RuleConfig> {
        self.rules.iter().map(|rule| &rule.config).find(|config| config.name == rule)
    }

    /// All rules, as they are used.
    pub fn configs(&self) -> impl Iterator<Item = &RuleConfig> {
        self.rules.iter().map(|rule| &rule.config)
    }

    /// Notes what was recorded for an alert that is told, and adds to its detail; gives the alert. `None` where it is told no more.
    pub fn recorded(
        &mut self,
        rule: &str,
        target: &str,
        link: RecordingLink,
        detail: Option<&str>,
    ) -> Option<&Alert> {
        let place = self.rules.iter().position(|known| known.config.name == rule)?;
        let alert = self.memories.get_mut(target)?.rules.get_mut(&place)?.alert.as_mut()?;
        alert.recording = link;
        if let Some(detail) = detail {
            alert.detail = format!("{}; {detail}", alert.detail);
        }
        Some(alert)
    }

    /// Takes other rules. Those that judge as before go on where they were, and so do histories; alerts of those that are gone or changed
    /// end now. Where the new ones cannot be used, all stays as it is.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn reload(
        &mut self,
        configs: &[RuleConfig],
        window_ns: u64,
        now_unix_ns: u64,
    ) -> Result<Vec<Event>, Error> {
        let mut new = Self::new(configs, window_ns)?;
        let mut events = Vec::new();
        for (name, mut memory) in std::mem::take(&mut self.memories) {
            let mut rules = BTreeMap::new();
            for (place, mut holding) in std::mem::take(&mut memory.rules) {
                let old = self.rules.get(place);
                let goes_on = |rule: &Rule| {
                    old.is_some_and(|old| {
                        old.config.name == rule.config.name && old.config.judges_like(&rule.config)
                    })
                };
                match new.rules.iter().position(goes_on) {
                    Some(place) => {
                        rules.insert(place, holding);
                    }
                    None => events.extend(holding.end(now_unix_ns).map(Event::Ended)),
                }
            }
            memory.rules = rules;
            let mut series = std::mem::take(&mut memory.series);
            if new.window_ns == self.window_ns {
                let kept = new.functions.iter().enumerate().filter_map(|(place, function)| {
                    let old = self.functions.iter().position(|known| known == function)?;
                    Some((place, series.remove(&old)?))
                });
                memory.series = kept.collect();
            }
            new.memories.insert(name, memory);
        }
        *self = new;
        Ok(events)
    }

    /// Points of history that are kept, of all targets.
    pub fn points(&self) -> usize {
        self.memories.values().flat_map(|memory| memory.series.values()).map(Series::len).sum()
    }
}

fn check(config: &RuleConfig, position: usize, configs: &[RuleConfig]) -> Result<(), Error> {
    let rule = || config.name.clone();
    if config.name.trim().is_empty() {
        return Err(Error::NoName { position: position + 1 });
    }
    if configs.iter().take(position).any(|other| other.name == config.name) {
        return Err(Error::NameTaken { rule: rule() });
    }
    for (key, windows) in [("hold_for", config.hold_for), ("clear_after", config.clear_after)] {
        if !(1..=MOST_WINDOWS).contains(&windows) {
            return Err(Error::Windows { rule: rule(), key, windows, most: MOST_WINDOWS });
        }
    }
    match config.record {
        Record::Seconds(seconds) if !(1..=Record::MOST_SECONDS).contains(&seconds) => {
            Err(Error::Record { rule: rule(), seconds, most: Record::MOST_SECONDS })
        }
        _ => Ok(()),
    }
}

impl Rule {
    fn new(config: &RuleConfig, window_ns: u64, functions: &mut Vec<Function>) -> Result<Self, Error> {
        let wrong =
            |key| move |mistake: Mistake| Error::Condition { rule: config.name.clone(), key, mistake };
        let when = compile(&config.when, window_ns, functions).map_err(wrong("when"))?;
        let clear = config.clear_when.as_deref().map(|text| compile(text, window_ns, functions)).transpose();
        let clear = clear.map_err(wrong("clear_when"))?;
        let both = || std::iter::once(&when).chain(&clear).map(|compiled| &compiled.condition);
        let of_target = both().any(|condition| condition.scope(functions) == Scope::Target);
        let scope = if of_target { Scope::Target } else { Scope::Host };
        if scope == Scope::Host && config.target != "*" {
            return Err(Error::HostOnly { rule: config.name.clone() });
        }
        let mut places = BTreeSet::new();
        for condition in both() {
            condition.numbers(&mut |number| {
                number.functions(&mut |place| {
                    places.insert(place);
                });
            });
        }
        let targets = Glob::new(&config.target).map_err(|reason| Error::Target {
            rule: config.name.clone(),
            target: config.target.clone(),
            reason,
        })?;
        Ok(Self { config: config.clone(), targets, scope, functions: places, when, clear })
    }

    fn patience(&self) -> Patience {
        Patience { hold_for: self.config.hold_for, clear_after: self.config.clear_after }
    }

    fn alert(&self, target: &str, moment: Moment<'_>, began_unix_ns: u64) -> Alert {
        let tell = |shown: &Shown| match shown.number.value(moment) {
            Some(value) => format!("{} = {}", shown.text, shown.quantity.show(value)),
            None => format!("{} unknown", shown.text),
        };
        let mut told: Vec<String> = self.when.shown.iter().map(tell).collect();
        if moment.missing {
            told.push("no process of it is there".to_owned());
        }
        Alert {
            rule: self.config.name.clone(),
            target: target.to_owned(),
            when: self.config.when.clone(),
            detail: told.join(", "),
            began_unix_ns,
            ended: None,
            recording: RecordingLink::None,
        }
    }
}
