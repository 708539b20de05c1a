//! What it rests on: plans with their evidence, server and settings, the profile, how to repeat it.

use crate::plot::escape;
use crate::quantity::{format_bytes, format_count, format_seconds};
use crate::result::arm::Gpu;
use crate::result::evidence::{PlanHistory, Verdict};
use crate::result::server::ServerReport;
use crate::result::{Body, as_profile, shell_word};

use super::super::{query, words};
use super::Page;
use super::html::{Cell, Table, held, prose};

pub(super) fn write(page: &mut Page<'_>) {
    plans(page);
    environment(page);
    profile(page);
    repeat(page);
}

/// A query in an arm whose plan was looked at.
struct Planned<'a> {
    name: String,
    gpu: Gpu,
    plan: &'a PlanHistory,
}

fn planned<'a>(page: &Page<'a>) -> Vec<Planned<'a>> {
    let result = page.result;
    let name = |query: &str, arm: &str| format!("{query}, {arm}");
    match &result.body {
        Body::Stream(_) | Body::Faults(_) => {
            let queries = result.stream().into_iter().flat_map(|run| &run.queries);
            queries
                .filter_map(|own| {
                    let name = name(&own.query, &own.arm);
                    Some(Planned { name, gpu: own.gpu, plan: own.plan.as_ref()? })
                })
                .collect()
        }
        Body::Benchmark(run) => {
            let several = run.steps.len() > 1;
            let mut all = Vec::new();
            for step in &run.steps {
                for own in &step.queries {
                    for arm in &own.arms {
                        let Some(plan) = &arm.plan else { continue };
                        let name = name(&own.query, &arm.arm);
                        let name = if several { format!("{} / {name}", step.name) } else { name };
                        all.push(Planned { name, gpu: arm.gpu, plan });
                    }
                }
            }
            all
        }
        Body::Sweep(run) => {
            // Those of the combinations are in the table of each query.
            let own = run.sweep.queries.iter().filter_map(|own| {
                let cell = own.combinations.iter().find(|cell| cell.plan.is_some())?;
                Some(Planned { name: own.query.clone(), gpu: cell.gpu, plan: cell.plan.as_ref()? })
            });
            own.collect()
        }
    }
}

