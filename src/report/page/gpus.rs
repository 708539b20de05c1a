//! What did the GPU do? The executions of the queries, and each GPU beneath them on the same axis.

use crate::plot::{
    End, Layer, Merge, Names, POINTS_MAX, Panel, Scale, Step, TimeChart, area, decimate, escape,
    steps,
};
use crate::quantity::{format_counted, format_seconds};
use crate::result::gpu::GpuReport;
use crate::series::GpuSecond;

use super::html::{Cell, Table, data, figure};
use super::rate::{LINES_MAX, bands, span_s};
use super::{Page, lanes, torn};

const GIB: f64 = 1_073_741_824.0;

pub(super) fn write(page: &mut Page<'_>) {
    let result = page.result;
    let devices: Vec<(usize, &GpuReport)> =
        result.gpus.devices.iter().enumerate().filter(|(_, gpu)| gpu.samples > 0).collect();
    let seconds = &page.series.gpus;
    let span_s = match result.stream() {
        Some(run) => span_s(run),
        None => (0.0, seconds.iter().map(|own| own.end_s).fold(result.took_s.max(0.1), f64::max)),
    };
    if devices.is_empty() {
        let why = result.gpus.not_watched.as_deref().unwrap_or("none answered");
        page.absent.push(format!("No GPUs: {why}."));
        lanes::write(page, span_s);
        return;
    }
    let (mut panels, mut tables) = (Vec::new(), vec![figures(&devices)]);
    if let Some((panel, table)) = lanes::executions(page, span_s) {
        panels.push(panel);
        tables.push(table);
    }
    for (_, device) in &devices {
        let own: Vec<&GpuSecond> =
            seconds.iter().filter(|second| second.index == device.gpu.index).collect();
        panels.extend(of_gpu(device, &own, span_s, devices.len() > 1));
    }
    // The cursor reads the first one.
    if let Some((_, device)) = devices.first() {
        tables.insert(0, over_time(seconds, device.gpu.index));
    }
    let caption = caption(&devices);
    let plain = "Executions of the queries, and utilisation, memory and power of each GPU on one axis of time";
    let names = Names { id: &page.id("c-gpu"), title: "What the GPUs did", desc: plain };
    let behind = result.stream().map(|run| bands(result, run)).unwrap_or_default();
    let chart = match panels.is_empty() {
        true => String::new(),
        false => TimeChart { names, span_s, bands: &behind, panels: &panels }.draw(),
    };
    if seconds.is_empty() {
        page.absent
            .push(format!("No course of the GPUs: {}.", torn::lacking(page.series, "gpu.csv")));
    }
    let boxes = lanes::note(page);
    let note = format!(
        "<p class=\"note\">{boxes} Utilisation: mean of each second, dashes its greatest sample. Power: dotted \
         is the idle card.</p>"
    );
    let figure = page.time_figure(&caption, &(chart + &note), &data("the GPUs", &tables));
    let question = if devices.len() > 1 { "What did the GPUs do?" } else { "What did the GPU do?" };
    page.section("gpu", "GPU", question, &figure);
}

fn caption(devices: &[(usize, &GpuReport)]) -> String {
    let each = devices.iter().map(|(at, gpu)| {
        let place = |name: &str| format!("/gpus/devices/{at}/{name}");
        let name = escape(gpu.gpu.name.as_deref().unwrap_or("GPU"));
        let mut parts = Vec::new();
        if let Some(busy_s) = gpu.busy_s {
            let watched = figure(&place("watched_s"), &format_seconds(gpu.watched_s));
            parts.push(format!(
                "worked {} in {watched}",
                figure(&place("busy_s"), &format_seconds(busy_s))
            ));
        }
        if let Some(most) = gpu.memory_used_max_bytes {
            let most = figure(&place("memory_used_max_bytes"), &gib(most as f64));
            parts.push(match gpu.gpu.memory_total_bytes {
                Some(total) => format!("held at most {most} of {}", gib(total as f64)),
                None => format!("held at most {most}"),
            });
        }
        if let Some(watts) = gpu.power_max_watts {
            let most = figure(&place("power_max_watts"), &format!("{watts:.0} W"));
            parts.push(match gpu.idle_power_watts {
                Some(idle) => format!(
                    "took at most {most}, idle {}",
                    figure(&place("idle_power_watts"), &format!("{idle:.0} W"))
                ),
                None => format!("took at most {most}"),
            });
        }
        format!("GPU {} ({name}) {}.", gpu.gpu.index, parts.join(", "))
    });
    each.collect::<Vec<_>>().join(" ")
}

