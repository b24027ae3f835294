//! Collectors of the system as a whole: `entropy`, `filefd`, `kernel_hung`, `meminfo`, `os`, `processes`, `selinux`, `time`,
//! `timex`, `uname`, `vmstat`.

use std::collections::BTreeMap;

use kit::metrics::MetricKind;

use super::Collector;
use super::source::{CollectError, Out, Result, line, names, number, read};

pub(super) fn meminfo(node: &Collector, out: &mut Out) -> Result {
    let text = read(&node.config.roots.proc("meminfo"))?;
    for row in text.lines() {
        let Some((key, rest)) = row.split_once(':') else { continue };
        let mut fields = rest.split_ascii_whitespace();
        let Some(mut value) = fields.next().and_then(|v| v.parse::<f64>().ok()) else { continue };
        // `Active(anon)` becomes `Active_anon`.
        let mut key = key.replace('(', "_").replace(')', "");
        if fields.next() == Some("kB") {
            value *= 1024.0;
            key.push_str("_bytes");
        }
        let kind = if key.ends_with("_total") { MetricKind::Counter } else { MetricKind::Gauge };
        let help = format!("Memory information field {key}.");
        out.add(kind, format!("node_memory_{key}"), help, &[], value);
    }
    Ok(())
}

pub(super) fn vmstat(node: &Collector, out: &mut Out) -> Result {
    let text = read(&node.config.roots.proc("vmstat"))?;
    for row in text.lines() {
        let Some((name, value)) = row.split_once(' ') else { continue };
        if let (true, Ok(value)) = (node.vmstat_fields.is_match(name), value.parse()) {
            let help = format!("/proc/vmstat information field {name}.");
            out.add(MetricKind::Unknown, format!("node_vmstat_{name}"), help, &[], value);
        }
    }
    Ok(())
}

pub(super) fn filefd(node: &Collector, out: &mut Out) -> Result {
    let text = read(&node.config.roots.proc("sys/fs/file-nr"))?;
    let fields: Vec<f64> = text.split_ascii_whitespace().filter_map(|field| field.parse().ok()).collect();
    for (name, value) in [("allocated", fields.first()), ("maximum", fields.get(2))] {
        if let Some(value) = value {
            out.gauge(format!("node_filefd_{name}"), format!("File descriptor statistics: {name}."), &[], *value);
        }
    }
    Ok(())
}

pub(super) fn entropy(node: &Collector, out: &mut Out) -> Result {
    let dir = node.config.roots.proc("sys/kernel/random");
    let available = number(dir.join("entropy_avail")).ok_or(CollectError::NoData)?;
    out.gauge("node_entropy_available_bits", "Bits of available entropy.", &[], available);
    if let Some(size) = number(dir.join("poolsize")) {
        out.gauge("node_entropy_pool_size_bits", "Bits of entropy pool.", &[], size);
    }
    Ok(())
}

pub(super) fn kernel_hung(node: &Collector, out: &mut Out) -> Result {
    let file = node.config.roots.proc("sys/kernel/hung_task_detect_count");
    let count = number(file).ok_or(CollectError::NoData)?;
    let help = "Total number of tasks that have been detected as hung since the system booted.";
    out.counter("node_kernel_hung_tasks_total", help, &[], count);
    Ok(())
}

pub(super) fn selinux(node: &Collector, out: &mut Out) -> Result {
    let dir = node.config.roots.sys("fs/selinux");
    let enforce = number(dir.join("enforce"));
    let help = "SELinux is enabled, 1 is true, 0 is false";
    out.gauge("node_selinux_enabled", help, &[], f64::from(u8::from(enforce.is_some())));
    if let Some(mode) = enforce {
        out.gauge("node_selinux_current_mode", "Current SELinux enforcement mode", &[], mode);
        let config = read(&node.config.roots.rootfs.join("etc/selinux/config")).unwrap_or_default();
        let configured = config.lines().find_map(|row| row.trim().strip_prefix("SELINUX=")).unwrap_or("");
        let mode = match configured.trim() {
            "enforcing" => 1.0,
            "permissive" => 0.0,
            _ => -1.0,
        };
        out.gauge("node_selinux_config_mode", "Configured SELinux enforcement mode", &[], mode);
    }
    Ok(())
}