fn plans(page: &mut Page<'_>) {
    let planned = planned(page);
    if planned.is_empty() {
        return;
    }
    let on = planned.iter().any(|own| own.gpu == Gpu::On);
    let mut table = Table { class: "stack", ..Table::new("", &["query, arm", "evidence", "plan"]) };
    if on {
        table.heads.push("reasons and hints".to_owned());
    }
    for own in &planned {
        let says = query::describe(own.gpu, Some(own.plan));
        let (class, mark) = match (own.gpu, own.plan.verdict()) {
            (Gpu::On, Verdict::Gpu) => ("ok", "✓ "),
            (Gpu::On, _) => ("warn", "! "),
            _ => ("", ""),
        };
        let evidence =
            format!(r#"<span class="{class}" aria-hidden="true">{mark}</span>{}"#, escape(&says));
        let flips = words::plan_flips(own.plan);
        let shape = own.plan.evidence.as_ref().map(|evidence| evidence.shape.clone());
        let plan = match (flips.is_empty(), shape, &own.plan.error) {
            (false, ..) => Cell::words(&flips.join("\n")),
            (true, Some(shape), _) => Cell::code(&shape),
            (true, None, Some(error)) => {
                Cell::words(&format!("no plan: {}", words::one_line(error)))
            }
            (true, None, None) => Cell::words("–"),
        };
        let mut cells = vec![Cell::words(&own.name), Cell::markup(evidence), plan];
        if on {
            let why = words::why_not_gpu(own.gpu, own.plan);
            let why: Vec<String> = why.iter().map(|line| prose(line)).collect();
            cells.push(Cell::markup(if why.is_empty() {
                "–".to_owned()
            } else {
                why.join("<br>")
            }));
        }
        table.row(cells);
    }
    let question =
        if on { "What proves that the GPU ran?" } else { "By which plans did the queries run?" };
    let content = format!(
        "<p>What the plans of the measured executions prove, and the last plan, reduced to a line.</p>{}",
        scrolled("Plans", &table)
    );
    page.section("plans", "Plans", question, &content);
}

fn scrolled(name: &str, table: &Table) -> String {
    format!(
        r#"<div class="scroll tall" role="group" aria-label="{}" tabindex="0">{}</div>"#,
        escape(name),
        table.html()
    )
}

fn environment(page: &mut Page<'_>) {
    let result = page.result;
    let mut table = Table { class: "kv", ..Table::default() };
    let mut row = |name: &str, value: String| {
        table.row(vec![Cell::words(name), Cell::markup(value)]);
    };
    let server = |server: &ServerReport| {
        let kind = if server.embedded { ", embedded" } else { "" };
        let strom =
            if server.pg_strom_loaded { "PG-Strom loaded" } else { "no PG-Strom, CPU only" };
        format!("{}{kind}, {strom}; {}", server.facts.version, server.address)
    };
    if let Some(run) = &result.run_id {
        row("run", format!("<code>{}</code>", escape(run)));
    }
    row("PostgreSQL", escape(&server(&result.server)));
    let settings = &result.server.facts.settings;
    let list: Vec<String> =
        settings.iter().map(|(name, value)| escape(&format!("{name}={value}"))).collect();
    row("settings", format!("<code>{}</code>", list.join("<br>")));
    if result.server.facts.clock.is_far_off() {
        row("its clock", escape(&result.server.facts.clock.to_string()));
    }
    if let Some(run) = result.stream() {
        if let Some(readers) = &run.readers.server {
            row("readers’ server", escape(&server(readers)));
        }
        let loader = &run.loader;
        let own = super::html::figure(
            "/loader/resident_peak_bytes",
            &format_bytes(loader.resident_peak_bytes),
        );
        let cpu =
            super::html::figure("/loader/cpu_ratio", &format!("{:.1} %", loader.cpu_ratio * 100.0));
        row("loader", format!("{cpu} of the machine’s CPU, {own} of memory at most"));
        let batches = format!(
            "{} committed, {} sent late (over 1 ms), {} of COPY data",
            super::html::figure("/stream/batches", &format_count(run.stream.batches)),
            super::html::figure("/stream/batches_late", &format_count(run.stream.batches_late)),
            super::html::figure("/stream/copy_bytes", &format_bytes(run.stream.copy_bytes))
        );
        row("batches", batches);
        let errors: Vec<String> = run
            .stream
            .errors
            .iter()
            .map(|(code, count)| format!("{} × SQLSTATE {code}", format_count(*count)))
            .collect();
        if !errors.is_empty() {
            row("errors", escape(&errors.join(", ")));
        }
        for step in &run.clock_steps {
            row("clock set", escape(&step.to_string()));
        }
    }
    for gpu in &result.gpus.devices {
        let name = gpu.gpu.name.as_deref().unwrap_or("unnamed");
        let memory = gpu.gpu.memory_total_bytes.map(format_bytes);
        let memory = memory.map_or_else(String::new, |memory| format!(", {memory}"));
        let driver = result.gpus.driver.as_deref().unwrap_or("?");
        row(&format!("GPU {}", gpu.gpu.index), escape(&format!("{name}{memory}, driver {driver}")));
    }
    row("strom-load", escape(&format!("{}, seed {}", result.strom_load_version, result.seed())));
    row(
        "began, took",
        escape(&format!("{}, {}", result.started_at, held(&format_seconds(result.took_s)))),
    );
    page.section("environment", "Environment", "On what?", &table.html());
}

/// The profile as it was resolved, as a file.
fn text(page: &Page<'_>) -> Option<String> {
    let plan = serde_json::to_value(&page.result.plan).ok()?;
    as_profile(plan).ok()
}

fn profile(page: &mut Page<'_>) {
    let Some(text) = text(page) else { return };
    let name = escape(page.result.profile());
    let content = format!(
        r#"<p>As it was resolved, every default written out.</p><details class="keep"><summary>{name}.toml</summary><pre>{}</pre></details>"#,
        escape(&text)
    );
    page.section("profile", "Profile", "What was asked for?", &content);
}

/// The flags that give a server of our own its settings again.
fn given(server: &ServerReport) -> String {
    let flag = |(name, value): (&String, &Option<String>)| {
        let value = value.as_deref().unwrap_or("VALUE");
        format!(" --pg-set {}", shell_word(&format!("{name}={value}")))
    };
    server.given_settings.iter().map(flag).collect()
}

fn repeat(page: &mut Page<'_>) {
    let result = page.result;
    let name = result.profile();
    let content = match &result.body {
        Body::Faults(faults) => format!(
            "<p>The same seed draws the same faults:</p><pre>strom-load faults --seed {}{}</pre>",
            faults.faults.seed,
            escape(&given(&result.server))
        ),
        _ => {
            let server = match result.server.embedded {
                true => given(&result.server),
                false => " --database-url postgresql://USER@HOST/DATABASE".to_owned(),
            };
            format!(
                "<p>Save the profile above as <code>{0}.toml</code>; the same seed makes the same rows:</p>\
                 <pre>strom-load run {0}.toml{1}</pre>",
                escape(name),
                escape(&server)
            )
        }
    };
    page.section("repeat", "Repeat", "How to repeat it?", &content);
}
