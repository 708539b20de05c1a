//! `profile`: drafts of profiles.

use crate::cli::FromPgbenchArgs;
use crate::exit;
use crate::pgbench::Conversion;
use crate::plan::{Overrides, Plan, ProfileSource};

use super::profiles::read_named;
use super::{Failure, print};

/// Prints what a script of pgbench is as a profile.
pub(super) fn from_pgbench(args: &FromPgbenchArgs) -> Result<u8, Failure> {
    let name = args.file.display().to_string();
    let file = read_named(&args.file).map_err(|why| {
        let error = format!("failed to read `{name}`: {why}\n  fix: name a script of pgbench");
        Failure::new(exit::USAGE, error)
    })?;
    let conversion = Conversion {
        scale: args.scale,
        variables: args.define.iter().cloned().collect(),
        protocol: args.protocol,
        clients: args.clients,
    };
    let text = conversion.profile(&ProfileSource::new(name, file.text))?;
    // What is printed runs, or it is said what stands against it.
    let source = ProfileSource::new("the profile that would come of it", text);
    Plan::resolve(&source, &Overrides::default())?;
    print(&source.text)?;
    Ok(exit::DONE)
}
