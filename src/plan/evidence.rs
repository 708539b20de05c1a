//! The arms of a profile, and how their plans and answers are looked at.

use std::time::Duration;

use indexmap::IndexMap;

use super::limits::Limits;
use super::resolver::Resolver;
use crate::profile::{self, Located};

/// A comparison is between two.
const ARMS: usize = 2;
/// Settings that keep a session from writing.
const READ_ONLY: [&str; 2] = ["default_transaction_read_only", "transaction_read_only"];
/// Names that the GPU's own arms have.
const RESERVED: [&str; 3] = ["cpu", "off", "on"];

const PLANS_EVERY: Limits = Limits {
    default: 30.0,
    min: 1.0,
    max: 86_400.0,
    is_whole: false,
    range: "1 s to 1 day",
    fix: "choose how often the plans are looked at, such as 30",
};
const ANSWERS_EVERY: Limits = Limits {
    default: 60.0,
    min: 1.0,
    max: 86_400.0,
    is_whole: false,
    range: "1 s to 1 day",
    fix: "choose how often answers are compared, such as 60",
};

/// An arm of the profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArmPlan {
    /// Its name in metrics and reports.
    pub name: String,
    /// Settings of its session, by name.
    pub set: Vec<(String, String)>,
}

/// How the plans and answers of the arms are looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct EvidencePlan {
    /// Time between two looks at the plans; the first one is before the first query.
    pub every: Duration,
    /// Whether plans are taken with ANALYZE, which runs the query.
    pub analyze: bool,
    /// Whether the answers of a query's arms are compared.
    pub check_answers: bool,
    /// Time between two comparisons during a run; each takes the next query.
    pub answers_every: Duration,
}

impl Resolver<'_> {
    /// The arms in the order in which the file has them. `section` is where `writes` stands.
    pub(super) fn arms(
        &mut self,
        arms: Option<&IndexMap<String, Located<profile::Arm>>>,
        writes: bool,
        section: &str,
    ) -> Vec<ArmPlan> {
        let written: Vec<_> = arms.into_iter().flatten().collect();
        if let Some((_, first)) = written.first()
            && written.len() != ARMS
        {
            self.report.at(
                &first.span(),
                format!("the number of arms is {}", written.len()),
                "write two: `[arms.a]` and `[arms.b]`; a sweep compares more".to_owned(),
            );
        }
        for (name, arm) in &written {
            self.arm_name(name, arm);
            if !writes {
                self.stays_read_only(arm, section);
            }
        }
        let arm = |(name, arm): (&String, &Located<profile::Arm>)| ArmPlan {
            name: name.clone(),
            set: arm
                .set
                .iter()
                .flatten()
                .map(|(name, value)| (name.clone(), value.0.clone()))
                .collect(),
        };
        written.into_iter().map(arm).collect()
    }

    /// An arm must not switch off what keeps its queries from writing.
    fn stays_read_only(&mut self, arm: &Located<profile::Arm>, section: &str) {
        let is_guard = |name: &&String| READ_ONLY.iter().any(|g| g.eq_ignore_ascii_case(name));
        if let Some(name) = arm.set.iter().flatten().map(|(name, _)| name).find(is_guard) {
            self.report.at(
                &arm.span(),
                format!("`{name}` is not for an arm to set: queries are read-only"),
                format!("delete it; if the queries are to write, set `writes = true` in {section}"),
            );
        }
    }

    fn arm_name(&mut self, name: &str, arm: &Located<profile::Arm>) {
        let is_name = (1..=63).contains(&name.len())
            && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'));
        if !is_name || RESERVED.contains(&name) {
            self.report.at(
                &arm.span(),
                format!("`{name}` cannot name an arm"),
                "use up to 63 lower-case letters, digits and `_`; `cpu`, `off` and `on` are the \
                 GPU's own arms"
                    .to_owned(),
            );
        }
        for setting in arm.set.iter().flatten().map(|(name, _)| name) {
            let is_setting = !setting.is_empty()
                && setting.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.'));
            if !is_setting {
                self.report.at(
                    &arm.span(),
                    format!("`{setting}` is not the name of a setting"),
                    "write it as SET takes it, such as `work_mem`".to_owned(),
                );
            }
        }
    }

    pub(super) fn evidence(&mut self, evidence: &mut profile::Evidence) -> EvidencePlan {
        EvidencePlan {
            every: self.time("plans_every_s", &mut evidence.plans_every_s, &PLANS_EVERY),
            analyze: *evidence.analyze.get_or_insert(false),
            check_answers: self.choice(&mut evidence.check_answers, true),
            answers_every: self.time(
                "answers_every_s",
                &mut evidence.answers_every_s,
                &ANSWERS_EVERY,
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::plan::{Faults, Overrides, Plan, ProfileSource};

    fn resolve(writes: &str, query: &str) -> Result<Plan, Faults> {
        let text = format!(
            "{writes}\n[[{query}.queries]]\nname = 'q'\nsql = 'SELECT 1'\n[arms.a]\n\
             set = {{ Default_Transaction_Read_Only = false }}\n[arms.b]\nset = {{ jit = false }}\n"
        );
        let stream = if query == "readers" { "[stream]\n" } else { "" };
        let source = ProfileSource::new("test.toml", text + stream);
        Plan::resolve(&source, &Overrides::default())
    }

    #[test]
    fn an_arm_does_not_let_its_queries_write() {
        let faults = [resolve("", "readers"), resolve("", "bench")];
        let faults = faults.map(|plan| plan.unwrap_err().to_string());
        insta::assert_snapshot!(faults.join("\n\n"));
        resolve("readers.writes = true", "readers").unwrap();
        resolve("bench.writes = true", "bench").unwrap();
    }
}
