//! `strom-load gpus`: what the driver shows, for people and as JSON.

use std::fmt::Write as _;

use serde_json::json;

use crate::watch::gpu::{GpuNow, Listing, NoGpu};

/// A listing as text. No GPU is one line.
pub(super) fn text(listing: &Result<Listing, NoGpu>) -> String {
    let listing = match listing {
        Ok(listing) => listing,
        Err(no_gpu) => return format!("no GPU to watch: {no_gpu}\n"),
    };
    let driver = listing.driver.as_deref().unwrap_or("of unknown version");
    let mut out = format!("NVIDIA driver {driver} ({})\n", listing.library);
    for gpu in &listing.gpus {
        // Writing to a String cannot fail.
        let _ = one(&mut out, gpu);
    }
    out
}

/// A listing as JSON, of the same form with and without a GPU.
pub(super) fn json(listing: &Result<Listing, NoGpu>) -> serde_json::Value {
    match listing {
        Ok(Listing { driver, library, gpus }) => {
            json!({ "driver": driver, "library": library, "gpus": gpus, "no_gpu": null })
        }
        Err(no_gpu) => {
            let reason = no_gpu.to_string();
            json!({ "driver": null, "library": null, "gpus": [], "no_gpu": reason })
        }
    }
}

fn one(out: &mut String, now: &GpuNow) -> std::fmt::Result {
    let gpu = &now.gpu;
    let name = gpu.name.as_deref().unwrap_or("unnamed");
    write!(out, "\nGPU {}  {name}", gpu.index)?;
    for identity in [&gpu.uuid, &gpu.pci_bus_id].into_iter().flatten() {
        write!(out, "  {identity}")?;
    }
    writeln!(out)?;
    let mut parts = Vec::new();
    parts.extend(now.utilization_ratio.map(|ratio| format!("busy {:.0} %", ratio * 100.0)));
    match (now.memory_used_bytes, gpu.memory_total_bytes) {
        (Some(used), Some(total)) => {
            parts.push(format!("memory {} of {} MiB", mib(used), mib(total)));
        }
        (None, Some(total)) => parts.push(format!("memory {} MiB", mib(total))),
        (_, None) => {}
    }
    parts.extend(now.power_watts.map(|watts| format!("{watts:.0} W")));
    parts.extend(now.temperature_celsius.map(|celsius| format!("{celsius:.0} °C")));
    if parts.is_empty() {
        parts.push("tells nothing about itself".to_owned());
    }
    writeln!(out, "  {}", parts.join(", "))?;
    let Some(processes) = &now.processes else {
        return writeln!(out, "  processes: the driver does not tell");
    };
    if processes.is_empty() {
        writeln!(out, "  no process on it, as far as can be seen from here")?;
    }
    for process in processes {
        let memory = process
            .memory_bytes
            .map_or("memory unknown".to_owned(), |bytes| format!("{} MiB", mib(bytes)));
        let who = match (&process.command, process.is_pg_strom) {
            (_, true) => "PG-Strom's GPU process",
            (Some(command), false) => command,
            (None, false) => "not visible from here",
        };
        writeln!(out, "  pid {}: {who}, {memory}", process.pid)?;
    }
    Ok(())
}

fn mib(bytes: u64) -> u64 {
    bytes / 1_048_576
}
