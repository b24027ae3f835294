//! CPU collectors: `cpu`, `cpufreq`, `schedstat`, `softnet`, `stat`, `loadavg`, `pressure`.

use std::collections::BTreeMap;

use kit::metrics::MetricKind;

use super::Collector;
use super::source::{CollectError, Out, Result, line, names, number, read};

/// Kernel ticks a second in `/proc/stat`.
const TICKS: f64 = 100.0;
const MODES: [&str; 8] = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"];
/// An idle counter that falls by more than this means that the CPU was taken away and came back.
const JUMP_BACK: f64 = 3.0;

pub(super) fn cpu(node: &Collector, out: &mut Out) -> Result {
    let roots = &node.config.roots;
    let text = read(&roots.proc("stat"))?;
    let mut now: BTreeMap<u32, [f64; 10]> = BTreeMap::new();
    for row in text.lines() {
        let Some((id, rest)) = row.strip_prefix("cpu").and_then(|row| row.split_once(' ')) else { continue };
        let Ok(id) = id.parse() else { continue };
        let mut values = [0.0; 10];
        for (value, field) in values.iter_mut().zip(rest.split_ascii_whitespace()) {
            *value = field.parse::<f64>().unwrap_or(0.0) / TICKS;
        }
        now.insert(id, values);
    }
    // Kernel counters sometimes step back a little: what was reported stays.
    let mut last = node.cpu.lock();
    last.retain(|id, _| now.contains_key(id));
    for (id, values) in &now {
        let kept = last.entry(*id).or_insert([0.0; 10]);
        if kept[3] - values[3] >= JUMP_BACK {
            *kept = [0.0; 10];
        }
        for (kept, value) in kept.iter_mut().zip(values) {
            *kept = kept.max(*value);
        }
    }
    for (id, values) in last.iter() {
        let id = id.to_string();
        let help = "Seconds the CPUs spent in each mode.";
        for (mode, value) in MODES.iter().zip(values) {
            out.counter("node_cpu_seconds_total", help, &[("cpu", &id), ("mode", mode)], *value);
        }
        let help = "Seconds the CPUs spent in guests (VMs) for each mode.";
        for (mode, value) in [("user", values[8]), ("nice", values[9])] {
            out.counter("node_cpu_guest_seconds_total", help, &[("cpu", &id), ("mode", mode)], value);
        }
    }
    drop(last);
    if node.config.cpu_info {
        info(node, out)?;
    }
    topology(node, out);
    Ok(())
}

fn cpu_dirs(node: &Collector) -> Vec<(String, std::path::PathBuf)> {
    let base = node.config.roots.sys("devices/system/cpu");
    let mut cpus: Vec<u32> = names(&base).iter().filter_map(|name| name.strip_prefix("cpu")?.parse().ok()).collect();
    cpus.sort_unstable();
    cpus.into_iter().map(|id| (id.to_string(), base.join(format!("cpu{id}")))).collect()
}

/// Throttling, isolation and on-line state.
fn topology(node: &Collector, out: &mut Out) {
    let (mut cores, mut packages) = (BTreeMap::new(), BTreeMap::new());
    for (_, dir) in cpu_dirs(node) {
        let (Some(package), Some(core)) =
            (line(dir.join("topology/physical_package_id")), line(dir.join("topology/core_id")))
        else {
            continue;
        };
        if let Some(count) = number(dir.join("thermal_throttle/core_throttle_count")) {
            cores.entry((package.clone(), core)).or_insert(count);
        }
        if let Some(count) = number(dir.join("thermal_throttle/package_throttle_count")) {
            packages.entry(package).or_insert(count);
        }
    }
    for ((package, core), count) in cores {
        let help = "Number of times this CPU core has been throttled.";
        out.counter("node_cpu_core_throttles_total", help, &[("package", &package), ("core", &core)], count);
    }
    for (package, count) in packages {
        let help = "Number of times this CPU package has been throttled.";
        out.counter("node_cpu_package_throttles_total", help, &[("package", &package)], count);
    }
    let base = node.config.roots.sys("devices/system/cpu");
    let help = "Whether each core is isolated, information from /sys/devices/system/cpu/isolated.";
    for cpu in ranges(&line(base.join("isolated")).unwrap_or_default()) {
        out.gauge("node_cpu_isolated", help, &[("cpu", &cpu.to_string())], 1.0);
    }
    // CPU 0 has the file only where it can be switched off: without it nothing is known.
    let cpus = cpu_dirs(node);
    if cpus.first().is_some_and(|(_, dir)| dir.join("online").exists()) {
        for (cpu, dir) in cpus {
            let online = number(dir.join("online")).unwrap_or(0.0);
            out.gauge("node_cpu_online", "CPUs that are online and being scheduled.", &[("cpu", &cpu)], online);
        }
    }
}