/// Gibibytes.
fn gib(bytes: f64) -> String {
    format!("{:.1} GiB", bytes / GIB)
}

/// Utilisation, memory and power of a GPU, as far as its driver tells them.
fn of_gpu<'a>(
    device: &GpuReport,
    all: &[&GpuSecond],
    span_s: (f64, f64),
    several: bool,
) -> Vec<Panel<'a>> {
    let xs = TimeChart::time_scale(span_s);
    let course = |of: fn(&GpuSecond) -> f64| {
        let mut before = f64::NAN;
        let step = |second: &&GpuSecond| {
            let from = if before.is_finite() { before } else { second.end_s - 1.0 };
            before = second.end_s;
            Step { from: from.max(0.0), to: second.end_s, y: of(second) }
        };
        all.iter().map(step).filter(|step| step.to > 0.0).collect::<Vec<Step>>()
    };
    let known = |all: &[Step]| all.iter().any(|step| step.y.is_finite());
    let most =
        |all: &[Step]| all.iter().map(|step| step.y).filter(|y| y.is_finite()).fold(0.0, f64::max);
    let whose = if several { format!("GPU {} ", device.gpu.index) } else { "GPU ".to_owned() };
    let panel = |name: String, height: f64, scale: Scale, label: &'a dyn Fn(f64) -> String| Panel {
        name,
        note: String::new(),
        height: (height, height),
        scale,
        label,
        lanes: Vec::new(),
        layers: Vec::new(),
        ends: Vec::new(),
    };
    let number: &'a dyn Fn(f64) -> String = &super::distributions::trimmed;
    let mut panels = Vec::new();
    let (mean, peak) = (course(|own| own.busy_percent), course(|own| own.busy_max_percent));
    if known(&mean) {
        let scale = Scale::linear(0.0, 100.0, 2);
        let mut own = panel(format!("{whose}utilisation, %"), 70.0, scale.clone(), number);
        own.layers.push(Layer::Path(
            "area",
            area(&decimate(&mean, POINTS_MAX, Merge::Mean), &xs, &scale),
        ));
        let peaks = decimate(&peak, POINTS_MAX, Merge::Max);
        // Dashes: each of its own, without the lines between them.
        let dashes: String =
            peaks.iter().map(|step| steps(std::slice::from_ref(step), &xs, &scale)).collect();
        own.layers.push(Layer::Path("fgt", dashes));
        own.ends.extend(device.utilization_mean_ratio.map(|ratio| End {
            at: ratio * 100.0,
            class: "",
            text: format!("mean {:.1} %", ratio * 100.0),
        }));
        panels.push(own);
    }
    let memory = course(|own| own.memory_mib / 1024.0);
    if known(&memory) {
        let scale = Scale::from_zero(most(&memory), 2);
        let total = device
            .gpu
            .memory_total_bytes
            .map_or_else(String::new, |bytes| format!(" (of {:.1})", bytes as f64 / GIB));
        let name = format!("{whose}memory in use, GiB{total}");
        let mut own = panel(name, 50.0, scale.clone(), number);
        own.layers.push(Layer::Path(
            "fg",
            steps(&decimate(&memory, POINTS_MAX, Merge::Max), &xs, &scale),
        ));
        let peak = most(&memory);
        own.ends.push(End { at: peak, class: "", text: format!("peak {peak:.1} GiB") });
        panels.push(own);
    }
    let power = course(|own| own.power_watts);
    if known(&power) {
        let scale = Scale::from_zero(most(&power).max(device.power_max_watts.unwrap_or(0.0)), 3);
        let mut own = panel(format!("{whose}power, W"), 64.0, scale.clone(), number);
        own.layers.push(Layer::Path(
            "fg",
            steps(&decimate(&power, POINTS_MAX, Merge::Mean), &xs, &scale),
        ));
        own.layers.extend(device.idle_power_watts.map(Layer::Level));
        own.ends.extend(device.idle_power_watts.map(|watts| End {
            at: watts,
            class: "m",
            text: format!("idle {watts:.0} W"),
        }));
        own.ends.extend(device.power_max_watts.map(|watts| End {
            at: watts,
            class: "",
            text: format!("peak {watts:.0} W"),
        }));
        panels.push(own);
    }
    panels
}

