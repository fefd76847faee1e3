//! Files with one mistake each, flags, reloads, and the documents against the types.

use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::rules::Record;
use crate::web::{PprofConfig, PushConfig};

const GOOD: &str = r#"window = "2s"

[budget]
cpu_pct = 0.5

[history]
path = "/var/lib/waytrace/history.db"
keep = { window = "1h", minute = "1d" }

[http]
listen = "127.0.0.1:9477"

[collect]
cache = false
events = true
event_names = ["cycles"]

[[target]]
name = "redis"
comm = "redis-server"
children = true
budget = { target_slowdown_pct = 0.2 }
leave_out = ["accesses"]

[[target]] # the second
name = "web"
cgroup = "/system.slice/nginx*"

[[rule]]
name = "grows"
when = "growth(rss_bytes, 60s) > 1MB/s"
target = "web"
hold_for = 3
record = 15
hooks = ["tell"]

[[hook]]
name = "tell"
command = ["/usr/bin/logger", "-t", "waytrace"]
"#;

fn refused(text: &str) -> String {
    Config::parse(text, "x.toml").unwrap_err().to_string()
}

#[test]
fn a_file_says_what_it_says() {
    let config = Config::parse(GOOD, "x.toml").unwrap();
    assert_eq!(config.window_ns, 2_000_000_000);
    assert_eq!(config.budget, Budget { cpu_pct: 0.5, ..Budget::default() });
    assert_eq!(config.history.keep.window_ns, 3_600_000_000_000);
    assert_eq!(config.history.keep.hour_ns, Keep::default().hour_ns);
    assert_eq!(config.collect.switch(CollectorName::Cache), Switch::Off);
    assert_eq!(config.collect.switch(CollectorName::Events), Switch::On);
    assert_eq!(config.collect.switch(CollectorName::Counters), Switch::Auto);
    let redis = &config.targets[0];
    assert!(redis.children && redis.leave_out == [CollectorName::Accesses]);
    assert_eq!(redis.budget, TargetBudget { cpu_pct: None, target_slowdown_pct: Some(0.2) });
    let rule = &config.rules[0];
    assert_eq!((rule.hold_for, rule.clear_after, rule.record), (3, 3, Record::Seconds(15)));
    assert!(config.default_rules && !config.machine);
}

#[test]
fn the_defaults_are_those_promised() {
    let config = Config::parse("machine = true", "x.toml").unwrap();
    assert_eq!(config, Config { machine: true, ..Config::default() });
    assert_eq!(
        (config.window_ns, config.budget.cpu_pct, config.budget.rss_mb, config.budget.target_slowdown_pct),
        (10_000_000_000, 1.0, 150, 1.0)
    );
    assert_eq!((config.history.path, config.http.listen), (None, None));
}

