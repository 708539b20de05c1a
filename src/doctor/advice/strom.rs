//! What stands between a query and the GPU.

use crate::doctor::{Load, Machine, Server};
use crate::plan::TableName;
use crate::quantity::format_bytes;
use crate::result::advice::{PATHS, cpu_fallback, paths_off};
use crate::strom::server::GpuDirect;
use crate::strom::settings::{Applying, Context, KNOWN, Setting, explain_absent};
use crate::strom::{GpuService, WAKE_SQL};

use super::{Advice, Severity, item};

use Severity::{Critical, Note, Warning};

/// Below this share of all-visible pages GPU-Direct has little to read.
const VISIBLE_MIN: f64 = 0.9;

pub(super) fn advise(load: &Load, machine: &Machine, server: &Server) -> Vec<Advice> {
    let mut advice = Vec::new();
    if server.pg_strom.loaded {
        advice.extend(presence(server));
        advice.extend(answers(server));
        advice.extend(switches(server));
        advice.extend(one_gpu(load, machine, server));
        advice.extend(gpu_direct(server));
        advice.extend(rights(server));
        advice.extend(shared(machine, server));
    } else {
        advice.push(not_loaded(machine, server));
    }
    advice.extend(no_such_settings(server));
    advice
}

fn not_loaded(machine: &Machine, server: &Server) -> Advice {
    let strom = &server.pg_strom;
    let load_it = "add pg_strom to shared_preload_libraries and restart the server";
    if strom.is_pretended() {
        let places = places(server, "pg_strom.enabled");
        return item(
            "pg-strom-pretended",
            Critical,
            format!("pg_strom.enabled answers, but PG-Strom is not loaded{places}"),
            "the server keeps any value for a name with a dot: what trusts it measures the CPU \
             and calls it GPU",
            format!("{load_it}; or take the setting away"),
        );
    }
    let installed = strom.available.is_some() || strom.extension.is_some();
    let (fact, fix) = if installed {
        ("PG-Strom is installed and not loaded", load_it.to_owned())
    } else {
        ("PG-Strom is not installed", format!("install PG-Strom on the server; then {load_it}"))
    };
    let gpu_here = server.processes.is_some() && !machine.gpus.is_empty();
    item(
        "pg-strom-not-loaded",
        if installed || gpu_here { Warning } else { Note },
        fact,
        "every query runs on the CPU, and strom-load calls its arm cpu",
        fix,
    )
}

fn presence(server: &Server) -> Vec<Advice> {
    let strom = &server.pg_strom;
    let mut advice = Vec::new();
    if strom.extension.is_none() {
        advice.push(item(
            "extension-missing",
            Critical,
            format!("the extension pg_strom was not created in database {}", server.database),
            "without its schema pgstrom the planner never takes the GPU, whatever \
             pg_strom.enabled says",
            "as a superuser in this database: CREATE EXTENSION pg_strom",
        ));
    }
    if strom.found_gpu == Some(false) {
        advice.push(item(
            "no-gpu-found",
            Critical,
            "PG-Strom is loaded and found no GPU when the server started",
            "pg_strom.enabled can be switched, and every query runs on the CPU",
            "look in the server's log for what it says of GPUs; check pg_strom.cuda_visible_devices \
             and that the server's account can open /dev/nvidia*; then restart the server",
        ));
    } else if server.processes.is_some_and(|found| found.gpu_service_pid.is_none()) {
        advice.push(item(
            "gpu-service-missing",
            Critical,
            "the server has no process `PG-Strom GPU Service`",
            "it does all the GPU work; without it queries fail or wait for it",
            "look in the server's log for why it ended; after a reload of the configuration it is \
             away for some seconds",
        ));
    }
    advice
}

/// Whether the GPU service does its work.
fn answers(server: &Server) -> Option<Advice> {
    let strom = &server.pg_strom;
    Some(match server.gpu_service.as_ref()? {
        GpuService::Answers => return None,
        // The reason is told already.
        GpuService::NotUsed if strom.extension.is_none() || server.processes.is_none() => {
            return None;
        }
        GpuService::NotUsed => item(
            "gpu-not-taken",
            Warning,
            "a small query was planned on the CPU, where only the GPU was cheap",
            "the GPU service is away for some seconds after a reload of the configuration, and \
             queries run on the CPU meanwhile; so they do where a way of using the GPU is off",
            "look again in some seconds; if it stays so, look into the server's log",
        ),
        GpuService::Silent => item(
            "gpu-service-silent",
            Critical,
            "the GPU service does not answer a small query within 5 s, twice",
            "every query on the GPU waits for ever; in PG-Strom 6.1 and 6.2-dev a reload of the \
             configuration does that",
            format!("as a superuser: {WAKE_SQL}; if that does not help, restart the server"),
        ),
        GpuService::Fails(said) => item(
            "gpu-service-fails",
            Critical,
            format!("a small query on the GPU fails: {}", said.replace('\n', " ")),
            "queries on the GPU fail likewise",
            "look into the server's log; the GPU service may be starting anew, or the GPU be full",
        ),
    })
}

