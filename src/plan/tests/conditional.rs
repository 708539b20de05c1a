//! Columns that depend on others, as a profile has them.

use super::*;

fn stream(columns: &str) -> String {
    let id = "{ name = 'id', type = 'bigint', values = 'row_id' }";
    format!("[stream]\ncolumns = [\n    {id},\n{columns}]\n")
}

const COUNTRY: &str =
    "{ name = 'country', type = 'text', values = { choice = { of = ['DE', 'FR', 'A.T'] } } },\n";

#[test]
fn what_depends_on_a_column_reads_back() {
    let text = stream(&format!(
        "{{ name = 'city', type = 'varchar(20)', null_ratio = 0.5, values = {{ conditional = {{ on = 'country', of = {{ \
         DE = {{ choice = {{ of = ['Berlin', 'Hamburg'], weights = [3, 1] }} }}, 'A.T' = {{ choice = {{ of = ['Wien'] }} }} \
         }}, others = {{ choice = {{ of = ['Paris'] }} }} }} }} }},\n{COUNTRY}\
         {{ name = 'price', type = 'numeric(6,2)', values = {{ conditional = {{ on = 'city', of = {{ Wien = {{ decimal = \
         {{ min = '0.50', max = '9' }} }} }}, others = {{ decimal = {{ min = '10', max = '99' }} }} }} }} }},\n"
    ));
    let first = plan(&text, &Overrides::default());
    let columns = &first.job.stream.columns;
    assert_eq!(columns[1].values.listed(), Some(vec!["Wien", "Berlin", "Hamburg", "Paris"]));
    assert_eq!(plan(&render(&first), &Overrides::default()), first);
}

#[test]
fn what_is_wrong_with_them_is_said_at_once() {
    let of = |name: &str, on: &str, of: &str| {
        format!(
            "{{ name = '{name}', type = 'text', values = {{ conditional = {{ on = '{on}', {of} }} }} }},\n"
        )
    };
    let choice = "{ choice = { of = ['x'] } }";
    let all = format!("of = {{}}, others = {choice}");
    let two = format!("of = {{ DE = {choice}, FR = {choice} }}");
    let each = format!("of = {{ DE = {choice} }}, others = {choice}");
    let columns = [
        COUNTRY.to_owned(),
        of("a", "land", &each),
        of("b", "country", &two),
        of("c", "country", &format!("of = {{ ES = {choice} }}, others = {choice}")),
        of("d", "id", &each),
        of("e", "e", &each),
        of("f", "g", &each),
        of("g", "f", &each),
        of("h", "country", &all),
        of("i", "country", &format!("of = {{ DE = 'row_id' }}, others = {choice}")),
        of("j", "country", "of = { DE = { label = { prefix = 'x', min = 1 } } }"),
        of("k", "faulty", &each),
        of("l", "h", &each),
        of(
            "p",
            "country",
            &format!(
                "of = {{ DE = {choice} }}, others = {{ choice = {{ of = ['x'], others_weight = 1, others = {{ \
                 reference = {{ table = 't', column = 'c' }} }} }} }}"
            ),
        ),
        "{ name = 'size', type = 'numeric(5,2)', values = { choice = { of = ['1.5', '2.5'] } } },\n".to_owned(),
        of("o", "size", &format!("of = {{ '1.5' = {choice}, '1.50' = {choice} }}, others = {choice}")),
        "{ name = 'faulty', type = 'texts', values = { choice = { of = ['x'] } } },\n".to_owned(),
        "{ name = 'm', type = 'text', values = { conditional = {} } },\n".to_owned(),
        of(
            "n",
            "country",
            &format!(
                "of = {{ DE = {{ conditional = {{ on = 'country', of = {{ DE = {choice} }} }} }} }}, others = {choice}"
            ),
        ),
    ];
    let faults = faults(&stream(&columns.concat()));
    // The facts and fixes, without the lines at fault.
    let is_said = |line: &&str| line.starts_with("error: ") || line.contains("= fix: ");
    let said: Vec<&str> = faults.lines().filter(is_said).collect();
    assert_snapshot!(said.join("\n"));
}
