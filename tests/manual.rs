//! Completion scripts and manual pages: they say what `--help` says.

use std::process::Command;

use crate::support::Program;

async fn printed(args: &[&str]) -> String {
    let ended = Program::start(args).end().await;
    assert_eq!(ended.code, Some(0), "{args:?}: {}", ended.stderr);
    ended.stdout
}

/// The long options that a help text describes.
fn options(help: &str) -> Vec<String> {
    let lines = help.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
    let words =
        lines.filter_map(|line| line.split([' ', ',', '[', '=']).find(|own| own.starts_with("--")));
    words.map(str::to_owned).collect()
}

#[tokio::test]
async fn every_option_is_in_the_manual_page() {
    for subcommand in ["", "run", "fill", "verify", "faults", "doctor", "arrow"] {
        let command: &[&str] = if subcommand.is_empty() { &[] } else { &[subcommand] };
        let page = printed(&[&["man"], command].concat()).await;
        assert!(page.contains(".TH strom-load"), "{page}");
        let options = options(&printed(&[command, &["--help"]].concat()).await);
        assert!(options.len() > 3, "{subcommand}: {options:?}");
        for option in options {
            let escaped = option.replace('-', r"\-");
            assert!(page.contains(&escaped), "{subcommand}: {option}");
        }
    }
    let none = Program::start(&["man", "rnu"]).end().await;
    assert_eq!(none.code, Some(2), "{}", none.stderr);
    assert!(none.stderr.contains("`rnu` is no subcommand\n  fix: one of run, "), "{}", none.stderr);
}

#[tokio::test]
async fn bash_completes_options_subcommands_and_values() {
    let script = printed(&["completions", "bash"]).await;
    let complete = |words: &[&str]| {
        let ask = r#"eval "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
            _strom__load strom-load "${!#}" "${COMP_WORDS[COMP_CWORD - 1]}"; echo "${COMPREPLY[@]}""#;
        let bash = Command::new("bash").args(["-c", ask, &script]).args(words).output().unwrap();
        assert!(bash.status.success(), "{bash:?}");
        String::from_utf8(bash.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(complete(&["strom-load", "--parti"]), "--partitions");
    assert_eq!(complete(&["strom-load", "profil"]), "profile profiles");
    assert_eq!(complete(&["strom-load", "run", "--format", "js"]), "json jsonl");
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        assert!(printed(&["completions", shell]).await.contains("partitions"), "{shell}");
    }
}