/// A GPU by second, in at most [`LINES_MAX`] lines.
fn over_time(seconds: &[GpuSecond], index: u32) -> Table {
    let own: Vec<&GpuSecond> = seconds.iter().filter(|second| second.index == index).collect();
    let each = own.len().div_ceil(LINES_MAX).max(1);
    let mut caption = format!("GPU {index} by second");
    if each > 1 {
        caption = format!("{caption}; {each} seconds a line, the greatest of each");
    }
    let heads = ["until s", "busy", "at most", "memory", "power"];
    let mut table = Table { class: "num", ..Table::new(&caption, &heads) };
    for lines in own.chunks(each) {
        let (Some(first), Some(last)) = (lines.first(), lines.last()) else { continue };
        let most = |of: fn(&GpuSecond) -> f64, unit: &str, decimals: usize| {
            let most = lines.iter().map(|own| of(own)).fold(f64::NAN, f64::max);
            let shown = if most.is_finite() {
                format!("{most:.decimals$} {unit}")
            } else {
                "–".to_owned()
            };
            Cell::number(&shown)
        };
        table.times_s.push(f64::midpoint(first.end_s - 1.0, last.end_s));
        table.row(vec![
            Cell::number(&format!("{:.1}", last.end_s)),
            most(|own| own.busy_percent, "%", 1),
            most(|own| own.busy_max_percent, "%", 0),
            most(|own| own.memory_mib, "MiB", 0),
            most(|own| own.power_watts, "W", 0),
        ]);
    }
    table
}

/// What each GPU came to in the measurement.
fn figures(devices: &[(usize, &GpuReport)]) -> Table {
    let heads =
        ["GPU", "busy", "peak", "memory", "mean power", "peak power", "energy", "temperature"];
    let what = format_counted(devices.len() as u64, "GPU", "GPUs");
    let mut table = Table::new(&format!("{what} in the measurement"), &heads);
    for (at, gpu) in devices {
        let number = |name: &str, value: Option<f64>, unit: &str, decimals: usize| match value {
            Some(value) => Cell::of(
                &format!("/gpus/devices/{at}/{name}"),
                &format!("{value:.decimals$} {unit}"),
            ),
            None => Cell::number("–"),
        };
        let ratio = |name: &str, value: Option<f64>| number(name, value.map(|r| r * 100.0), "%", 1);
        table.row(vec![
            Cell::words(&format!("{} {}", gpu.gpu.index, gpu.gpu.name.as_deref().unwrap_or(""))),
            ratio("utilization_mean_ratio", gpu.utilization_mean_ratio),
            ratio("utilization_max_ratio", gpu.utilization_max_ratio),
            number(
                "memory_used_max_bytes",
                gpu.memory_used_max_bytes.map(|b| b as f64 / GIB),
                "GiB",
                1,
            ),
            number("power_mean_watts", gpu.power_mean_watts, "W", 0),
            number("power_max_watts", gpu.power_max_watts, "W", 0),
            number("energy_joules", gpu.energy_joules, "J", 0),
            number("temperature_max_celsius", gpu.temperature_max_celsius, "°C", 0),
        ]);
    }
    table
}