fn switches(server: &Server) -> Vec<Advice> {
    let inventory = &server.pg_strom.inventory;
    let mut advice = Vec::new();
    if inventory.real("pg_strom.enabled").is_some_and(|enabled| enabled.is("off")) {
        advice.push(item(
            "switched-off",
            Warning,
            format!("pg_strom.enabled is off{}", places(server, "pg_strom.enabled")),
            "a run of strom-load switches it for each arm; other programs get the CPU",
            "ALTER SYSTEM RESET pg_strom.enabled; SELECT pg_reload_conf()",
        ));
    }
    let fallback = inventory.real("pg_strom.cpu_fallback").and_then(|found| found.value.clone());
    if let Some(value) = fallback.filter(|value| value != "off") {
        advice.push(cpu_fallback(&value, &places(server, "pg_strom.cpu_fallback")));
    }
    let off: Vec<&str> = PATHS
        .into_iter()
        .filter(|name| inventory.real(name).is_some_and(|path| path.is("off")))
        .collect();
    advice.extend(paths_off(&off));
    advice
}

fn one_gpu(load: &Load, machine: &Machine, server: &Server) -> Option<Advice> {
    let strom = &server.pg_strom;
    let used = strom.devices.as_ref().map(Vec::len);
    let one = used == Some(1) || (used.is_none() && strom.extra_module == Some(false));
    if !one || load.partitions < 2 || strom.found_gpu != Some(true) {
        return None;
    }
    let module = match strom.extra_module {
        Some(false) => "; the vendor's module heterodb_extra is missing or brings no driver",
        _ => "",
    };
    // Only a driver on the server's own machine tells whether there is a second one to use.
    let no_other = server.processes.is_some() && machine.gpus.len() == 1;
    Some(item(
        "one-gpu",
        if no_other { Note } else { Warning },
        format!("one GPU works for all {} partitions{module}", load.partitions),
        "partitions are not GPUs: figures do not grow with the GPUs of the machine",
        "read figures as those of one GPU; for more, install heterodb_extra with its licence and \
         restart the server",
    ))
}

fn gpu_direct(server: &Server) -> Vec<Advice> {
    let strom = &server.pg_strom;
    let mut advice = Vec::new();
    let possible = match strom.gpu_direct {
        None => return advice,
        Some(GpuDirect::Possible) => true,
        Some(GpuDirect::NoDriver) => {
            advice.push(item(
                "no-gpu-direct",
                Note,
                "no GPU-Direct: pg_strom.gpudirect_driver is vfs",
                "every page is copied by the CPU on its way to the GPU",
                "install heterodb_extra and set pg_strom.gpudirect_driver = cufile, with a restart; \
                 or name it beside the figures",
            ));
            false
        }
        Some(GpuDirect::SwitchedOff) => {
            advice.push(item(
                "no-gpu-direct",
                Note,
                "no GPU-Direct: pg_strom.gpudirect_enabled is off",
                "every page is copied by the CPU on its way to the GPU",
                "switch pg_strom.gpudirect_enabled on if the GPU can do it; or name it beside the \
                 figures",
            ));
            false
        }
    };
    let Some(table) = &server.table else { return advice };
    let threshold = strom.inventory.real("pg_strom.gpudirect_threshold");
    if let Some(threshold) = threshold.and_then(Setting::bytes)
        && table.largest_bytes() < threshold
    {
        advice.push(item(
            "below-gpudirect-threshold",
            if possible { Warning } else { Note },
            format!(
                "the largest partition of {} has {}, less than pg_strom.gpudirect_threshold = {}",
                table.name,
                format_bytes(table.largest_bytes()),
                format_bytes(threshold)
            ),
            "GPU-Direct is never used for a smaller table, and each partition counts by itself",
            "load more rows first; or, as a superuser, SET pg_strom.gpudirect_threshold lower",
        ));
    }
    if let Some(visible) = table.all_visible_ratio.filter(|visible| *visible < VISIBLE_MIN) {
        advice.push(item(
            "few-pages-visible",
            if possible { Warning } else { Note },
            format!("{:.0} % of the pages of {} are all-visible", visible * 100.0, table.name),
            "the others are copied out of the server's memory and checked row by row on the CPU",
            format!("VACUUM {}; the end that is being written to stays that way", table.name),
        ));
    }
    advice
}