pub(super) fn uname(_: &Collector, out: &mut Out) -> Result {
    let uname = rustix::system::uname();
    let text = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
    let labels = [
        ("sysname", &*text(uname.sysname())),
        ("release", &text(uname.release())),
        ("version", &text(uname.version())),
        ("machine", &text(uname.machine())),
        ("nodename", &text(uname.nodename())),
        ("domainname", &text(uname.domainname())),
    ];
    let help = "Labeled system information as provided by the uname system call.";
    out.gauge("node_uname_info", help, &labels, 1.0);
    Ok(())
}

pub(super) fn time(node: &Collector, out: &mut Out) -> Result {
    let now = jiff::Timestamp::now();
    let help = "System time in seconds since epoch (1970).";
    out.gauge("node_time_seconds", help, &[], now.as_nanosecond() as f64 / 1e9);
    let zoned = now.to_zoned(jiff::tz::TimeZone::system());
    let zone = zoned.strftime("%Z").to_string();
    let offset = f64::from(zoned.offset().seconds());
    out.gauge("node_time_zone_offset_seconds", "System time zone offset in seconds.", &[("time_zone", &zone)], offset);
    let base = node.config.roots.sys("devices/system/clocksource");
    for name in names(&base) {
        let Some(device) = name.strip_prefix("clocksource") else { continue };
        let dir = base.join(&name);
        for (file, metric, help) in [
            (
                "available_clocksource",
                "node_time_clocksource_available_info",
                "Available clocksources read from '/sys/devices/system/clocksource'.",
            ),
            (
                "current_clocksource",
                "node_time_clocksource_current_info",
                "Current clocksource read from '/sys/devices/system/clocksource'.",
            ),
        ] {
            for source in line(dir.join(file)).unwrap_or_default().split_ascii_whitespace() {
                out.gauge(metric, help, &[("device", device), ("clocksource", source)], 1.0);
            }
        }
    }
    Ok(())
}

pub(super) fn timex(_: &Collector, out: &mut Out) -> Result {
    const NANO: i32 = 0x2000;
    const FREQUENCY: f64 = 1_000_000.0 * 65_536.0;
    let Ok((state, t)) = super::adjtimex::read() else { return Err(CollectError::NoData) };
    let divisor = if t.status & NANO != 0 { 1e9 } else { 1e6 };
    for (name, help, value) in [
        ("offset_seconds", "Time offset in between local system and reference clock.", t.offset as f64 / divisor),
        ("frequency_adjustment_ratio", "Local clock frequency adjustment.", 1.0 + t.freq as f64 / FREQUENCY),
        ("maxerror_seconds", "Maximum error in seconds.", t.maxerror as f64 / 1e6),
        ("estimated_error_seconds", "Estimated error in seconds.", t.esterror as f64 / 1e6),
        ("status", "Value of the status array bits.", f64::from(t.status)),
        ("loop_time_constant", "Phase-locked loop time constant.", t.constant as f64),
        ("tick_seconds", "Seconds between clock ticks.", t.tick as f64 / 1e6),
        ("pps_frequency_hertz", "Pulse per second frequency.", t.ppsfreq as f64 / FREQUENCY),
        ("pps_jitter_seconds", "Pulse per second jitter.", t.jitter as f64 / divisor),
        ("pps_shift_seconds", "Pulse per second interval duration.", f64::from(t.shift)),
        (
            "pps_stability_hertz",
            "Pulse per second stability, average of recent frequency changes.",
            t.stabil as f64 / FREQUENCY,
        ),
        ("tai_offset_seconds", "International Atomic Time (TAI) offset.", f64::from(t.tai)),
        (
            "sync_status",
            "Is clock synchronized to a reliable server (1 = yes, 0 = no).",
            // 5 is TIME_ERROR: not synchronized.
            f64::from(u8::from(state != 5)),
        ),
    ] {
        out.gauge(format!("node_timex_{name}"), help, &[], value);
    }
    for (name, help, value) in [
        ("jitter", "Pulse per second count of jitter limit exceeded events.", t.jitcnt),
        ("calibration", "Pulse per second count of calibration intervals.", t.calcnt),
        ("error", "Pulse per second count of calibration errors.", t.errcnt),
        ("stability_exceeded", "Pulse per second count of stability limit exceeded events.", t.stbcnt),
    ] {
        out.counter(format!("node_timex_pps_{name}_total"), help, &[], value as f64);
    }
    Ok(())
}

