//! Exit codes: a documented contract (`--help`, README).

/// Done as planned.
pub const DONE: u8 = 0;
/// A defect of strom-load or something else unforeseen.
pub const UNEXPECTED: u8 = 1;
/// A flag, variable or profile is wrong.
pub const USAGE: u8 = 2;
/// The server or an output could not be reached, started or made ready.
pub const PREPARE: u8 = 3;
/// The run began, and an error ended it early. The report is written.
pub const ENDED_EARLY: u8 = 4;
/// Rows are lost or doubled, or the arms of a query give different answers.
pub const INTEGRITY: u8 = 5;
/// A threshold does not hold.
pub const THRESHOLD: u8 = 99;
/// A signal ended the run. The report is written.
pub const INTERRUPTED: u8 = 130;

/// The contract as `--help` prints it.
pub const HELP: &str = "\
Exit codes:
    0  done
    1  unexpected
    2  usage or profile: nothing was started
    3  cannot connect, start or prepare
    4  ended early by an error; the report is written
    5  integrity: rows lost or doubled, or answers that differ
   99  a threshold failed
  130  interrupted; the report is written";
