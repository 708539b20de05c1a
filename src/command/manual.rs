//! `strom-load completions` and `strom-load man`: what is said of the options elsewhere, made of their
//! definition.

use std::io;

use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;

use super::{Failure, print};
use crate::cli::Cli;
use crate::exit;

/// Prints the completion script of a shell.
pub(super) fn completions(shell: Shell) -> Result<u8, Failure> {
    let mut command = Cli::command();
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut script);
    // For a name with a hyphen, bash's labels of subcommands are not what its script looks for:
    // https://github.com/clap-rs/clap/issues/6421. In other scripts there is no such label.
    let script = String::from_utf8_lossy(&script).replace("strom__subcmd__load", "strom__load");
    print(&script)?;
    Ok(exit::DONE)
}

/// Prints the manual page of the program, or of a subcommand.
pub(super) fn page(subcommand: Option<&str>) -> Result<u8, Failure> {
    let mut command = Cli::command();
    // Gives subcommands their full names.
    command.build();
    let described = match subcommand {
        None => &command,
        Some(name) => command.find_subcommand(name).ok_or_else(|| no_such(&command, name))?,
    };
    let page = roff(described.clone())
        .map_err(|error| Failure::new(exit::UNEXPECTED, format!("the manual page: {error}")))?;
    print(&page)?;
    Ok(exit::DONE)
}

fn roff(command: clap::Command) -> io::Result<String> {
    let mut page = Vec::new();
    Man::new(command).render(&mut page)?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}

fn no_such(command: &clap::Command, name: &str) -> Failure {
    let names: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
    Failure::new(
        exit::USAGE,
        format!("`{name}` is no subcommand\n  fix: one of {}", names.join(", ")),
    )
}
