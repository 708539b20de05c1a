//! The arms: the ways of running a query that are compared with each other.

use std::fmt;

use serde::Serialize;

pub use crate::result::arm::{ArmSetting, Gpu};

use super::{StromError, settings};
use crate::pg;
use crate::plan::{ArmPlan, GpuChoice};

pub(super) const ENABLED: &str = "pg_strom.enabled";

/// One way of running a query: a name, and what its session is set to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Arm {
    /// Its name in metrics and reports.
    pub name: String,
    /// What is known of the GPU before any plan was seen.
    pub gpu: Gpu,
    /// What its session is set to. Every arm of a comparison names the same settings.
    pub set: Vec<ArmSetting>,
}

impl Arm {
    /// Without PG-Strom.
    fn cpu() -> Self {
        Self { name: "cpu".to_owned(), gpu: Gpu::Absent, set: Vec::new() }
    }

    /// With PG-Strom switched on or off.
    fn switched(on: bool) -> Self {
        let (name, gpu) = if on { ("on", Gpu::On) } else { ("off", Gpu::Off) };
        let value = Some(name.to_owned());
        let set = vec![ArmSetting { name: ENABLED.to_owned(), value }];
        Self { name: name.to_owned(), gpu, set }
    }
}

impl fmt::Display for Arm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// The arms that a query takes in turn: those of the profile if it has some and the choice leaves
/// it open, else the GPU off and on as far as the server has it.
///
/// # Errors
/// When the choice needs PG-Strom and it is not there.
pub fn arms(choice: GpuChoice, planned: &[ArmPlan], loaded: bool) -> Result<Vec<Arm>, StromError> {
    let not_loaded = |choice: &str| StromError::NotLoaded { asked: format!("--gpu {choice}") };
    match (choice, loaded) {
        (GpuChoice::Auto, _) if !planned.is_empty() => Ok(planned_arms(planned, loaded)),
        (GpuChoice::Auto | GpuChoice::Off, false) => Ok(vec![Arm::cpu()]),
        (GpuChoice::On, false) => Err(not_loaded("on")),
        (GpuChoice::Alternate, false) => Err(not_loaded("alternate")),
        (GpuChoice::Auto | GpuChoice::Alternate, true) => {
            Ok(vec![Arm::switched(false), Arm::switched(true)])
        }
        (GpuChoice::On, true) => Ok(vec![Arm::switched(true)]),
        (GpuChoice::Off, true) => Ok(vec![Arm::switched(false)]),
    }
}

fn planned_arms(planned: &[ArmPlan], loaded: bool) -> Vec<Arm> {
    let arm = |plan: &ArmPlan| {
        let setting = |(name, value): &(String, String)| ArmSetting {
            name: name.clone(),
            value: Some(value.clone()),
        };
        let enabled = plan.set.iter().find(|(name, _)| name == ENABLED);
        let gpu = match (loaded, enabled.map(|(_, value)| value.as_str())) {
            (false, _) => Gpu::Absent,
            (true, Some("off" | "false" | "no" | "0")) => Gpu::Off,
            (true, _) => Gpu::On,
        };
        Arm { name: plan.name.clone(), gpu, set: plan.set.iter().map(setting).collect() }
    };
    let mut arms: Vec<_> = planned.iter().map(arm).collect();
    align(arms.iter_mut());
    arms
}

/// Lets each arm name every setting that any of them sets, so that entering one leaves the others.
pub fn align<'a>(arms: impl Iterator<Item = &'a mut Arm>) {
    let mut arms: Vec<_> = arms.collect();
    let mut names: Vec<String> = Vec::new();
    for ArmSetting { name, .. } in arms.iter().flat_map(|arm| &arm.set) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    for arm in &mut arms {
        for name in &names {
            if !arm.set.iter().any(|setting| setting.name == *name) {
                arm.set.push(ArmSetting { name: name.clone(), value: None });
            }
        }
    }
}

