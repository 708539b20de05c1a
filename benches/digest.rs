//! What it costs that the answer of a timed execution is reduced to a digest while it is drained, on a server
//! of its own: each query with and without, in pairs.
//!
//! `cargo bench --bench digest` prints the table of docs/performance.md, as Markdown. `-- --pairs N` changes
//! how many there are.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::env;
use std::error::Error;
use std::time::{Duration, Instant};

use strom_load::answer::Question;
use strom_load::pg::embedded::{Server, ServerOptions};
use strom_load::pg::{Address, Ask, Reduction, Session, SharedForm};
use strom_load::plan::AnswerRule;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const TABLE: &str = "CREATE TABLE facts AS SELECT n AS id, 'category_' || n % 100 AS category, \
     (n % 100000) * 0.01 AS amount, sqrt(n) AS x, date '2024-01-01' + n % 365 AS day \
     FROM generate_series(1, 1000000) AS n; ALTER TABLE facts ADD PRIMARY KEY (id); \
     VACUUM ANALYZE facts";

const QUERIES: [(&str, &str); 5] = [
    ("one row by its key", "SELECT * FROM facts WHERE id = 5000"),
    (
        "sums by 100 categories",
        "SELECT category, count(*), sum(amount), avg(x) FROM facts GROUP BY 1",
    ),
    (
        "10,000 groups",
        "SELECT id % 10000 AS g, sum(amount), sum(x) FROM facts GROUP BY 1 ORDER BY 1",
    ),
    ("200,000 rows, all columns", "SELECT * FROM facts WHERE id <= 200000 ORDER BY id"),
    ("1,000,000 floats", "SELECT x FROM facts"),
];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let args: Vec<String> = env::args().collect();
    let pairs = args.iter().position(|arg| arg == "--pairs").and_then(|at| args.get(at + 1));
    let pairs: usize = pairs.map_or(Ok(40), |pairs| pairs.parse())?;
    let server = Server::start(&ServerOptions::default()).await?;
    let address = Address::socket(server.socket_dir(), server.port(), "postgres", "postgres");
    let mut session = Session::own(&address, "strom-load bench").await?;
    for statement in TABLE.split(';') {
        session.execute("make the table", statement).await?;
    }
    println!("{pairs} pairs\n");
    println!("| query | without | with | median ratio of a pair | A/A |");
    println!("|---|---|---|---|---|");
    for (name, sql) in QUERIES {
        let rule = AnswerRule::default();
        let question = Question { sql, rule: &rule, on_gpu: false };
        let form = session.form(sql).await?;
        let shared = SharedForm::of(std::iter::once(&form)).ok_or("no columns")?;
        let mut reduction = Reduction::new(&form, shared.reducer(question)?);
        let mut times: [Vec<f64>; 3] = Default::default();
        for pair in 0..=pairs {
            // Each of the three comes first, second and third equally often.
            for turn in 0..3 {
                let which = (pair + turn) % 3;
                let reduction = (which == 1).then_some(&mut reduction);
                let took = time(&mut session, sql, reduction).await?;
                // The first round warms.
                if pair > 0 {
                    times[which].push(took.as_secs_f64() * 1e3);
                }
            }
        }
        let ratio = |of: usize| {
            let ratios = times[of].iter().zip(&times[0]).map(|(with, without)| with / without);
            median(ratios.collect())
        };
        let (with, again) = (ratio(1), ratio(2));
        let [without, digested, _] = times.clone().map(median);
        println!("| {name} | {without:.3} ms | {digested:.3} ms | {with:.3} | {again:.3} |");
    }
    session.close().await;
    server.stop().await?;
    Ok(())
}

async fn time(
    session: &mut Session,
    sql: &str,
    mut reduction: Option<&mut Reduction>,
) -> Result<Duration> {
    let began = Instant::now();
    session.drain(Ask::plain(sql), None, reduction.as_deref_mut()).await?;
    let took = began.elapsed();
    if let Some(reduction) = reduction {
        reduction.reducer.take();
    }
    Ok(took)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
