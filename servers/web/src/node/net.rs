//! Network collectors: `arp`, `conntrack`, `netclass`, `netdev`, `netstat`, `sockstat`, `udp_queues`.

use std::collections::BTreeMap;

use kit::metrics::MetricKind;

use super::Collector;
use super::source::{CollectError, Out, Result, line, names, number, read};

pub(super) fn arp(node: &Collector, out: &mut Out) -> Result {
    let text = read(&node.config.roots.proc("net/arp"))?;
    let mut counts: BTreeMap<&str, f64> = BTreeMap::new();
    for row in text.lines().skip(1) {
        if let Some(device) = row.split_ascii_whitespace().nth(5) {
            *counts.entry(device).or_default() += 1.0;
        }
    }
    for (device, count) in counts.into_iter().filter(|(device, _)| !node.config.arp_devices.ignores(device)) {
        out.gauge("node_arp_entries", "ARP entries by device", &[("device", device)], count);
    }
    Ok(())
}

pub(super) fn conntrack(node: &Collector, out: &mut Out) -> Result {
    let roots = &node.config.roots;
    let base = roots.proc("sys/net/netfilter");
    let Some(count) = number(base.join("nf_conntrack_count")) else { return Err(CollectError::NoData) };
    let help = "Number of currently allocated flow entries for connection tracking.";
    out.gauge("node_nf_conntrack_entries", help, &[], count);
    if let Some(limit) = number(base.join("nf_conntrack_max")) {
        out.gauge("node_nf_conntrack_entries_limit", "Maximum size of connection tracking table.", &[], limit);
    }
    let text = read(&roots.proc("net/stat/nf_conntrack"))?;
    let mut rows = text.lines();
    let header: Vec<&str> = rows.next().unwrap_or("").split_ascii_whitespace().collect();
    let mut sums = vec![0.0; header.len()];
    for row in rows {
        for (sum, field) in sums.iter_mut().zip(row.split_ascii_whitespace()) {
            *sum += u64::from_str_radix(field, 16).unwrap_or(0) as f64;
        }
    }
    for (column, help) in [
        ("found", "Number of searched entries which were successful."),
        ("invalid", "Number of packets seen which can not be tracked."),
        ("ignore", "Number of packets seen which are already connected to a conntrack entry."),
        ("insert", "Number of entries inserted into the list."),
        ("insert_failed", "Number of entries for which list insertion was attempted but failed."),
        ("drop", "Number of packets dropped due to conntrack failure."),
        (
            "early_drop",
            "Number of dropped conntrack entries to make room for new ones, if maximum table size was reached.",
        ),
        ("search_restart", "Number of conntrack table lookups which had to be restarted due to hashtable resizes."),
    ] {
        // Kernels differ in how they write the last one.
        let at = header.iter().position(|name| *name == column || *name == column.replace('_', ""));
        let value = at.map_or(0.0, |at| sums[at]);
        out.gauge(format!("node_nf_conntrack_stat_{column}"), help, &[], value);
    }
    Ok(())
}

pub(super) fn netclass(node: &Collector, out: &mut Out) -> Result {
    /// File, metric and type; every metric has the same kind of help.
    const FIELDS: [(&str, &str, MetricKind); 16] = [
        ("addr_assign_type", "address_assign_type", MetricKind::Gauge),
        ("carrier", "carrier", MetricKind::Gauge),
        ("carrier_changes", "carrier_changes_total", MetricKind::Counter),
        ("carrier_up_count", "carrier_up_changes_total", MetricKind::Counter),
        ("carrier_down_count", "carrier_down_changes_total", MetricKind::Counter),
        ("dev_id", "device_id", MetricKind::Gauge),
        ("dormant", "dormant", MetricKind::Gauge),
        ("flags", "flags", MetricKind::Gauge),
        ("ifindex", "iface_id", MetricKind::Gauge),
        ("iflink", "iface_link", MetricKind::Gauge),
        ("link_mode", "iface_link_mode", MetricKind::Gauge),
        ("mtu", "mtu_bytes", MetricKind::Gauge),
        ("name_assign_type", "name_assign_type", MetricKind::Gauge),
        ("netdev_group", "net_dev_group", MetricKind::Gauge),
        ("tx_queue_len", "transmit_queue_length", MetricKind::Gauge),
        ("type", "protocol_type", MetricKind::Gauge),
    ];
    let base = node.config.roots.sys("class/net");
    if !base.is_dir() {
        return Err(CollectError::NoData);
    }
    for device in names(&base) {
        let dir = base.join(&device);
        if !dir.is_dir() || node.config.netclass_devices.ignores(&device) {
            continue;
        }
        let labels = [("device", device.as_str())];
        let get = |file: &str| line(dir.join(file)).unwrap_or_default();
        let operstate = get("operstate");
        let help = "Value is 1 if operstate is 'up', 0 otherwise.";
        out.gauge("node_network_up", help, &labels, f64::from(u8::from(operstate == "up")));
        let flags = number(dir.join("flags"));
        let admin = match flags {
            None => "unknown",
            Some(flags) if flags as u64 & 1 == 1 => "up",
            Some(_) => "down",
        };
        let info = [
            ("device", device.as_str()),
            ("address", &get("address")),
            ("broadcast", &get("broadcast")),
            ("duplex", &get("duplex")),
            ("operstate", &operstate),
            ("adminstate", admin),
            ("ifalias", &get("ifalias")),
        ];
        let help = "Non-numeric data from /sys/class/net/<iface>, value is always 1.";
        out.gauge("node_network_info", help, &info, 1.0);
        for (file, name, kind) in FIELDS {
            if let Some(value) = number(dir.join(file)) {
                let help = format!("Network device property: {name}");
                out.add(kind, format!("node_network_{name}"), help, &labels, value);
            }
        }
        if let Some(speed) = number(dir.join("speed"))
            && (speed >= 0.0 || !node.config.ignore_invalid_speed)
        {
            let bytes = (speed * 1_000_000.0 / 8.0).trunc();
            out.gauge("node_network_speed_bytes", "Network device property: speed_bytes", &labels, bytes);
        }
    }
    Ok(())
}