/// Numbers of a list such as `1-3,7`.
fn ranges(text: &str) -> Vec<u32> {
    let mut out = Vec::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(first), Ok(last)) = (first.trim().parse::<u32>(), last.trim().parse::<u32>()) {
            out.extend(first..=last.min(first.saturating_add(4096)));
        }
    }
    out
}

fn info(node: &Collector, out: &mut Out) -> Result {
    let text = read(&node.config.roots.proc("cpuinfo"))?;
    for block in text.split("\n\n") {
        let fields: BTreeMap<&str, &str> =
            block.lines().filter_map(|row| row.split_once(':')).map(|(n, v)| (n.trim(), v.trim())).collect();
        let get = |name: &str| fields.get(name).copied().unwrap_or("");
        if get("processor").is_empty() {
            continue;
        }
        let labels = [
            ("package", get("physical id")),
            ("core", get("core id")),
            ("cpu", get("processor")),
            ("vendor", get("vendor_id")),
            ("family", get("cpu family")),
            ("model", get("model")),
            ("model_name", get("model name")),
            ("microcode", get("microcode")),
            ("stepping", get("stepping")),
            ("cachesize", get("cache size")),
        ];
        out.gauge("node_cpu_info", "CPU information from /proc/cpuinfo.", &labels, 1.0);
    }
    Ok(())
}

pub(super) fn cpufreq(node: &Collector, out: &mut Out) -> Result {
    const FILES: [(&str, &str, &str); 6] = [
        ("cpuinfo_cur_freq", "node_cpu_frequency_hertz", "Current CPU thread frequency in hertz."),
        ("cpuinfo_min_freq", "node_cpu_frequency_min_hertz", "Minimum CPU thread frequency in hertz."),
        ("cpuinfo_max_freq", "node_cpu_frequency_max_hertz", "Maximum CPU thread frequency in hertz."),
        ("scaling_cur_freq", "node_cpu_scaling_frequency_hertz", "Current scaled CPU thread frequency in hertz."),
        ("scaling_min_freq", "node_cpu_scaling_frequency_min_hertz", "Minimum scaled CPU thread frequency in hertz."),
        ("scaling_max_freq", "node_cpu_scaling_frequency_max_hertz", "Maximum scaled CPU thread frequency in hertz."),
    ];
    for (cpu, dir) in cpu_dirs(node) {
        let dir = dir.join("cpufreq");
        for (file, name, help) in FILES {
            if let Some(khz) = number(dir.join(file)) {
                out.gauge(name, help, &[("cpu", &cpu)], khz * 1000.0);
            }
        }
        if let Some(current) = line(dir.join("scaling_governor")) {
            let available = line(dir.join("scaling_available_governors")).unwrap_or_default();
            for governor in available.split_ascii_whitespace() {
                let help = "Current enabled CPU frequency governor.";
                let labels = [("cpu", cpu.as_str()), ("governor", governor)];
                out.gauge("node_cpu_scaling_governor", help, &labels, f64::from(u8::from(governor == current)));
            }
        }
    }
    Ok(())
}

