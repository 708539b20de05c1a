//! Parameters of queries: what is left out is filled in, and each `:name` has its values.

use super::*;

const QUERY: &str = "[[readers.queries]]\nname = 'q'\n";
const LABEL: &str =
    "{ type = 'varchar(20)', values = { label = { prefix = 'c_', min = 1, max = 9 } } }";

fn query(text: &str) -> Query {
    plan(&format!("{QUERY}{text}"), &Overrides::default()).job.readers.queries.swap_remove(0)
}

#[test]
fn the_protocol_follows_from_the_parameters_unless_it_is_written() {
    let plain = query("sql = 'SELECT 1'");
    assert_eq!((plain.protocol, plain.parameters), (Protocol::Extended, None));
    let with = |protocol: &str| {
        query(&format!("sql = 'SELECT :a'\n{protocol}[readers.queries.parameters]\na = {LABEL}"))
    };
    assert_eq!(with("").protocol, Protocol::Prepared);
    assert_eq!(with("protocol = 'simple'\n").protocol, Protocol::Simple);
    let parameters = with("").parameters.unwrap();
    assert_eq!(parameters.columns[0].sql_type.to_string(), "character varying(20)");
    let empty = query("sql = 'SELECT 1'\nparameters = {}");
    assert_eq!((empty.protocol, empty.parameters), (Protocol::Extended, None));
}

#[test]
fn each_query_and_each_seed_has_values_of_its_own() {
    let seed = |seed: u32, name: &str| {
        let text = format!(
            "seed = {seed}\n[[readers.queries]]\nname = '{name}'\nsql = 'SELECT :a'\n\
             parameters = {{ a = {LABEL} }}"
        );
        let mut plan = plan(&text, &Overrides::default());
        plan.job.readers.queries.swap_remove(0).parameters.unwrap().seed
    };
    assert_eq!(seed(42, "a"), seed(42, "a"));
    assert_ne!(seed(42, "a"), seed(42, "b"));
    assert_ne!(seed(42, "a"), seed(1, "a"));
}

#[test]
fn a_plan_with_parameters_reads_as_a_profile() {
    let text = format!(
        "{QUERY}sql = 'SELECT :a, :b'\n[readers.queries.parameters]\na = {LABEL}\n\
         b = {{ type = 'numeric(9, 2)', values = {{ decimal = {{ min = '1', max = '2.50' }} }}, null_ratio = 0.5 }}"
    );
    let first = resolve(&text).unwrap();
    let rendered = render(&first);
    let second = Plan::resolve(&source(&rendered), &Overrides::default()).unwrap();
    assert_eq!(second, first, "{rendered}");
    let json = serde_json::to_value(&first.common.profile).unwrap();
    let query = &json["readers"]["queries"][0];
    assert_eq!(query["sql"], "SELECT :a, :b");
    assert_eq!(query["protocol"], "prepared");
    assert_eq!(query["parameters"]["b"]["type"], "numeric(9,2)");
    assert_eq!(query["parameters"]["b"]["values"]["decimal"]["min"], "1.00");
}

#[test]
fn what_is_wrong_with_parameters_is_said_at_once() {
    let text = format!(
        "{QUERY}sql = 'SELECT a[1:x], :category FROM {{table}}'\n[readers.queries.parameters]\n\
         categry = {LABEL}\n\"a b\" = {LABEL}\n\
         n = {{ type = 'bigint', values = 'row_id' }}\n\
         o = {{ type = 'text[]', values = {{ array = {{ of = {{ pattern = 'o-{{row_id}}' }}, length = {{ integer = {{ min = 1, max = 2 }} }} }} }} }}\nless = {{ type = 'bigint' }}"
    );
    assert_snapshot!(faults(&text));
}

#[test]
fn a_colon_of_the_servers_own_needs_no_parameter() {
    for sql in ["SELECT a[1:n] FROM t", "SELECT a::text, '12:30', f(x := 1)", "SELECT 1 -- :a"] {
        assert_eq!(query(&format!("sql = \"{sql}\"")).sql, sql);
    }
}
