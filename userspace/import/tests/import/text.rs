//! Text of `perf script`.

use std::fs;

use tempfile::TempDir;
use waytrace_model::access::AccessKind;

use super::run::{import, refusal};

#[test]
fn text_becomes_a_run_and_says_what_it_lacks() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("script.txt");
    let text = "\
# ========
# hostname : db-7
# ========
#
          my app 10/11 [003]  5.000001000:       7 r20016:ppp:     7f001000      401010 fill+0x10 (/opt/npb/ft.A)
\t    401010 fill+0x10 (/opt/npb/ft.A)

          my app 10/11 [003]  5.000002000:       7 r4003E:ppp:     7f002000      401020 [unknown] (/opt/npb/ft.A)
what is this
          my app 10/10 [002]  5.000003000:       7 r4003E:ppp:            0 ffffffff81000000 [unknown] ([kernel])
";
    fs::write(&path, text).unwrap();
    let run = import(&path);
    let found: Vec<_> = run
        .accesses()
        .iter()
        .map(|access| {
            (access.at_ns, access.address, access.kind, access.cpu, access.weight, run.code(access))
        })
        .collect();
    let expected = [
        (0, 0x7f00_1000, AccessKind::Store, Some(3), 7, "fill".to_owned()),
        (1_000, 0x7f00_2000, AccessKind::Load, Some(3), 7, "ft.A+0x401020".to_owned()),
    ];
    assert_eq!(found, expected);
    assert_eq!((run.header.target.tgid, run.header.target.comm.as_str()), (10, "my app"));
    assert_eq!(run.epilogue.accesses.as_ref().unwrap().kernel_samples, 1);
    let reason = run.reason("accesses");
    assert!(reason.contains("1 lines are no samples") && reason.contains("no mappings"), "{reason}");
    assert!(!reason.contains("count alike"), "{reason}");
}

/// What Heimdallr asks perf for: no thread, no period.
#[test]
fn the_fewest_fields_count_alike() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("script.txt");
    fs::write(
        &path,
        "     5.000001000:   r20016:ppp:   ffff7f001000\n     5.000001500:   r4003E:ppp:   10\n",
    )
    .unwrap();
    let run = import(&path);
    let kinds: Vec<_> =
        run.accesses().iter().map(|access| (access.kind, access.address, access.weight)).collect();
    assert_eq!(kinds, [(AccessKind::Store, 0xffff_7f00_1000, 1), (AccessKind::Load, 0x10, 1)]);
    assert!(run.reason("accesses").contains("2 samples have no period, so they count alike"));
}

#[test]
fn text_without_addresses_says_how_to_print_them() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("script.txt");
    fs::write(&path, "w 10 5.000001: 1 mem:0x404040:rw:u: 401168 main+0x32 (/bin/w)\n").unwrap();
    let text = refusal(&path);
    assert!(text.contains("none of its 1 samples has an address") && text.contains("-F comm,pid"), "{text}");
}