/// Whether the server has each setting of these arms. Ask on a fresh session: a SET of an unknown
/// name with a dot in it succeeds, as a placeholder, and measures nothing.
///
/// # Errors
/// At the first setting that it does not have, or that no session has for itself, or when it does
/// not answer.
pub async fn check_settings(session: &mut pg::Session, arms: &[Arm]) -> Result<(), StromError> {
    for arm in arms {
        let names: Vec<&str> = arm.set.iter().map(|setting| setting.name.as_str()).collect();
        let found = settings::probe(session, &names).await?;
        if let Some(unknown) = found.iter().find(|setting| !setting.is_real()) {
            let (arm, name) = (arm.name.clone(), unknown.name.clone());
            let all = settings::names(session).await?;
            let why = settings::explain_absent(&name, all.iter().map(String::as_str));
            return Err(StromError::NoSuchSetting { arm, name, why });
        }
        if let Some(shared) = found.iter().find(|setting| setting.is_shared()) {
            let (arm, name) = (arm.name.clone(), shared.name.clone());
            return Err(StromError::Shared { arm, name });
        }
    }
    Ok(())
}

/// Settings that say what the names in a query mean, and to whom.
const NAMING: [&str; 2] = ["search_path", "role"];

/// An arm with no more than what says what the names in a query mean. The GPU has no part in that, and one
/// that sleeps must not be waited for.
pub fn naming(arm: &Arm) -> Arm {
    let names =
        |setting: &&ArmSetting| NAMING.iter().any(|n| n.eq_ignore_ascii_case(&setting.name));
    Arm { set: arm.set.iter().filter(names).cloned().collect(), ..arm.clone() }
}

/// Puts a session into an arm and reads each setting back.
///
/// # Errors
/// When the server refuses a setting or does not keep it.
pub async fn enter(session: &mut pg::Session, arm: &Arm) -> Result<(), StromError> {
    for ArmSetting { name, value } in &arm.set {
        let quoted = pg::quote_literal(name);
        let Some(value) = value else {
            // set_config(…, NULL) sets the default, like RESET, and takes the name as a value.
            let sql = format!("SELECT set_config({quoted}, NULL, false)");
            session.execute("reset a setting", &sql).await?;
            continue;
        };
        // set_config answers with the value as the server writes it: `64MB` for `65536kB`.
        let wanted = pg::quote_literal(value);
        let sql = format!("SELECT set_config({quoted}, {wanted}, false)");
        let wanted = session.text("set a setting", &sql).await?.unwrap_or_default();
        let sql = format!("SELECT current_setting({quoted})");
        let got = session.text("read a setting back", &sql).await?.unwrap_or_default();
        if got != wanted {
            return Err(StromError::NotKept { name: name.clone(), wanted, got });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(arms: &[Arm]) -> Vec<&str> {
        arms.iter().map(|arm| arm.name.as_str()).collect()
    }

    #[test]
    fn nothing_is_called_gpu_without_pg_strom() {
        for choice in [GpuChoice::Auto, GpuChoice::Off] {
            let arms = arms(choice, &[], false).unwrap();
            assert_eq!((names(&arms), arms[0].gpu), (vec!["cpu"], Gpu::Absent));
        }
        assert!(arms(GpuChoice::On, &[], false).is_err());
        assert!(arms(GpuChoice::Alternate, &[], false).is_err());
        assert_eq!(names(&arms(GpuChoice::Auto, &[], true).unwrap()), ["off", "on"]);
    }

    #[test]
    fn an_arm_undoes_what_the_other_one_set() {
        let plan = |name: &str, set: &[(&str, &str)]| ArmPlan {
            name: name.to_owned(),
            set: set.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
        };
        let planned =
            [plan("serial", &[("max_parallel_workers_per_gather", "0")]), plan("parallel", &[])];
        let arms = arms(GpuChoice::Auto, &planned, false).unwrap();
        assert_eq!(names(&arms), ["serial", "parallel"]);
        assert_eq!(arms[1].set[0].name, "max_parallel_workers_per_gather");
        assert_eq!(arms[1].set[0].value, None);
        assert_eq!(arms[1].gpu, Gpu::Absent);
    }
}
