//! What a guest said on its console: `VM-TEST plan NAMES`, `VM-TEST NAME ok|failed DETAIL` for each, `VM-TEST end`.

const MARK: &str = "VM-TEST ";
/// Lines shown of a console that ends too early.
const SHOWN: usize = 30;

/// What the lines come to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// Checks of the plan that passed.
    pub passed: usize,
    /// Everything that speaks against it; none if all is well.
    pub complaints: Vec<String>,
    /// The guest did not come to its end.
    pub is_cut_short: bool,
}

/// What a line says of a check. Other lines are the kernel's.
pub fn told(line: &str) -> Option<&str> {
    // The kernel may have begun the line.
    line.find(MARK).and_then(|at| line.get(at + MARK.len()..)).map(str::trim_end)
}

/// Judges all lines. What is planned must be told as passed, once.
pub fn judge(lines: &[String]) -> Judged {
    let told: Vec<&str> = lines.iter().filter_map(|line| told(line)).collect();
    let mut judged = Judged { is_cut_short: !told.contains(&"end"), ..Judged::default() };
    if judged.is_cut_short {
        judged.complaints.push("the guest did not come to its end".to_owned());
    }
    let Some(plan) = told.iter().find_map(|line| line.strip_prefix("plan ")) else {
        judged.complaints.push("the guest named no checks".to_owned());
        return judged;
    };
    for name in plan.split_whitespace() {
        let of = |line: &&str| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned);
        let outcomes: Vec<String> = told.iter().filter_map(of).collect();
        match outcomes.as_slice() {
            [one] if one == "ok" || one.starts_with("ok ") => judged.passed += 1,
            [one] => judged.complaints.push(format!("{name}: {one}")),
            [] => judged.complaints.push(format!("{name}: the guest said nothing of it")),
            _ => judged.complaints.push(format!("{name}: told {} times", outcomes.len())),
        }
    }
    judged
}

/// The last lines.
pub fn end(lines: &[String]) -> String {
    lines.get(lines.len().saturating_sub(SHOWN)..).unwrap_or_default().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(text: &str) -> Judged {
        judge(&text.lines().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn all_that_is_planned_has_to_pass() {
        let text =
            "[ 0.1] kernel\nVM-TEST plan a ab\nVM-TEST a ok 5 of 5\r\n[ 0.2] VM-TEST ab ok\nVM-TEST end\n";
        assert_eq!(judged(text), Judged { passed: 2, ..Judged::default() });
    }

    #[test]
    fn what_failed_is_missing_or_told_twice_is_a_complaint() {
        let text = "VM-TEST plan a b c d\nVM-TEST a failed 4 of 5\nVM-TEST c ok\nVM-TEST c ok\nVM-TEST d okay\nVM-TEST end\n";
        let Judged { passed, complaints, is_cut_short } = judged(text);
        assert_eq!((passed, is_cut_short), (0, false));
        assert_eq!(
            complaints,
            ["a: failed 4 of 5", "b: the guest said nothing of it", "c: told 2 times", "d: okay"]
        );
    }

    #[test]
    fn a_guest_that_dies_is_no_success() {
        assert!(judged("").is_cut_short && judged("").complaints.len() == 2);
        let died = judged("VM-TEST plan a\nVM-TEST a ok\nKernel panic\n");
        assert_eq!((died.passed, died.is_cut_short, died.complaints.len()), (1, true, 1));
        assert!(!judged("VM-TEST end\n").complaints.is_empty(), "nothing was checked");
    }

    #[test]
    fn the_end_of_a_console_is_short() {
        let lines: Vec<String> = (0..100).map(|number| number.to_string()).collect();
        assert!(end(&lines).starts_with("70\n") && end(&lines[..2]) == "0\n1");
    }
}
