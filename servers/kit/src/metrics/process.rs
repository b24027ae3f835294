//! `process_*` metrics of this process, from `/proc/self`. A source that cannot be read leaves its metric out.

use std::fs;

use super::{Family, MetricKind};

/// Kernel ticks a second as `/proc` reports times: 100 on every Linux architecture that Rust supports.
const TICKS: f64 = 100.0;

pub(super) fn collect(out: &mut Vec<Family>) {
    let mut add = |name: &'static str, help: &'static str, kind: MetricKind, value: Option<f64>| {
        if let Some(value) = value {
            let mut family = Family::new(name, help, kind);
            family.push(Vec::new(), value);
            out.push(family);
        }
    };
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The command's name stands in parentheses and may hold blanks: count fields behind it.
    let fields: Vec<f64> = stat
        .rsplit_once(") ")
        .map(|(_, rest)| rest.split_ascii_whitespace().map(|field| field.parse().unwrap_or(0.0)).collect())
        .unwrap_or_default();
    let field = |number: usize| fields.get(number.wrapping_sub(3)).copied();
    let cpu = field(14).zip(field(15)).map(|(user, system)| (user + system) / TICKS);
    add("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.", MetricKind::Counter, cpu);
    let fds = fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count() as f64);
    add("process_open_fds", "Number of open file descriptors.", MetricKind::Gauge, fds);
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let limit = |name: &str| {
        let soft = limits.lines().find_map(|line| line.strip_prefix(name))?.split_ascii_whitespace().next()?;
        if soft == "unlimited" { Some(u64::MAX as f64) } else { soft.parse().ok() }
    };
    let max_fds = limit("Max open files");
    add("process_max_fds", "Maximum number of open file descriptors.", MetricKind::Gauge, max_fds);
    let virtual_max = limit("Max address space");
    let help = "Maximum amount of virtual memory available in bytes.";
    add("process_virtual_memory_max_bytes", help, MetricKind::Gauge, virtual_max);
    add("process_virtual_memory_bytes", "Virtual memory size in bytes.", MetricKind::Gauge, field(23));
    let page_size = rustix::param::page_size() as f64;
    let resident = field(24).map(|pages| pages * page_size);
    add("process_resident_memory_bytes", "Resident memory size in bytes.", MetricKind::Gauge, resident);
    let boot = fs::read_to_string("/proc/stat")
        .ok()
        .and_then(|stat| stat.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse::<f64>().ok()));
    let start = boot.zip(field(22)).map(|(boot, ticks)| boot + ticks / TICKS);
    let help = "Start time of the process since unix epoch in seconds.";
    add("process_start_time_seconds", help, MetricKind::Gauge, start);
    let netstat = fs::read_to_string("/proc/self/net/netstat").unwrap_or_default();
    let mut ip_ext = netstat.lines().filter_map(|line| line.strip_prefix("IpExt: "));
    let (names, values) = (ip_ext.next().unwrap_or(""), ip_ext.next().unwrap_or(""));
    let octets = |wanted: &str| {
        let mut pairs = names.split_ascii_whitespace().zip(values.split_ascii_whitespace());
        pairs.find(|(name, _)| *name == wanted).and_then(|(_, value)| value.parse().ok())
    };
    let help = "Number of bytes received by the process over the network.";
    add("process_network_receive_bytes_total", help, MetricKind::Counter, octets("InOctets"));
    let help = "Number of bytes sent by the process over the network.";
    add("process_network_transmit_bytes_total", help, MetricKind::Counter, octets("OutOctets"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_this_process() {
        let mut families = Vec::new();
        collect(&mut families);
        let value = |name: &str| {
            let family = families.iter().find(|f| f.name == name).unwrap_or_else(|| panic!("{name} is missing"));
            match family.metrics[0].value {
                super::super::MetricValue::Single(value) => value,
                ref other => panic!("{other:?}"),
            }
        };
        assert!(value("process_open_fds") >= 3.0);
        assert!(value("process_max_fds") >= value("process_open_fds"));
        assert!(value("process_resident_memory_bytes") > 100_000.0);
        let now = crate::time::now_seconds();
        assert!((now - 86_400.0..=now + 2.0).contains(&value("process_start_time_seconds")));
    }
}
