//! The options that are settings of a profile, made from their table.

use std::marker::PhantomData;

use clap::builder::{PossibleValuesParser, TypedValueParser, ValueParser};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches};

use crate::plan::{Form, Given, Overrides, SETTINGS, Setting};

/// The settings that a subcommand offers.
pub trait Offer {
    /// Each of them.
    fn offered() -> Vec<Offered>;
}

/// A setting as a subcommand offers it.
#[derive(Debug, Clone)]
pub struct Offered {
    setting: &'static Setting,
    heading: &'static str,
    help: &'static str,
    /// What counts if nothing is given.
    default: Option<&'static str>,
    /// Whether the environment counts.
    variable: bool,
}

/// All settings.
#[derive(Debug)]
pub struct All;

impl Offer for All {
    fn offered() -> Vec<Offered> {
        SETTINGS.iter().map(Offered::from).collect()
    }
}

impl From<&'static Setting> for Offered {
    fn from(setting: &'static Setting) -> Self {
        let Setting { heading, help, .. } = *setting;
        Self { setting, heading, help, default: None, variable: true }
    }
}

impl Offered {
    /// The setting of `flag` under a heading, with a help of the subcommand's own if there is one.
    pub(super) fn some(
        flag: &str,
        heading: &'static str,
        help: Option<&'static str>,
    ) -> Option<Self> {
        let own = Self::from(Setting::of_flag(flag)?);
        Some(Self { heading, help: help.unwrap_or(own.help), ..own })
    }

    /// With a value that counts if nothing is given, whatever the environment says.
    pub(super) fn with_default(self, default: &'static str) -> Self {
        Self { default: Some(default), variable: false, ..self }
    }

    fn id(&self) -> &'static str {
        self.setting.flag.trim_start_matches('-')
    }

    fn arg(&self) -> Arg {
        let Setting { variable, form, value_name, .. } = *self.setting;
        let short = self.help.split("\n\n").next().unwrap_or_default();
        let long = self.help;
        let arg = Arg::new(self.id())
            .long(self.id())
            .value_name(value_name)
            .help_heading(self.heading)
            .help(short)
            .value_parser(parser(self.setting))
            .action(if matches!(form, Form::Each) { ArgAction::Append } else { ArgAction::Set })
            // A number below 0 is a value to be explained, and not another option.
            .allow_hyphen_values(matches!(form, Form::Value(_)));
        let arg = if long == short { arg } else { arg.long_help(long) };
        let arg = match variable.filter(|_| self.variable) {
            Some(variable) => arg.env(variable).hide_env_values(true),
            None => arg,
        };
        let arg = match self.default {
            Some(default) => arg.default_value(default),
            None => arg,
        };
        match form {
            Form::Switch | Form::Optional(_) => {
                arg.num_args(0..=1).require_equals(true).default_missing_value("true")
            }
            Form::Value(_) | Form::Text | Form::Choice(_) | Form::Each => arg,
        }
    }
}

fn parser(setting: &'static Setting) -> ValueParser {
    let read = |text: String| setting.parse(&text);
    match setting.form {
        Form::Choice(words) => PossibleValuesParser::new(words()).try_map(read).into(),
        Form::Switch => PossibleValuesParser::new(["true", "false"]).try_map(read).into(),
        _ => ValueParser::new(|text: &str| setting.parse(text)),
    }
}

/// Options that are settings of a profile: what of them was given.
#[derive(Debug, Clone)]
pub struct SettingArgs<O> {
    /// Each with where it came from.
    pub overrides: Overrides,
    offer: PhantomData<O>,
}

impl<O> SettingArgs<O> {
    /// The same options with other values, as a subcommand that offers all of them has them.
    pub fn for_all(&self, overrides: Overrides) -> SettingArgs<All> {
        SettingArgs { overrides, offer: PhantomData }
    }
}

impl<O: Offer> FromArgMatches for SettingArgs<O> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let mut overrides = Overrides::default();
        for offered in O::offered() {
            let Some(source) = matches.value_source(offered.id()) else { continue };
            let given = matches.get_many::<Given>(offered.id()).into_iter().flatten();
            let is_flag = source != ValueSource::EnvVariable;
            overrides.give(offered.setting, is_flag, given.cloned().collect());
        }
        Ok(Self { overrides, offer: PhantomData })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl<O: Offer> Args for SettingArgs<O> {
    fn augment_args(command: Command) -> Command {
        command.args(O::offered().iter().map(Offered::arg))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}