pub(super) fn os(node: &Collector, out: &mut Out) -> Result {
    const LABELS: [&str; 12] = [
        "build_id",
        "id",
        "id_like",
        "image_id",
        "image_version",
        "name",
        "pretty_name",
        "variant",
        "variant_id",
        "version",
        "version_codename",
        "version_id",
    ];
    let root = &node.config.roots.rootfs;
    let text = read(&root.join("etc/os-release")).or_else(|_| read(&root.join("usr/lib/os-release")))?;
    let mut fields: BTreeMap<String, String> = BTreeMap::new();
    for row in text.lines().filter(|row| !row.trim_start().starts_with('#')) {
        if let Some((name, value)) = row.split_once('=') {
            let value = value.trim();
            let quoted = |mark: char| value.strip_prefix(mark).and_then(|v| v.strip_suffix(mark));
            let value = quoted('"').or_else(|| quoted('\'')).unwrap_or(value).replace("\\\"", "\"");
            fields.insert(name.trim().to_lowercase(), value);
        }
    }
    let get = |name: &str| fields.get(name).map_or("", String::as_str);
    let labels: Vec<(&'static str, &str)> = LABELS.into_iter().map(|name| (name, get(name))).collect();
    let help = "A metric with a constant '1' value labeled by build_id, id, id_like, image_id, image_version, name, pretty_name, variant, variant_id, version, version_codename, version_id.";
    out.gauge("node_os_info", help, &labels, 1.0);
    // `22.04.1` gives 22.04.
    let version = get("version_id");
    let dots = |c: char| c.is_ascii_digit() || c == '.';
    let numeric: String = version.chars().take_while(|c| dots(*c)).collect();
    let numeric = numeric.splitn(3, '.').take(2).collect::<Vec<_>>().join(".");
    if let Ok(version) = numeric.trim_end_matches('.').parse() {
        let labels = [("id", get("id")), ("id_like", get("id_like")), ("name", get("name"))];
        out.gauge("node_os_version", "Metric containing the major.minor part of the OS version.", &labels, version);
    }
    if let Ok(end) = get("support_end").parse::<jiff::civil::Date>()
        && let Ok(end) = end.to_zoned(jiff::tz::TimeZone::UTC)
    {
        let help = "Metric containing the end-of-life date timestamp of the OS.";
        out.gauge("node_os_support_end_timestamp_seconds", help, &[], end.timestamp().as_second() as f64);
    }
    Ok(())
}

pub(super) fn processes(node: &Collector, out: &mut Out) -> Result {
    let base = &node.config.roots.procfs;
    let (mut pids, mut threads) = (0.0, 0.0);
    let (mut states, mut thread_states): (BTreeMap<String, f64>, BTreeMap<String, f64>) = Default::default();
    /// State and number of threads; `None` for a process that has gone.
    fn stat(file: &std::path::Path) -> Option<(String, f64)> {
        let text = line(file)?;
        let (_, rest) = text.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        Some(((*fields.first()?).to_owned(), fields.get(17)?.parse().ok()?))
    }
    for pid in names(base).into_iter().filter(|name| name.bytes().all(|b| b.is_ascii_digit())) {
        let Some((state, count)) = stat(&base.join(&pid).join("stat")) else { continue };
        pids += 1.0;
        threads += count;
        for thread in names(base.join(&pid).join("task")) {
            let state = if thread == pid {
                Some(state.clone())
            } else {
                stat(&base.join(&pid).join("task").join(&thread).join("stat")).map(|(state, _)| state)
            };
            if let Some(state) = state {
                *thread_states.entry(state).or_default() += 1.0;
            }
        }
        *states.entry(state).or_default() += 1.0;
    }
    out.gauge("node_processes_threads", "Allocated threads in system", &[], threads);
    if let Some(limit) = number(base.join("sys/kernel/threads-max")) {
        out.gauge("node_processes_max_threads", "Limit of threads in the system", &[], limit);
    }
    for (state, count) in states {
        out.gauge("node_processes_state", "Number of processes in each state.", &[("state", &state)], count);
    }
    for (state, count) in thread_states {
        let help = "Number of threads in each state.";
        out.gauge("node_processes_threads_state", help, &[("thread_state", &state)], count);
    }
    out.gauge("node_processes_pids", "Number of PIDs", &[], pids);
    if let Some(limit) = number(base.join("sys/kernel/pid_max")) {
        out.gauge("node_processes_max_processes", "Number of max PIDs limit", &[], limit);
    }
    Ok(())
}
