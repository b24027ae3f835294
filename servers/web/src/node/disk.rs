//! Disk collectors: `diskstats`, `filesystem`, `mdadm`, `nvme`.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use kit::metrics::MetricKind;

use super::Collector;
use super::source::{CollectError, Out, Result, line, names, number, read};

const SECTOR: f64 = 512.0;

/// Columns of `/proc/diskstats` behind the device's name: metric, help, factor.
const DISK_COLUMNS: [(&str, &str, f64); 17] = [
    ("reads_completed_total", "The total number of reads completed successfully.", 1.0),
    ("reads_merged_total", "The total number of reads merged.", 1.0),
    ("read_bytes_total", "The total number of bytes read successfully.", SECTOR),
    ("read_time_seconds_total", "The total number of seconds spent by all reads.", 0.001),
    ("writes_completed_total", "The total number of writes completed successfully.", 1.0),
    ("writes_merged_total", "The number of writes merged.", 1.0),
    ("written_bytes_total", "The total number of bytes written successfully.", SECTOR),
    ("write_time_seconds_total", "This is the total number of seconds spent by all writes.", 0.001),
    ("io_now", "The number of I/Os currently in progress.", 1.0),
    ("io_time_seconds_total", "Total seconds spent doing I/Os.", 0.001),
    ("io_time_weighted_seconds_total", "The weighted # of seconds spent doing I/Os.", 0.001),
    ("discards_completed_total", "The total number of discards completed successfully.", 1.0),
    ("discards_merged_total", "The total number of discards merged.", 1.0),
    ("discarded_sectors_total", "The total number of sectors discarded successfully.", 1.0),
    ("discard_time_seconds_total", "This is the total number of seconds spent by all discards.", 0.001),
    ("flush_requests_total", "The total number of flush requests completed successfully", 1.0),
    ("flush_requests_time_seconds_total", "This is the total number of seconds spent by all flush requests.", 0.001),
];

pub(super) fn diskstats(node: &Collector, out: &mut Out) -> Result {
    let text = read(&node.config.roots.proc("diskstats"))?;
    for row in text.lines() {
        let mut fields = row.split_ascii_whitespace();
        let (Some(major), Some(minor), Some(device)) = (fields.next(), fields.next(), fields.next()) else { continue };
        if node.config.disk_devices.ignores(device) {
            continue;
        }
        let udev = udev(&node.config.roots.udev.join(format!("b{major}:{minor}")));
        let get = |name: &str| udev.get(name).map_or("", String::as_str);
        let serial = ["SCSI_IDENT_SERIAL", "ID_SERIAL_SHORT", "ID_SERIAL"]
            .into_iter()
            .map(get)
            .find(|serial| !serial.is_empty())
            .unwrap_or("");
        let rotational = line(node.config.roots.sys("block").join(device).join("queue/rotational"));
        let labels = [
            ("device", device),
            ("major", major),
            ("minor", minor),
            ("path", get("ID_PATH")),
            ("wwn", get("ID_WWN")),
            ("model", get("ID_MODEL")),
            ("serial", serial),
            ("revision", get("ID_REVISION")),
            ("rotational", if rotational.as_deref() == Some("1") { "1" } else { "0" }),
        ];
        out.gauge("node_disk_info", "Info of /sys/block/<block_device>.", &labels, 1.0);
        for ((name, help, factor), field) in DISK_COLUMNS.iter().zip(fields) {
            let kind = if *name == "io_now" { MetricKind::Gauge } else { MetricKind::Counter };
            let value = field.parse::<f64>().unwrap_or(0.0) * factor;
            out.add(kind, format!("node_disk_{name}"), *help, &[("device", device)], value);
        }
        if !get("ID_FS_TYPE").is_empty() {
            let labels = [
                ("device", device),
                ("type", get("ID_FS_TYPE")),
                ("usage", get("ID_FS_USAGE")),
                ("uuid", get("ID_FS_UUID")),
                ("version", get("ID_FS_VERSION")),
            ];
            out.gauge("node_disk_filesystem_info", "Info about disk filesystem.", &labels, 1.0);
        }
        if !get("DM_NAME").is_empty() {
            let labels = [
                ("device", device),
                ("name", get("DM_NAME")),
                ("uuid", get("DM_UUID")),
                ("vg_name", get("DM_VG_NAME")),
                ("lv_name", get("DM_LV_NAME")),
                ("lv_layer", get("DM_LV_LAYER")),
            ];
            out.gauge("node_disk_device_mapper_info", "Info about disk device mapper.", &labels, 1.0);
        }
        if !get("ID_ATA").is_empty() {
            for (key, name, help) in [
                ("ID_ATA_WRITE_CACHE", "node_disk_ata_write_cache", "ATA disk has a write cache."),
                (
                    "ID_ATA_WRITE_CACHE_ENABLED",
                    "node_disk_ata_write_cache_enabled",
                    "ATA disk has its write cache enabled.",
                ),
                (
                    "ID_ATA_ROTATION_RATE_RPM",
                    "node_disk_ata_rotation_rate_rpm",
                    "ATA disk rotation rate in RPMs (0 for SSDs).",
                ),
            ] {
                if let Ok(value) = get(key).parse() {
                    out.gauge(name, help, &[("device", device)], value);
                }
            }
        }
    }
    Ok(())
}

