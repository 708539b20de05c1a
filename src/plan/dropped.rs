//! Which tables are dropped first: what the profile says, and `--recreate` over it.

use super::resolver::Resolver;
use super::{Common, Job, Recreate, TableName};
use crate::profile::{self, Located};

impl Resolver<'_> {
    /// Whether `table` is dropped first if it is there. A flag that names a table is about that one
    /// alone, and a flag without a name takes nothing back that the profile says by name.
    pub(super) fn recreate(
        &mut self,
        file: &mut Option<Located<profile::Recreate>>,
        table: &TableName,
    ) -> Recreate {
        let written = self.written_recreate(file.as_ref(), table);
        let given = self.given_recreate();
        let recreate = match given.as_deref() {
            Some(Recreate::No) => Recreate::No,
            Some(Recreate::Ours) if written == Recreate::No => Recreate::Ours,
            Some(named) if named.names(table) => named.clone(),
            Some(_) | None => written,
        };
        if let Some(given) = given
            && (!matches!(*given, Recreate::Named(_)) || given.names(table))
        {
            self.note_use(&given);
        }
        *file = Some(profile::Recreate::from(&recreate).into());
        recreate
    }

    fn given_recreate(&self) -> Option<Located<Recreate>> {
        let given = self.given::<profile::Recreate>("--recreate")?;
        let recreate = match &*given {
            profile::Recreate::Switch(false) => Recreate::No,
            profile::Recreate::Switch(true) => Recreate::Ours,
            // The flag's form has read it.
            profile::Recreate::Table(name) => name.parse().map_or(Recreate::No, Recreate::Named),
        };
        Some(given.with(recreate))
    }

    fn written_recreate(
        &mut self,
        file: Option<&Located<profile::Recreate>>,
        table: &TableName,
    ) -> Recreate {
        let Some(file) = file else { return Recreate::No };
        let name = match &**file {
            profile::Recreate::Switch(false) => return Recreate::No,
            profile::Recreate::Switch(true) => return Recreate::Ours,
            profile::Recreate::Table(name) => name,
        };
        let named = name.parse().map(Recreate::Named).unwrap_or_default();
        if !named.names(table) {
            let what =
                format!("`recreate` names `{name}`, and the table is `{}`", table.as_written());
            let fix = "name the same table, or write true to drop only what strom-load made";
            self.report.at(&file.span(), what, fix.to_owned());
        }
        named
    }

    /// What is wrong with a name after `--recreate=` that no table of the profile has.
    pub(super) fn unknown_for_recreate(
        &self,
        common: &Common,
        job: Option<&Job>,
    ) -> Option<(String, String)> {
        let given = self.given_recreate()?;
        let Recreate::Named(name) = &*given else { return None };
        let stream = match job {
            Some(Job::Stream(job)) => Some(&job.stream.table),
            // These have no stream, and drop no table for one.
            Some(Job::Benchmark(_) | Job::Sweep(_)) | None => None,
        };
        let known = stream.into_iter().chain(common.tables.iter().map(|table| &table.name));
        let known: Vec<String> = known.map(|t| format!("`{}`", t.as_written())).collect();
        let what = format!("`--recreate` names `{}`, which no table is called", name.as_written());
        let fix = match known.as_slice() {
            [] => "leave it out: the profile has no table".to_owned(),
            known => format!("name the table as the profile does: {}", known.join(", ")),
        };
        Some((what, fix))
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use crate::plan::{Faults, Overrides, Plan, ProfileSource, Recreate, render};

    fn resolve(text: &str, flag: Option<&str>) -> Result<Plan, Faults> {
        let source = ProfileSource::new("test.toml", text);
        let mut overrides = Overrides::default();
        flag.iter().for_each(|flag| overrides.give_flag("--recreate", flag).unwrap());
        Plan::resolve(&source, &overrides)
    }

    /// What becomes of the stream's table and of each other one.
    fn recreates(text: &str, flag: Option<&str>) -> Vec<String> {
        let plan = resolve(text, flag).unwrap_or_else(|faults| panic!("{faults}"));
        // What is rendered resolves to the same.
        let again = resolve(&render(&plan), None).unwrap_or_else(|faults| panic!("{faults}"));
        let all = |plan: Plan| {
            let plan = plan.into_stream().unwrap();
            let tables = plan.common.tables.into_iter().map(|table| table.recreate);
            [plan.job.stream.recreate].into_iter().chain(tables).collect::<Vec<Recreate>>()
        };
        let all = (all(plan), all(again));
        assert_eq!(all.0, all.1);
        all.0.iter().map(Recreate::to_string).collect()
    }

    const SHOP: &str = r#"
stream = { table = "shop.orders", recreate = RECREATE }
[[tables]]
name = "a"
rows = 1
columns = [{ name = "id", type = "bigint", values = "row_id" }]
[[tables]]
name = "b"
rows = 1
recreate = "b"
columns = [{ name = "id", type = "bigint", values = "row_id" }]
"#;

    #[test]
    fn the_flag_beats_the_profile_and_a_name_is_about_one_table() {
        let shop = |recreate: &str| SHOP.replace("RECREATE", recreate);
        assert_eq!(recreates(&shop("false"), None), ["false", "false", "b"]);
        assert_eq!(recreates(&shop("true"), None), ["true", "false", "b"]);
        assert_eq!(recreates(&shop("'Shop.orders'"), None), ["shop.orders", "false", "b"]);
        assert_eq!(recreates(&shop("false"), Some("true")), ["true", "true", "b"]);
        assert_eq!(recreates(&shop("true"), Some("false")), ["false", "false", "false"]);
        assert_eq!(recreates(&shop("true"), Some("a")), ["true", "a", "b"]);
        assert_eq!(recreates(&shop("false"), Some("shop.orders")), ["shop.orders", "false", "b"]);
    }

    #[test]
    fn a_name_that_no_table_has() {
        let mut faults = vec![
            resolve(&SHOP.replace("RECREATE", "'orders'"), None),
            resolve(&SHOP.replace("RECREATE", "'a b'"), None),
            resolve(&SHOP.replace("RECREATE", "1"), None),
            resolve(&SHOP.replace("RECREATE", "true"), Some("orders")),
        ];
        // A benchmark has no stream whose table could be meant.
        let bench = "[bench]\n[[bench.queries]]\nname = 'q'\nsql = 'SELECT 1'";
        faults.push(resolve(bench, Some("l40s_realtime_stream")));
        // A flag may be for another profile of the call.
        let faults = faults.into_iter().map(|plan| match plan {
            Ok(plan) => plan.common.left_over[0].fault.to_string(),
            Err(faults) => faults.to_string(),
        });
        let faults: Vec<_> = faults.collect();
        assert_snapshot!(faults.join("\n\n"));
    }
}