/// What is put in for what, and what the error then says.
const MISTAKES: &[(&str, &str, &str)] = &[
    // Parsing: line, section, key, mend.
    ("window =", "windwo =", "x.toml:1: unknown key `windwo`; did you mean `window`?"),
    ("cpu_pct", "cpu_pcnt", "x.toml:4: [budget]: unknown key `cpu_pcnt`; did you mean `cpu_pct`?"),
    ("[budget]", "[bugdet]", "x.toml:3: [bugdet]: unknown key `bugdet`; did you mean `budget`?"),
    ("comm =", "com =", "x.toml:20: [[target]] `redis`: unknown key `com`; did you mean `comm`?"),
    ("comm =", "zzzzzzzzzzzz =", "unknown key `zzzzzzzzzzzz`; there are name, comm, exe"),
    ("cgroup =", "cgruop =", "x.toml:27: [[target]] `web`: unknown key `cgruop`; did you mean `cgroup`?"),
    ("minute =", "minuet =", "x.toml:8: [history]: `keep`: unknown key `minuet`; did you mean `minute`?"),
    ("\"accesses\"", "\"acesses\"", "unknown value `acesses`; did you mean `accesses`?"),
    ("name = \"web\"\n", "", "x.toml:25: [[target]] 2: `name` is missing; add it"),
    (
        "\"2s\"",
        "\"soon\"",
        "x.toml:1: `window`: `soon` is not a duration; write a number and a unit: 500us, 10ms",
    ),
    ("\"2s\"", "-2", "`-2` is not a duration"),
    ("\"2s\"", "true", "expected a duration such as \"10s\""),
    ("0.5", "\"half\"", "x.toml:4: [budget]: `cpu_pct`: invalid type: string \"half\", expected f64"),
    ("cache = false", "cache = \"maybe\"", "expected \"auto\", true or false"),
    (
        "record = 15",
        "record = []",
        "x.toml:34: [[rule]] `grows`: `record` is true, false, or a number of seconds",
    ),
    (
        "record = 15",
        "record = 0",
        "x.toml:34: rule `grows`, key `record`: 0 s; write true, false, or seconds",
    ),
    ("window = \"2s\"", "window = = 3", "x.toml:1"),
    (
        "children = true",
        "children = true\nchildren = false",
        "x.toml:22: [[target]] `redis`: `children`: duplicate key",
    ),
    ("[[target]] # the second", "[target]", "x.toml:25"),
    // The whole.
    ("\"2s\"", "\"1ms\"", "x.toml:1: `window` is from \"100ms\" to \"1m\""),
    ("\"2s\"", "\"2h\"", "`window` is from \"100ms\" to \"1m\""),
    ("0.5", "0", "x.toml:4: [budget]: `cpu_pct` is 0; it is a percentage above 0 and up to 100"),
    ("0.5", "nan", "`cpu_pct` is NaN"),
    ("cpu_pct = 0.5", "rss_mb = 1", "`rss_mb` is 1"),
    ("\"1h\"", "\"1s\"", "x.toml:8: [history]: `window` of `keep` is at least one window"),
    ("\"1h\"", "\"2d\"", "keeps a finer step longer"),
    ("keep = {", "max_bytes = \"1k\"\nkeep = {", "x.toml:8: [history]: `max_bytes` is at least"),
    ("/var/lib/waytrace/history.db", "", "`path` is empty"),
    ("127.0.0.1:9477", "localhost", "x.toml:11: http.listen = \"localhost\" is no address and port"),
    (
        "127.0.0.1:9477",
        "0.0.0.0:9477",
        "x.toml:11: http.listen = \"0.0.0.0:9477\" can be reached from other machines",
    ),
    ("[collect]", "tls_cert = \"c\"\n[collect]", "x.toml:13: http.tls_cert is set and http.tls_key is not"),
    ("[collect]", "max_targets = 0\n[collect]", "x.toml:13: http.max_targets = 0: must be"),
    ("[collect]", "[http.pprof]\nmax_seconds = 0\n[collect]", "x.toml:14: http.pprof.max_seconds = 0"),
    ("[collect]", "push = { url = \"x\" }\n[collect]", "x.toml:13: http.push.url = \"x\""),
    ("[collect]", "[record]\nduration = \"1h\"\n[collect]", "[record]: `duration` is from"),
    ("[collect]", "[record]\nmax_per_hour = 999\n[collect]", "x.toml:14: [record]: `max_per_hour` times"),
    ("events = true", "events = false", "x.toml:16: [collect]: `event_names` names events"),
    ("\"web\"\n", "\"redis\"\n", "x.toml:26: [[target]] `redis`: a target above has the same name"),
    ("\"redis\"", "\"_other\"", "x.toml:19: [[target]] `_other`: names that begin with `_`"),
    ("\"redis\"", "\"re\\ndis\"", "[[target]] `re\\ndis`: a name has no control characters"),
    ("\"redis\"", "\"\"", "[[target]] 1: `name` is empty"),
    ("0.2", "0.0", "x.toml:22: [[target]] `redis`: `target_slowdown_pct` is 0"),
    ("comm = \"redis-server\"\n", "", "[[target]] `redis`: it says nothing of processes; give `comm`"),
    ("comm = \"redis-server\"", "comm = \"redis[\"", "`[` without `]` in `redis[`"),
    ("comm = \"redis-server\"", "pid = 0", "x.toml:20: [[target]] `redis`: there is no process 0"),
    ("comm = \"redis-server\"", "pid_file = \"redis.pid\"", "`pid_file` is an absolute path"),
    ("comm = \"redis-server\"", "exe = \"bin/redis\"", "write an absolute path, or a name without `/`"),
    ("comm = \"redis-server\"", "unit = \"a/b\"", "use `cgroup` for paths"),
    ("comm = \"redis-server\"", "unit = \".service\"", "`unit` is empty"),
    ("comm = \"redis-server\"", "container = \"0123\"", "12 to 64 hexadecimal digits"),
    ("comm = \"redis-server\"", "pod = \"redis-0\"", "write the pod's UID"),
    ("/system.slice/nginx*", "/sys/fs/cgroup", "names the root, in which every process is"),
    (
        "target = \"web\"",
        "target = \"wep\"",
        "[[rule]] `grows`: there is no target `wep`; did you mean `web`?",
    ),
    (
        "[\"tell\"]",
        "[\"call\"]",
        "x.toml:35: [[rule]] `grows`: there is no hook `call`; did you mean `tell`?",
    ),
    ("growth(rss_bytes, 60s) > 1MB/s", " ", "x.toml:31: rule `grows`, key `when`: column 2: a metric"),
    ("hold_for = 3", "hold_for = 0", "x.toml:33: rule `grows`, key `hold_for`: 0 windows; write a number"),
    (
        "name = \"tell\"",
        "name = \"tell\"\nca_file = \"c\"",
        "x.toml:39: hook `tell`, key `ca_file`: it is for webhooks only",
    ),
    (
        "command =",
        "log = true\ncommand =",
        "x.toml:38: hook `tell`: 2 of webhook, command and log are given; write exactly one",
    ),
    (
        "[\"/usr/bin/logger\", \"-t\", \"waytrace\"]",
        "[]",
        "x.toml:39: hook `tell`, key `command`: it has no program",
    ),
    (
        "command = [\"/usr/bin/logger\", \"-t\", \"waytrace\"]",
        "webhook = \"x\"",
        "x.toml:39: hook `tell`, key `webhook`: `x` is no address",
    ),
    ("rss_bytes", "rss_byts", "`rss_bytes`"),
    (
        "name = \"tell\"",
        "name = \"tell\"\ntimeout = \"0s\"",
        "hook `tell`, key `timeout`: write a time from 1ms to 1h",
    ),
];

