//! Queries that write, and several statements in one transaction.

use super::*;

fn readers(queries: &str) -> StreamJob {
    plan(queries, &Overrides::default()).job
}

#[test]
fn a_writer_and_a_transaction_have_no_answers_and_the_gpu_off() {
    let job = readers(
        "[[readers.queries]]\nname = 'w'\nwrites = true\nchanges = ['amount']\nsql = 'UPDATE {table} SET amount = 1'\n\
         [[readers.queries]]\nname = 't'\nstatements = ['SELECT 1 FROM {table}', 'SELECT 2;']\n\
         [[readers.queries]]\nname = 'r'\nsql = 'SELECT 1 FROM {table}'\n",
    );
    let [writer, transaction, reader] = job.readers.queries.as_slice() else { panic!() };
    for query in [writer, transaction] {
        assert_eq!((query.gpu, query.answers.compare), (Some(GpuChoice::Off), AnswerCompare::Off));
        assert!(!query.reads_table);
    }
    assert_eq!((reader.gpu, reader.reads_table, reader.writes), (None, true, false));
    assert_eq!((writer.writes, transaction.is_transaction()), (true, true));
    assert_eq!(transaction.sql, "SELECT 1 FROM {table};\nSELECT 2;");
    assert!(job.readers.writes);
    assert_eq!(
        (job.audit, job.stream.changed.as_slice()),
        (Audit::Full, &["amount".to_owned()][..])
    );
    assert!(job.stream.finds_batches());
    // Arms of the profile are theirs, too.
    let job = readers(
        "[arms.a]\nset = { jit = false }\n[arms.b]\nset = {}\n[[readers.queries]]\nname = 't'\nstatements = ['SELECT 1']\n",
    );
    assert_eq!(job.readers.queries[0].gpu, None);
}

#[test]
fn rows_are_counted_where_nobody_says_what_is_written_or_rows_go() {
    for changes in ["", "changes = 'rows'\n"] {
        let query = format!(
            "[[readers.queries]]\nname = 'w'\nwrites = true\nsql = 'DELETE FROM {{table}}'\n{changes}"
        );
        let job = readers(&query);
        assert_eq!((job.audit, job.stream.finds_batches()), (Audit::Count, false));
        let asked = faults(&format!("audit = 'full'\n{query}"));
        assert!(
            asked.contains("as sent are not to be expected") || asked.contains("not all to be"),
            "{asked}"
        );
        // Without readers nobody writes.
        let job = readers(&format!("{query}[readers]\ncount = 0\n"));
        assert_eq!((job.audit, job.stream.finds_batches()), (Audit::Full, true));
    }
}

#[test]
fn what_makes_no_sense_of_them_is_refused() {
    assert_snapshot!(faults(
        r#"
[[readers.queries]]
name = "reads"
changes = ["amount"]
sql = "SELECT 1"
[[readers.queries]]
name = "writes"
writes = true
changes = ["amuont", "id", "region"]
answers = "rows"
gpu = "alternate"
sql = "UPDATE {table} SET amount = 1"
[[readers.queries]]
name = "several"
newest_column = "at"
tolerance = 0.1
statements = ["BEGIN", "SELECT 1; SELECT 2", "SELECT :a", "commit;"]
[[readers.queries]]
name = "none"
statements = []
[[readers.queries]]
name = "both"
sql = "SELECT 1"
statements = ["SELECT 1"]
[[readers.queries]]
name = "what"
writes = true
changes = "everything"
sql = "SELECT 1"
"#
    ));
    let bench = |more: &str| {
        format!("[bench]\nwrites = true\n[[bench.queries]]\nname = 'b'\nsql = 'SELECT 1'\n{more}")
    };
    let fault = faults(&bench("answers = 'rows'"));
    assert!(fault.contains("`answers` is about the answer of one statement"), "{fault}");
    assert_snapshot!(faults(
        "[[bench.queries]]\nname = 'b'\nwrites = true\nchanges = []\nstatements = ['SELECT 1']\n"
    ));
}
