//! Cases that the conformance suite may fail are named in BUGS.md, and no others are.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// ctests/declared.h and BUGS.md list the same cases.
#[test]
fn bugs_md_names_the_declared_cases() {
    let header = read("ctests/declared.h");
    let declared: BTreeSet<&str> = header
        .lines()
        .filter_map(|line| line.strip_prefix("DECLARED(").or(line.strip_prefix("NOT_RUN("))?.split('"').nth(3))
        .collect();
    let bugs = read("BUGS.md");
    let (_, section) = bugs.split_once("### Conformance cases that are declared\n").unwrap();
    let named: BTreeSet<&str> =
        section.lines().filter_map(|line| line.strip_prefix("- `")?.strip_suffix('`')).collect();
    assert_eq!(named, declared);
}