pub(super) fn netdev(node: &Collector, out: &mut Out) -> Result {
    const COLUMNS: [&str; 16] = [
        "receive_bytes",
        "receive_packets",
        "receive_errs",
        "receive_drop",
        "receive_fifo",
        "receive_frame",
        "receive_compressed",
        "receive_multicast",
        "transmit_bytes",
        "transmit_packets",
        "transmit_errs",
        "transmit_drop",
        "transmit_fifo",
        "transmit_colls",
        "transmit_carrier",
        "transmit_compressed",
    ];
    let text = read(&node.config.roots.proc("net/dev"))?;
    for row in text.lines().skip(2) {
        let Some((device, rest)) = row.rsplit_once(':') else { continue };
        let device = device.trim();
        if node.config.net_devices.ignores(device) {
            continue;
        }
        let mut add = |name: &str, value: f64| {
            let help = format!("Network device statistic {name}.");
            out.counter(format!("node_network_{name}_total"), help, &[("device", device)], value);
        };
        for (name, field) in COLUMNS.iter().zip(rest.split_ascii_whitespace()) {
            add(name, field.parse().unwrap_or(0.0));
        }
        let statistics = node.config.roots.sys("class/net").join(device).join("statistics");
        if let Some(value) = number(statistics.join("rx_nohandler")) {
            add("receive_nohandler", value);
        }
    }
    Ok(())
}

pub(super) fn netstat(node: &Collector, out: &mut Out) -> Result {
    let mut add = |protocol: &str, name: &str, value: &str| {
        let key = format!("{protocol}_{name}");
        if let (true, Ok(value)) = (node.netstat_fields.is_match(&key), value.parse()) {
            let help = format!("Statistic {protocol}{name}.");
            out.add(MetricKind::Unknown, format!("node_netstat_{key}"), help, &[], value);
        }
    };
    for file in ["net/netstat", "net/snmp"] {
        let text = read(&node.config.roots.proc(file))?;
        let mut rows = text.lines();
        // Rows come in pairs: names, then values.
        while let (Some(names), Some(values)) = (rows.next(), rows.next()) {
            let Some((protocol, names)) = names.split_once(':') else { continue };
            let values = values.split_once(':').map_or("", |(_, values)| values);
            for (name, value) in names.split_ascii_whitespace().zip(values.split_ascii_whitespace()) {
                add(protocol, name, value);
            }
        }
    }
    // A kernel without IPv6 has no such file.
    let text = read(&node.config.roots.proc("net/snmp6")).unwrap_or_default();
    for row in text.lines() {
        let mut fields = row.split_ascii_whitespace();
        let (Some(name), Some(value)) = (fields.next(), fields.next()) else { continue };
        if let Some(six) = name.find('6') {
            add(&name[..=six], &name[six + 1..], value);
        }
    }
    Ok(())
}

pub(super) fn sockstat(node: &Collector, out: &mut Out) -> Result {
    let page = rustix::param::page_size() as f64;
    let mut found = false;
    for file in ["net/sockstat", "net/sockstat6"] {
        let Ok(text) = read(&node.config.roots.proc(file)) else { continue };
        found = true;
        for row in text.lines() {
            let Some((protocol, rest)) = row.split_once(':') else { continue };
            let mut fields = rest.split_ascii_whitespace();
            while let (Some(name), Some(value)) = (fields.next(), fields.next().and_then(|v| v.parse::<f64>().ok())) {
                if protocol == "sockets" {
                    out.gauge("node_sockstat_sockets_used", "Number of IPv4 sockets in use.", &[], value);
                    continue;
                }
                let mut add = |name: &str, value: f64| {
                    let help = format!("Number of {protocol} sockets in state {name}.");
                    out.gauge(format!("node_sockstat_{protocol}_{name}"), help, &[], value);
                };
                add(name, value);
                if name == "mem" {
                    add("mem_bytes", value * page);
                }
            }
        }
    }
    if found { Ok(()) } else { Err(CollectError::NoData) }
}

pub(super) fn udp_queues(node: &Collector, out: &mut Out) -> Result {
    let mut found = false;
    for (file, ip) in [("net/udp", "v4"), ("net/udp6", "v6")] {
        let Ok(text) = read(&node.config.roots.proc(file)) else { continue };
        found = true;
        let (mut transmit, mut receive) = (0.0, 0.0);
        for row in text.lines().skip(1) {
            let Some((tx, rx)) = row.split_ascii_whitespace().nth(4).and_then(|queues| queues.split_once(':')) else {
                continue;
            };
            transmit += u64::from_str_radix(tx, 16).unwrap_or(0) as f64;
            receive += u64::from_str_radix(rx, 16).unwrap_or(0) as f64;
        }
        let help = "Number of allocated memory in the kernel for UDP datagrams in bytes.";
        for (queue, value) in [("tx", transmit), ("rx", receive)] {
            out.gauge("node_udp_queues", help, &[("queue", queue), ("ip", ip)], value);
        }
    }
    if found { Ok(()) } else { Err(CollectError::NoData) }
}