#[test]
fn mistakes_name_file_line_section_and_mend() {
    let mut wrong = Vec::new();
    for (from, to, expected) in MISTAKES {
        let text = GOOD.replacen(from, to, 1);
        assert_ne!(text, GOOD, "{from}");
        let error = refused(&text);
        // Conditions are shown with a caret below the column.
        let lines = if error.contains(": column ") { 3 } else { 1 };
        if !(error.contains(expected) && error.lines().count() == lines && error.starts_with("x.toml:")) {
            wrong.push(format!("{from} -> {to}\n  says {error}\n  not  {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nothing_to_watch_is_refused() {
    assert!(refused("").contains("x.toml:1: there is nothing to watch; add a [[target]]"));
    let error = Config::from_flags(&Flags::default()).unwrap_err().to_string();
    assert!(error.starts_with("the command line: there is nothing to watch"), "{error}");
}

#[test]
fn files_that_are_none_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("waytrace.toml");
    let error = Config::read(&path).unwrap_err().to_string();
    assert!(error.contains("cannot read the configuration") && error.contains("waytrace.toml"), "{error}");
    fs::write(&path, b"machine = true\n# \xff\n").unwrap();
    assert!(Config::read(&path).unwrap_err().to_string().contains("line 2 is not UTF-8"));
    assert!(Config::read(Path::new("/dev/zero")).unwrap_err().to_string().contains("larger than 1 MiB"));
    fs::write(&path, GOOD).unwrap();
    assert_eq!(Config::read(&path).unwrap(), Config::parse(GOOD, "").unwrap());
}

#[test]
fn flags_make_the_same_configuration() {
    let flags = Flags {
        pids: vec![42],
        comms: vec!["redis-server".into()],
        cgroups: vec!["/system.slice/nginx*".into()],
        children: true,
        window_ns: Some(1_000_000_000),
        cpu_pct: Some(2.0),
        db: Some(PathBuf::from("x.db")),
        listen: Some("[::1]:1".into()),
        ..Flags::default()
    };
    let config = Config::from_flags(&flags).unwrap();
    let file = r#"
        window = "1s"
        budget = { cpu_pct = 2 }
        history = { path = "x.db" }
        http = { listen = "[::1]:1" }
        target = [
            { name = "pid-42", pid = 42, children = true },
            { name = "redis-server", comm = "redis-server", children = true },
            { name = "/system.slice/nginx*", cgroup = "/system.slice/nginx*", children = true },
        ]
    "#;
    assert_eq!(config, Config::parse(file, "x.toml").unwrap());

    let over = Config::parse(GOOD, "x.toml").unwrap().with_flags(&flags).unwrap();
    assert_eq!((over.targets.len(), over.window_ns), (5, 1_000_000_000));
    let twice = Flags { comms: vec!["a".into(), "a".into()], ..Flags::default() };
    let error = Config::from_flags(&twice).unwrap_err().to_string();
    assert!(error.contains("[[target]] `a`: a target above has the same name"), "{error}");
}

#[test]
fn a_reload_says_what_differs() {
    let old = Config::parse(GOOD, "x.toml").unwrap();
    assert!(old.reload_from(&old).unwrap().is_empty());
    let text = GOOD
        .replace("cpu_pct = 0.5", "cpu_pct = 0.7")
        .replace("name = \"redis\"", "name = \"cache\"")
        .replace("nginx*", "apache*");
    let reload = old.reload_from(&Config::parse(&text, "x.toml").unwrap()).unwrap();
    assert_eq!(
        reload,
        Reload {
            added: vec!["cache".into()],
            removed: vec!["redis".into()],
            changed: vec!["web".into()],
            reordered: false,
            sections: vec!["budget"],
        }
    );
    let mut turned = old.clone();
    turned.targets.reverse();
    let reload = old.reload_from(&turned).unwrap();
    assert!(reload.reordered && reload.changed.is_empty());
}

#[test]
fn what_needs_a_restart_is_refused_in_words() {
    let old = Config::parse(GOOD, "x.toml").unwrap();
    let text = GOOD
        .replace("\"2s\"", "\"5s\"")
        .replace("history.db", "other.db")
        .replace("listen = \"127.0.0.1:9477\"", "");
    let error = old.reload_from(&Config::parse(&text, "x.toml").unwrap()).unwrap_err().to_string();
    for part in [
        "`window` (2 s to 5 s)",
        "[history] `path` (\"/var/lib/waytrace/history.db\" to \"/var/lib/waytrace/other.db\")",
        "[http] `listen` (\"127.0.0.1:9477\" to not set)",
        "or restart waytrace",
    ] {
        assert!(error.contains(part), "{error}");
    }
}

/// The tables of a file, and the keys serde knows of each.
fn tables() -> Vec<(&'static str, &'static [&'static str])> {
    vec![
        ("", keys::of::<Config>()),
        ("budget", keys::of::<Budget>()),
        ("history", keys::of::<HistorySection>()),
        ("keep", keys::of::<Keep>()),
        ("http", keys::of::<WebConfig>()),
        ("http.pprof", keys::of::<PprofConfig>()),
        ("http.push", keys::of::<PushConfig>()),
        ("record", keys::of::<RecordSection>()),
        ("collect", keys::of::<Collect>()),
        ("target", keys::of::<TargetConfig>()),
        ("target.budget", keys::of::<TargetBudget>()),
        ("rule", keys::of::<RuleConfig>()),
        ("hook", keys::of::<HookConfig>()),
    ]
}

#[test]
fn every_key_is_described_and_shown_in_the_example() {
    let page = include_str!("../../../../docs/monitor-config.md");
    let example = include_str!("../../../../packaging/waytrace.toml");
    for (table, keys) in tables() {
        assert!(!keys.is_empty(), "{table}");
        for key in keys {
            assert!(page.contains(&format!("`{key}`")), "docs/monitor-config.md lacks `{key}` of [{table}]");
            let spelled = [format!("{key} ="), format!("[{key}]")];
            let shown = spelled.iter().any(|text| example.contains(text.as_str()));
            assert!(shown, "packaging/waytrace.toml lacks {key} of [{table}]");
        }
    }
}

#[test]
fn the_example_is_right_and_so_is_what_it_has_in_comments() {
    let example = include_str!("../../../../packaging/waytrace.toml");
    let config = Config::parse(example, "waytrace.toml").unwrap();
    assert_eq!(config.targets.len(), 1, "what is active as shipped watches something");
    // What is commented out is written `#key = value`, prose `# Words`.
    let active: String = example
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(code) if !code.starts_with([' ', '#']) && !code.is_empty() => format!("{code}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let all = Config::parse(&active, "waytrace.toml").unwrap();
    assert!(all.targets.len() > 5 && !all.rules.is_empty() && all.hooks.len() == 3);
}

proptest! {
    #[test]
    fn no_text_panics(text in ".*") {
        let _ = Config::parse(&text, "x.toml");
    }

    #[test]
    fn no_broken_file_panics(at in 0..GOOD.len(), put in ".{0,3}", cut in 0..20usize) {
        let mut text: Vec<char> = GOOD.chars().collect();
        let end = (at + cut).min(text.len());
        text.splice(at..end, put.chars());
        let text: String = text.into_iter().collect();
        if let Err(error) = Config::parse(&text, "x.toml") {
            prop_assert!(error.to_string().starts_with("x.toml"));
        }
    }
}