/// Properties of udev's database; none when it has no such device.
fn udev(file: &Path) -> HashMap<String, String> {
    let text = read(file).unwrap_or_default();
    let pairs = text.lines().filter_map(|row| row.strip_prefix("E:")?.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// A mount point and what `statfs` says of it.
struct Mount {
    device: String,
    point: String,
    kind: String,
    major: String,
    minor: String,
    read_only: bool,
}

pub(super) fn filesystem(node: &Collector, out: &mut Out) -> Result {
    let roots = &node.config.roots;
    let text = match read(&roots.proc("1/mountinfo")) {
        Ok(text) => text,
        Err(_) => read(&roots.proc("self/mountinfo"))?,
    };
    let root = roots.rootfs.to_string_lossy().into_owned();
    let mut seen = HashSet::new();
    let mut mounts = Vec::new();
    for mount in text.lines().filter_map(parse_mount) {
        let mut mount = mount;
        if root != "/" {
            mount.point = match mount.point.strip_prefix(&root) {
                Some("") => "/".into(),
                Some(rest) if rest.starts_with('/') => rest.into(),
                _ => mount.point,
            };
        }
        let ignored = node.config.mount_points.ignores(&mount.point) || node.config.fs_types.ignores(&mount.kind);
        if !ignored && seen.insert((mount.device.clone(), mount.point.clone(), mount.kind.clone())) {
            mounts.push(mount);
        }
    }
    for mount in mounts {
        let path = roots.rootfs.join(mount.point.trim_start_matches('/'));
        let stat = statfs(node, &mount.point, &path);
        let error = stat.as_ref().err().cloned().unwrap_or_default();
        let labels = [
            ("device", mount.device.as_str()),
            ("mountpoint", mount.point.as_str()),
            ("fstype", mount.kind.as_str()),
            ("device_error", error.as_str()),
        ];
        let help = "Whether an error occurred while getting statistics for the given device.";
        out.gauge("node_filesystem_device_error", help, &labels, f64::from(u8::from(stat.is_err())));
        let help = "Filesystem read-only status.";
        out.gauge("node_filesystem_readonly", help, &labels, f64::from(u8::from(mount.read_only)));
        let Ok(stat) = stat else { continue };
        for (name, help, value) in [
            ("node_filesystem_size_bytes", "Filesystem size in bytes.", stat.size),
            ("node_filesystem_free_bytes", "Filesystem free space in bytes.", stat.free),
            ("node_filesystem_avail_bytes", "Filesystem space available to non-root users in bytes.", stat.available),
            ("node_filesystem_files", "Filesystem total file nodes.", stat.files),
            ("node_filesystem_files_free", "Filesystem total free file nodes.", stat.files_free),
        ] {
            out.gauge(name, help, &labels, value);
        }
        let labels = [
            ("device", mount.device.as_str()),
            ("major", mount.major.as_str()),
            ("minor", mount.minor.as_str()),
            ("mountpoint", mount.point.as_str()),
        ];
        out.gauge("node_filesystem_mount_info", "Filesystem mount information.", &labels, 1.0);
    }
    Ok(())
}

/// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`
fn parse_mount(row: &str) -> Option<Mount> {
    let (head, tail) = row.split_once(" - ")?;
    let head: Vec<&str> = head.split(' ').collect();
    let mut tail = tail.split(' ');
    let (kind, device, super_options) = (tail.next()?, tail.next()?, tail.next().unwrap_or(""));
    let (major, minor) = head.get(2)?.split_once(':')?;
    let mut options = head.get(5)?.split(',').chain(super_options.split(','));
    Some(Mount {
        device: unescape(device),
        point: unescape(head.get(4)?),
        kind: kind.to_owned(),
        major: major.to_owned(),
        minor: minor.to_owned(),
        read_only: options.any(|option| option == "ro" || option == "emergency_ro"),
    })
}

/// Blanks are written in octal.
fn unescape(text: &str) -> String {
    text.replace("\\040", " ").replace("\\011", "\t")
}

#[derive(Clone, Copy)]
struct FsStat {
    size: f64,
    free: f64,
    available: f64,
    files: f64,
    files_free: f64,
}

/// `statfs` on a thread of its own: a mount whose server is gone blocks it for ever, and nothing else. Such a mount is
/// not asked again before that thread comes back.
fn statfs(node: &Collector, point: &str, path: &Path) -> Result<FsStat, String> {
    let stuck = &node.stuck_mounts;
    if !stuck.lock().insert(point.to_owned()) {
        return Err("mountpoint timeout".into());
    }
    let (sender, receiver) = mpsc::channel();
    let (path, key, stuck) = (path.to_owned(), point.to_owned(), stuck.clone());
    let spawned = std::thread::Builder::new().name("statfs".into()).spawn(move || {
        let stat = rustix::fs::statfs(&path).map_err(|errno| {
            // Go's words for the common ones.
            match errno {
                rustix::io::Errno::NOENT => "no such file or directory".to_owned(),
                rustix::io::Errno::ACCESS => "permission denied".to_owned(),
                errno => std::io::Error::from(errno).to_string(),
            }
        });
        stuck.lock().remove(&key);
        // The collector may have given up waiting.
        let _ = sender.send(stat);
    });
    if let Err(error) = spawned {
        node.stuck_mounts.lock().remove(point);
        return Err(error.to_string());
    }
    let stat = receiver.recv_timeout(node.config.mount_timeout.max(Duration::from_millis(1)));
    let stat = stat.map_err(|_| "mountpoint timeout".to_owned())??;
    let block = stat.f_bsize as f64;
    Ok(FsStat {
        size: stat.f_blocks as f64 * block,
        free: stat.f_bfree as f64 * block,
        available: stat.f_bavail as f64 * block,
        files: stat.f_files as f64,
        files_free: stat.f_ffree as f64,
    })
}

pub(super) fn mdadm(node: &Collector, out: &mut Out) -> Result {
    let text = read(&node.config.roots.proc("mdstat"))?;
    let mut rows = text.lines().peekable();
    while let Some(row) = rows.next() {
        let Some((device, rest)) = row.split_once(" : ").filter(|(name, _)| name.starts_with("md")) else { continue };
        let mut words = rest.split_ascii_whitespace();
        let mut state = words.next().unwrap_or("inactive").to_owned();
        let disks: Vec<&str> = words.filter(|word| word.contains('[')).collect();
        let failed = disks.iter().filter(|disk| disk.contains("(F)")).count() as f64;
        let spare = disks.iter().filter(|disk| disk.contains("(S)")).count() as f64;
        let (mut blocks, mut synced) = (0.0, 0.0);
        let (mut total, mut active) = (disks.len() as f64 - failed - spare, disks.len() as f64 - failed - spare);
        while let Some(detail) = rows.next_if(|row| row.starts_with(' ')) {
            if let Some(count) = detail.trim().split_once(" blocks").and_then(|(n, _)| n.parse().ok()) {
                (blocks, synced) = (count, count);
                // `[2/1]`: disks wanted and disks there.
                let pair = detail.split('[').filter_map(|part| part.split_once(']')?.0.split_once('/')).next_back();
                if let Some((Ok(wanted), Ok(up))) = pair.map(|(a, b)| (a.parse(), b.parse())) {
                    (total, active) = (wanted, up);
                }
            }
            for (word, name) in
                [("recovery", "recovering"), ("resync", "resyncing"), ("reshape", "recovering"), ("check", "checking")]
            {
                if detail.contains(&format!("{word} =")) || detail.contains(&format!("{word}=")) {
                    state = name.to_owned();
                    let done = detail.split('(').nth(1).and_then(|part| part.split('/').next());
                    synced = done.and_then(|done| done.parse().ok()).unwrap_or(0.0);
                }
            }
        }
        let labels = [("device", device)];
        out.gauge("node_md_disks_required", "Total number of disks of device.", &labels, total);
        for (name, count) in [("active", active), ("failed", failed), ("spare", spare)] {
            let help = "Number of active/failed/spare disks of device.";
            out.gauge("node_md_disks", help, &[("device", device), ("state", name)], count);
        }
        for (name, word) in [
            ("active", "active"),
            ("inactive", "inactive"),
            ("recovering", "recovering"),
            ("resync", "resyncing"),
            ("check", "checking"),
        ] {
            let help = "Indicates the state of md-device.";
            let value = f64::from(u8::from(state == word));
            out.gauge("node_md_state", help, &[("device", device), ("state", name)], value);
        }
        out.gauge("node_md_blocks", "Total number of blocks on device.", &labels, blocks);
        out.gauge("node_md_blocks_synced", "Number of blocks synced on device.", &labels, synced);
        let md = node.config.roots.sys("block").join(device).join("md");
        if let Some(disks) = number(md.join("raid_disks")) {
            out.gauge("node_md_raid_disks", "Number of raid disks on device.", &labels, disks);
        }
        if let Some(degraded) = number(md.join("degraded")) {
            out.gauge("node_md_degraded", "Number of degraded disks on device.", &labels, degraded);
        }
    }
    Ok(())
}

pub(super) fn nvme(node: &Collector, out: &mut Out) -> Result {
    let base = node.config.roots.sys("class/nvme");
    if !base.is_dir() {
        return Err(CollectError::NoData);
    }
    for device in names(&base) {
        let dir = base.join(&device);
        let get = |file: &str| line(dir.join(file)).unwrap_or_default();
        let labels = [
            ("device", device.as_str()),
            ("firmware_revision", &get("firmware_rev")),
            ("model", &get("model")),
            ("serial", &get("serial")),
            ("state", &get("state")),
            ("cntlid", &get("cntlid")),
        ];
        let help = "Non-numeric data from /sys/class/nvme/<device>, value is always 1.";
        out.gauge("node_nvme_info", help, &labels, 1.0);
        for namespace in names(&dir) {
            let Some(id) = namespace.strip_prefix(&device).and_then(|rest| rest.rsplit_once('n')).map(|(_, id)| id)
            else {
                continue;
            };
            if id.parse::<u32>().is_err() {
                continue;
            }
            let dir = dir.join(&namespace);
            let labels = [("device", device.as_str()), ("nsid", id)];
            let state = line(dir.join("ana_state")).unwrap_or_else(|| "unknown".into());
            let help = "Information about NVMe namespaces. Value is always 1";
            let info = [("device", device.as_str()), ("nsid", id), ("ana_state", state.as_str())];
            out.gauge("node_nvme_namespace_info", help, &info, 1.0);
            let block = number(dir.join("queue/logical_block_size")).unwrap_or(0.0);
            let size = number(dir.join("size")).unwrap_or(0.0);
            for (name, help, value) in [
                (
                    "node_nvme_namespace_capacity_bytes",
                    "Capacity of the NVMe namespace in bytes. Computed as namespace_size * namespace_logical_block_size",
                    size * block,
                ),
                (
                    "node_nvme_namespace_size_bytes",
                    "Size of the NVMe namespace in bytes. Available in /sys/class/nvme/<device>/<namespace>/size",
                    size * SECTOR,
                ),
                (
                    "node_nvme_namespace_used_bytes",
                    "Used space of the NVMe namespace in bytes. Available in /sys/class/nvme/<device>/<namespace>/nuse",
                    number(dir.join("nuse")).unwrap_or(0.0) * block,
                ),
                (
                    "node_nvme_namespace_logical_block_size_bytes",
                    "Logical block size of the NVMe namespace in bytes. Usually 4Kb. Available in /sys/class/nvme/<device>/<namespace>/queue/logical_block_size",
                    block,
                ),
            ] {
                out.gauge(name, help, &labels, value);
            }
        }
    }
    Ok(())
}
