//! Values that refer to the keys of other tables: what a profile may say of them, and the plan once they are read.

use super::*;
use crate::row::Values;

const STREAM: &str = "[stream]\ncolumns = [{ name = 'id', type = 'bigint', values = 'row_id' }, \
    { name = 'customer', type = 'integer', values = { reference = { table = 'Shop.customers', column = 'id' } } }, \
    { name = 'seller', type = 'text', values = { choice = { of = ['0'], others_weight = 1, others = { \
      reference = { table = 'shop.customers', column = 'id', pick = { zipf = { exponent = 1 } } } } } } }]\n\
    [[readers.queries]]\nname = 'one'\nsql = 'SELECT :customer'\n[readers.queries.parameters]\n\
    customer = { type = 'integer', values = { reference = { table = 'shop.customers', column = 'id' } } }\n";

fn resolve(text: &str) -> Result<Plan, Faults> {
    Plan::resolve(&source(text), &Overrides::default())
}

fn keys(reference: &Reference, keys: &[&str]) -> Result<Keys, KeysFault> {
    let mut builder = KeysBuilder::new(reference);
    keys.iter().for_each(|key| builder.push(key));
    builder.build()
}

#[test]
fn the_keys_that_were_found_are_in_the_plan_and_in_its_profile() {
    let plan = resolve(STREAM).unwrap().into_stream().unwrap();
    let references = plan.references();
    // The column's and the parameter's are one, the seller's is of another type.
    let types: Vec<String> = references.iter().map(|own| own.sql_type.to_string()).collect();
    assert_eq!(types, ["integer", "text"]);
    assert_eq!(references[0].table.to_string(), "\"shop\".\"customers\"");
    assert_eq!(plan.job.stream.references(), references);
    let found: Vec<_> = references
        .iter()
        .map(|own| (own.clone(), keys(own, &["3", "20", "100"]).unwrap()))
        .collect();
    let keyed = plan.with_keys(&found);
    let Values::Reference { last, fingerprint, keys: Some(sample), .. } =
        &keyed.job.stream.columns[1].values
    else {
        panic!("{:?}", keyed.job.stream.columns)
    };
    assert_eq!((last.as_deref(), sample.count()), (Some("100"), 3));
    let profile = serde_json::to_value(&keyed.common.profile).unwrap();
    let columns = &profile["stream"]["columns"];
    let parameter = &profile["readers"]["queries"][0]["parameters"]["customer"];
    for own in [
        &columns[1]["values"]["reference"],
        &columns[2]["values"]["choice"]["others"]["reference"],
        &parameter["values"]["reference"],
    ] {
        assert_eq!(
            (own["last"].as_str(), own["fingerprint"].as_str()),
            (Some("100"), fingerprint.as_deref())
        );
    }
    // That profile is of the same keys, and of no others.
    let again = resolve(&render(&keyed)).unwrap().into_stream().unwrap();
    let wanted = &again.references()[0];
    assert_eq!((&wanted.last, &wanted.fingerprint), (last, fingerprint));
    assert!(keys(wanted, &["3", "20", "100"]).is_ok());
    for other in [&["3", "20"][..], &["3", "2", "0100"], &["3", "20", "100", "101"], &[]] {
        let fault = keys(wanted, other).unwrap_err();
        assert!(fault.what.contains("its keys are not what they were"), "{}", fault.what);
    }
    let none = resolve(&STREAM.replace("[[readers.", "[readers]\ncount = 0\n[[readers."));
    assert_eq!(none.unwrap().into_stream().unwrap().references().len(), 2);
}

#[test]
fn of_more_keys_than_count_the_first_ones_do() {
    let plan = resolve(STREAM).unwrap().into_stream().unwrap();
    let reference = &plan.references()[0];
    let mut builder = KeysBuilder::new(reference);
    let mut text = String::new();
    for key in 1..=KEYS_MAX + 1 {
        use std::fmt::Write as _;
        text.clear();
        write!(text, "{key}").unwrap();
        builder.push(&text);
    }
    let found = builder.build().unwrap();
    assert!(found.more);
    let keyed = plan.with_keys(&[(reference.clone(), found)]);
    let Values::Reference { last, keys: Some(sample), .. } = &keyed.job.stream.columns[1].values
    else {
        panic!("{:?}", keyed.job.stream.columns[1].sql_type)
    };
    assert_eq!((last.as_deref(), sample.count()), (Some("1048576"), KEYS_MAX as u64));
}

#[test]
fn what_cannot_refer_is_refused_with_its_place() {
    let of = "values = { reference = { table = 'customers', column = 'id' } }";
    for (text, says) in [
        (STREAM.replace("'Shop.customers'", "'a.b.c'"), "`a.b.c` is no table's name"),
        (STREAM.replace("table = 'Shop.customers', ", ""), "the values have no `table`"),
        (STREAM.replace("column = 'id' } } },", "column = '' } } },"), "bad column name"),
        (STREAM.replace("'integer'", "'jsonb'"), "`reference` values do not fit type jsonb"),
        (STREAM.replace("exponent = 1", "exponent = 0"), "`exponent` is 0.0"),
        (
            format!(
                "[stream]\n[[tables]]\nname = 't'\nrows = 9\ncolumns = [{{ name = 'c', type = 'bigint', {of} }}]"
            ),
            "only a stream and its readers refer to keys of a table, not the rows of a table",
        ),
        (
            format!(
                "[[bench.queries]]\nname = 'q'\nsql = 'SELECT :c'\nparameters = {{ c = {{ type = 'bigint', {of} }} }}"
            ),
            "not the queries of a benchmark",
        ),
    ] {
        let faults = resolve(&text).unwrap_err().to_string();
        assert!(
            faults.contains(says) && faults.contains("profiles/test.toml:"),
            "{says}: {faults}"
        );
    }
}
