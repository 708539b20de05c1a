//! Values of the `[recovery]` section that are wrong.

use insta::assert_snapshot;

use super::{faults, faults_with, given};

#[test]
fn bad_values_of_recovery() {
    assert_snapshot!(faults(
        "audit = \"ful\"\n[recovery]\ndelivery = \"exactly_once\"\non_fault = true\n\
         reconnect_timeout_s = 0\nlease_s = 0.9\nbacklog_rows = 299\ncatch_up_factor = 1\n"
    ));
    assert_snapshot!(faults(
        "[recovery]\ndelivery = \"twice\"\nreconnect_timeout_s = 86_401\n\
         backlog_rows = 1_000_000_000_001\ncatch_up_factor = 1000.5\ncatchup = 2\n"
    ));
}

#[test]
fn bad_overrides_of_recovery() {
    let overrides =
        given(&["--reconnect-timeout=0s", "STROM_LOAD_BACKLOG_ROWS=0", "--catch-up=0.5"]);
    assert_snapshot!(faults_with("", &overrides));
    // The backlog of the file is too small for the batches of the flag.
    let overrides = given(&["--batch-rows=20k"]);
    assert_snapshot!(faults_with("recovery.backlog_rows = 30_000\n", &overrides));
}