pub(super) fn stat(node: &Collector, out: &mut Out) -> Result {
    let text = read(&node.config.roots.proc("stat"))?;
    for row in text.lines() {
        let mut fields = row.split_ascii_whitespace();
        let (Some(name), Some(value)) = (fields.next(), fields.next().and_then(|v| v.parse::<f64>().ok())) else {
            continue;
        };
        match name {
            "intr" => out.counter("node_intr_total", "Total number of interrupts serviced.", &[], value),
            "ctxt" => {
                out.counter("node_context_switches_total", "Total number of context switches.", &[], value);
            }
            "processes" => out.counter("node_forks_total", "Total number of forks.", &[], value),
            "btime" => out.gauge("node_boot_time_seconds", "Node boot time, in unixtime.", &[], value),
            "procs_running" => {
                out.gauge("node_procs_running", "Number of processes in runnable state.", &[], value);
            }
            "procs_blocked" => {
                let help = "Number of processes blocked waiting for I/O to complete.";
                out.gauge("node_procs_blocked", help, &[], value);
            }
            "softirq" if node.config.softirqs => {
                const VECTORS: [&str; 10] =
                    ["hi", "timer", "net_tx", "net_rx", "block", "block_iopoll", "tasklet", "sched", "hrtimer", "rcu"];
                for (vector, count) in VECTORS.iter().zip(fields) {
                    let count = count.parse().unwrap_or(0.0);
                    out.counter("node_softirqs_total", "Number of softirq calls.", &[("vector", vector)], count);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

pub(super) fn loadavg(node: &Collector, out: &mut Out) -> Result {
    let file = node.config.roots.proc("loadavg");
    let text = read(&file)?;
    let mut fields = text.split_ascii_whitespace();
    for (name, help) in
        [("node_load1", "1m load average."), ("node_load5", "5m load average."), ("node_load15", "15m load average.")]
    {
        let value = fields.next().and_then(|field| field.parse().ok());
        let value = value
            .ok_or_else(|| CollectError::Malformed { file: file.clone(), message: "three numbers expected".into() })?;
        out.gauge(name, help, &[], value);
    }
    Ok(())
}

pub(super) fn pressure(node: &Collector, out: &mut Out) -> Result {
    const ROWS: [(&str, &str, &str, &str); 6] = [
        (
            "cpu",
            "some",
            "node_pressure_cpu_waiting_seconds_total",
            "Total time in seconds that processes have waited for CPU time",
        ),
        (
            "io",
            "some",
            "node_pressure_io_waiting_seconds_total",
            "Total time in seconds that processes have waited due to IO congestion",
        ),
        (
            "io",
            "full",
            "node_pressure_io_stalled_seconds_total",
            "Total time in seconds no process could make progress due to IO congestion",
        ),
        (
            "memory",
            "some",
            "node_pressure_memory_waiting_seconds_total",
            "Total time in seconds that processes have waited for memory",
        ),
        (
            "memory",
            "full",
            "node_pressure_memory_stalled_seconds_total",
            "Total time in seconds no process could make progress due to memory congestion",
        ),
        (
            "irq",
            "full",
            "node_pressure_irq_stalled_seconds_total",
            "Total time in seconds no process could make progress due to IRQ congestion",
        ),
    ];
    let mut found = false;
    for (resource, kind, name, help) in ROWS {
        // A kernel with pressure information switched off answers the read with an error.
        let Some(text) = line(node.config.roots.proc("pressure").join(resource)) else { continue };
        let row = text.lines().find(|row| row.starts_with(kind));
        let total = row.and_then(|row| row.rsplit_once("total=")).and_then(|(_, us)| us.trim().parse::<f64>().ok());
        if let Some(us) = total {
            out.counter(name, help, &[], us / 1e6);
            found = true;
        }
    }
    if found { Ok(()) } else { Err(CollectError::NoData) }
}

pub(super) fn schedstat(node: &Collector, out: &mut Out) -> Result {
    let text = read(&node.config.roots.proc("schedstat"))?;
    for row in text.lines() {
        let mut fields = row.split_ascii_whitespace();
        let Some(cpu) = fields.next().and_then(|name| name.strip_prefix("cpu")) else { continue };
        let values: Vec<f64> = fields.filter_map(|field| field.parse().ok()).collect();
        let [.., running, waiting, slices] = values.as_slice() else { continue };
        if values.len() != 9 || cpu.parse::<u32>().is_err() {
            continue;
        }
        for (name, help, value) in [
            ("node_schedstat_running_seconds_total", "Number of seconds CPU spent running a process.", running / 1e9),
            (
                "node_schedstat_waiting_seconds_total",
                "Number of seconds spent by processing waiting for this CPU.",
                waiting / 1e9,
            ),
            ("node_schedstat_timeslices_total", "Number of timeslices executed by CPU.", *slices),
        ] {
            out.counter(name, help, &[("cpu", cpu)], value);
        }
    }
    Ok(())
}

pub(super) fn softnet(node: &Collector, out: &mut Out) -> Result {
    const COLUMNS: [(usize, &str, &str, MetricKind); 7] = [
        (0, "processed_total", "Number of processed packets", MetricKind::Counter),
        (1, "dropped_total", "Number of dropped packets", MetricKind::Counter),
        (2, "times_squeezed_total", "Number of times processing packets ran out of quota", MetricKind::Counter),
        (
            8,
            "cpu_collision_total",
            "Number of collision occur while obtaining device lock while transmitting",
            MetricKind::Counter,
        ),
        (9, "received_rps_total", "Number of times cpu woken up received_rps", MetricKind::Counter),
        (10, "flow_limit_count_total", "Number of times flow limit has been reached", MetricKind::Counter),
        (11, "backlog_len", "Softnet backlog status", MetricKind::Gauge),
    ];
    let text = read(&node.config.roots.proc("net/softnet_stat"))?;
    for (index, row) in text.lines().enumerate() {
        let values: Vec<u64> =
            row.split_ascii_whitespace().filter_map(|field| u64::from_str_radix(field, 16).ok()).collect();
        // Kernels from 5.10 on say which CPU the row is for.
        let cpu = values.get(12).copied().unwrap_or(index as u64).to_string();
        for (column, name, help, kind) in COLUMNS {
            let value = values.get(column).copied().unwrap_or(0) as f64;
            out.add(kind, format!("node_softnet_{name}"), help, &[("cpu", &cpu)], value);
        }
    }
    Ok(())
}
