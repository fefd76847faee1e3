//! The command line itself: help, versions, mistakes, and which stream gets what.

use crate::harness::waytrace::{Store, run};

const COMMANDS: [&str; 12] = [
    "doctor", "profile", "list", "show", "diff", "report", "export", "prune", "bench", "import", "events",
    "top",
];

#[test]
fn help_and_version_are_results() {
    for args in [["--help"], ["--version"]] {
        let finished = run(&args);
        assert_eq!(finished.code, 0, "{finished:#?}");
        assert!(finished.stdout.contains("waytrace"), "{finished:#?}");
        assert_eq!(finished.stderr, "");
    }
    assert!(run(&["--version"]).stdout.contains(env!("CARGO_PKG_VERSION")));
}

#[test]
fn every_command_has_help() {
    let overview = run(&["--help"]).stdout;
    for command in COMMANDS {
        assert!(overview.contains(command), "{command} is missing in:\n{overview}");
        let finished = run(&[command, "--help"]);
        assert_eq!(finished.code, 0, "{command}: {finished:#?}");
        assert!(finished.stdout.contains("Usage"), "{command}: {finished:#?}");
    }
}

#[test]
fn profile_has_the_options_of_its_contract() {
    let help = run(&["profile", "--help"]).stdout;
    for option in [
        "--pid",
        "--tid",
        "--comm",
        "--cgroup",
        "--follow-forks",
        "--duration",
        "--interval",
        "--collect",
        "--events",
        "--exact",
        "--min-size",
        "--max-samples",
        "--detail",
        "--budget",
        "--db",
        "--name",
        "--json",
    ] {
        assert!(help.contains(option), "{option} is missing in:\n{help}");
    }
}

/// Mistakes: exit code 2, nothing on stdout, the culprit named on stderr.
#[test]
fn mistakes_name_the_culprit() {
    let mistakes: [(&[&str], &str); 14] = [
        (&["--frobnicate"], "--frobnicate"),
        (&["frobnicate"], "frobnicate"),
        (&["profile", "--frobnicate"], "--frobnicate"),
        (&["profile", "--pid", "one"], "one"),
        (&["profile", "--pid", "-1"], "-1"),
        (&["profile", "--pid", "1", "--duration", "1 fortnight"], "fortnight"),
        (&["profile", "--pid", "1", "--interval", "soon"], "soon"),
        (&["profile", "--pid", "1", "--budget", "101%"], "101%"),
        (&["profile", "--pid", "1", "--exact", "--min-size", "4 sheep"], "4 sheep"),
        (&["profile", "--pid", "1", "--collect", "stamps"], "stamps"),
        (&["profile", "--pid", "1", "--max-samples", "999"], "1000 samples or more; 0 keeps all"),
        (&["import", "x", "--max-samples", "1k"], "1k"),
        (&["profile", "--pid", "1", "--detail", "everything"], "everything"),
        (&["profile", "--pid", "1", "--comm", "init"], "--comm"),
    ];
    for (args, culprit) in mistakes {
        let finished = run(args);
        assert_eq!(finished.code, 2, "{args:?}: {finished:#?}");
        assert_eq!(finished.stdout, "", "{args:?}");
        assert!(finished.stderr.contains(culprit), "{args:?}: {finished:#?}");
    }
}

#[test]
fn profile_needs_a_target() {
    let finished = run(&["profile", "--duration", "1s"]);
    assert_eq!((finished.code, finished.stdout.as_str()), (2, ""), "{finished:#?}");
    assert!(finished.stderr.contains("--pid"), "{finished:#?}");
}

#[test]
fn an_empty_store_has_no_runs() {
    let store = Store::new();
    let listed = store.run(&["list", "--json"]);
    assert_eq!(listed.code, 0, "{listed:#?}");
    assert_eq!(listed.json(), serde_json::json!([]));
    for args in [["show", "last"], ["show", "nothing-of-that-name"], ["report", "last"]] {
        let finished = store.run(&args);
        assert_eq!(finished.code, 2, "{finished:#?}");
        assert_eq!(finished.stdout, "");
        assert_eq!(finished.complaints().len(), 1, "{finished:#?}");
    }
}

#[test]
fn doctor_prints_a_matrix_and_json() {
    let finished = run(&["doctor", "--json"]);
    assert!([0, 1, 2].contains(&finished.code), "{finished:#?}");
    assert!(finished.json().is_object(), "{finished:#?}");
    assert!(!run(&["doctor"]).stdout.is_empty());
}