fn rights(server: &Server) -> Vec<Advice> {
    let strom = &server.pg_strom;
    let mut advice = Vec::new();
    let closed: Vec<&str> = strom
        .inventory
        .settings
        .iter()
        .filter(|setting| setting.is_real() && !setting.may_set)
        .filter(|setting| setting.context.map(Context::applying) == Some(Applying::PrivilegedSet))
        .map(|setting| setting.name.as_str())
        .collect();
    if !closed.is_empty() {
        advice.push(item(
            "settings-closed",
            Warning,
            format!("role {} may not set {}", server.role, closed.join(", ")),
            "a sweep over them is refused, and what they are cannot be held equal",
            format!(
                "as a superuser: GRANT SET ON PARAMETER {} TO {}",
                closed.join(", "),
                grantee(server)
            ),
        ));
    }
    // Without the extension there is nothing to list, which is said elsewhere.
    if let (Some(why), Some(_)) = (&strom.devices_unknown, &strom.extension) {
        advice.push(item(
            "devices-unknown",
            Note,
            format!("the GPUs that PG-Strom uses are not known: {why}"),
            "whether one GPU works or several cannot be said",
            format!("as a superuser: GRANT USAGE ON SCHEMA pgstrom TO {}", grantee(server)),
        ));
    }
    advice
}

/// Our role as it is written in SQL: quoted where it must be.
fn grantee(server: &Server) -> String {
    TableName { schema: None, name: server.role.clone() }.as_written()
}

fn shared(machine: &Machine, server: &Server) -> Option<Advice> {
    // Of a server elsewhere, the programs on this machine's GPU are no concern.
    server.processes?;
    let processes = machine.gpus.iter().filter_map(|gpu| gpu.processes.as_ref()).flatten();
    let others: Vec<String> = processes
        .filter(|process| !process.is_pg_strom)
        .map(|process| {
            let command = process.command.as_deref().and_then(|c| c.split(' ').next());
            match command {
                Some(command) => format!("{command} ({})", process.pid),
                None => process.pid.to_string(),
            }
        })
        .collect();
    if others.is_empty() {
        return None;
    }
    Some(item(
        "gpu-shared",
        Warning,
        format!("other programs are on the GPU: {}", others.join(", ")),
        "their work is in the GPU's figures, and takes time and memory from PG-Strom's",
        "stop them for the measurement",
    ))
}

/// What is given a value and is no setting, or not yet.
fn no_such_settings(server: &Server) -> Vec<Advice> {
    let strom = &server.pg_strom;
    let real: Vec<&str> = strom
        .inventory
        .settings
        .iter()
        .filter(|setting| setting.is_real())
        .map(|setting| setting.name.as_str())
        .collect();
    let mut advice = Vec::new();
    for setting in strom.inventory.placeholders() {
        let name = &setting.name;
        if name == "pg_strom.enabled" {
            // Has its own item.
            continue;
        }
        let known = KNOWN.iter().find(|known| known.name == name);
        let told = match (known, strom.loaded) {
            (Some(_), false) => "PG-Strom is not loaded".to_owned(),
            (Some(known), true) if known.since > strom.release.unwrap_or_default() => {
                format!("it came with PG-Strom {}", known.since)
            }
            // Without the module its names are those of the table.
            (_, false) => explain_absent(name, KNOWN.iter().map(|known| known.name)),
            (_, true) => explain_absent(name, real.iter().copied()),
        };
        advice.push(item(
            "no-such-setting",
            if known.is_some() && !strom.loaded { Note } else { Warning },
            format!("{name} is set and is no setting of this server{}", places(server, name)),
            "the server keeps it without a word, and nothing changes: comparing its values \
             measures noise",
            format!("take it away; {told}"),
        ));
    }
    advice
}

/// ` (set in …)`, or nothing if nobody knows where.
fn places(server: &Server, name: &str) -> String {
    let mentions = server.pg_strom.inventory.mentions.iter();
    let places: Vec<&str> = mentions
        .filter(|mention| mention.name.eq_ignore_ascii_case(name))
        .map(|mention| mention.place.as_str())
        .collect();
    if places.is_empty() { String::new() } else { format!(" (set by {})", places.join(", ")) }
}
