//! The host's metrics, with Node Exporter's names, types, labels, flags and endpoints.
//!
//! A collector is a function in a table ([`COLLECTORS`]): it reads files below the configured [`Roots`] and adds families
//! to an [`Out`]. [`Collector`] runs the chosen ones and adds how each went; it also serves the agent in process. [`run`]
//! is the exporter as a server.

mod adjtimex;
mod cpu;
mod disk;
mod flags;
mod hardware;
mod net;
mod server;
mod source;
mod system;
mod textfile;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kit::metrics::Family;
use model::regex::{Flags, GoRegex};
use parking_lot::Mutex;

pub use flags::NodeFlags;
pub use server::{router, run};
pub use source::{CollectError, Filter, Out, Roots};

type Collect = fn(&Collector, &mut Out) -> source::Result;

/// An entry of the table: name, its flag, whether it runs by default, and what runs; `None` for a collector of Node
/// Exporter that this one does not have.
pub struct Entry {
    /// Name, the label `collector`.
    pub name: &'static str,
    /// Name of its flag.
    pub flag: &'static str,
    /// Runs unless switched off.
    pub default: bool,
    collect: Option<Collect>,
}

impl Entry {
    /// Whether this exporter has it.
    pub fn is_built(&self) -> bool {
        self.collect.is_some()
    }
}

macro_rules! table {
    ($($name:literal $default:literal $collect:expr;)*) => {
        &[$(Entry { name: $name, flag: concat!("collector.", $name), default: $default, collect: $collect },)*]
    };
}

/// Every collector that Node Exporter knows.
pub const COLLECTORS: &[Entry] = table! {
    "arp" true Some(net::arp);
    "bcache" false None;
    "bcachefs" false None;
    "bonding" false None;
    "btrfs" false None;
    "buddyinfo" false None;
    "cgroups" false None;
    "conntrack" true Some(net::conntrack);
    "cpu" true Some(cpu::cpu);
    "cpu_vulnerabilities" false None;
    "cpufreq" true Some(cpu::cpufreq);
    "diskstats" true Some(disk::diskstats);
    "dmi" true Some(hardware::dmi);
    "dmmultipath" false None;
    "drbd" false None;
    "drm" false None;
    "edac" true Some(hardware::edac);
    "entropy" true Some(system::entropy);
    "ethtool" false None;
    "fibrechannel" false None;
    "filefd" true Some(system::filefd);
    "filesystem" true Some(disk::filesystem);
    "hwmon" true Some(hardware::hwmon);
    "infiniband" false None;
    "interrupts" false None;
    "ipvs" false None;
    "kernel_hung" true Some(system::kernel_hung);
    "ksmd" false None;
    "lnstat" false None;
    "loadavg" true Some(cpu::loadavg);
    "logind" false None;
    "mdadm" true Some(disk::mdadm);
    "meminfo" true Some(system::meminfo);
    "meminfo_numa" false None;
    "mountstats" false None;
    "netclass" true Some(net::netclass);
    "netdev" true Some(net::netdev);
    "netstat" true Some(net::netstat);
    "network_route" false None;
    "nfs" false None;
    "nfsd" false None;
    "ntp" false None;
    "nvme" true Some(disk::nvme);
    "nvmesubsystem" false None;
    "os" true Some(system::os);
    "pcidevice" false None;
    "perf" false None;
    "powersupplyclass" false None;
    "pressure" true Some(cpu::pressure);
    "processes" false Some(system::processes);
    "qdisc" false None;
    "rapl" false None;
    "runit" false None;
    "schedstat" true Some(cpu::schedstat);
    "selinux" true Some(system::selinux);
    "slabinfo" false None;
    "sockstat" true Some(net::sockstat);
    "softirqs" false None;
    "softnet" true Some(cpu::softnet);
    "stat" true Some(cpu::stat);
    "supervisord" false None;
    "swap" false None;
    "sysctl" false None;
    "systemd" false None;
    "tapestats" false None;
    "tcpstat" false None;
    "textfile" true Some(textfile::textfile);
    "thermal_zone" true Some(hardware::thermal_zone);
    "time" true Some(system::time);
    "timex" true Some(system::timex);
    "udp_queues" true Some(net::udp_queues);
    "uname" true Some(system::uname);
    "vmstat" true Some(system::vmstat);
    "watchdog" false None;
    "wifi" false None;
    "xfrm" false None;
    "xfs" false None;
    "zfs" false None;
    "zoneinfo" false None;
};

/// Settings of the collectors.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// Where to read.
    pub roots: Roots,
    /// Collectors that run.
    pub enabled: BTreeSet<&'static str>,
    /// Network devices of `arp`.
    pub arp_devices: Filter,
    /// Devices of `diskstats`.
    pub disk_devices: Filter,
    /// Mount points of `filesystem`.
    pub mount_points: Filter,
    /// File system types of `filesystem`.
    pub fs_types: Filter,
    /// Longest wait for a mount.
    pub mount_timeout: Duration,
    /// Chips of `hwmon`.
    pub hwmon_chips: Filter,
    /// Sensors of `hwmon`.
    pub hwmon_sensors: Filter,
    /// Devices of `netclass`.
    pub netclass_devices: Filter,
    /// Leave out speeds below zero.
    pub ignore_invalid_speed: bool,
    /// Devices of `netdev`.
    pub net_devices: Filter,
    /// Fields of `netstat`.
    pub netstat_fields: String,
    /// Fields of `vmstat`.
    pub vmstat_fields: String,
    /// Folders of `textfile`.
    pub textfile_directories: Vec<String>,
    /// `cpu` also tells what the CPUs are.
    pub cpu_info: bool,
    /// `stat` also counts soft interrupts.
    pub softirqs: bool,
}

/// Default of `--collector.diskstats.device-exclude`.
pub const DISK_EXCLUDE: &str = r"^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$";
/// Default of `--collector.filesystem.mount-points-exclude`.
pub const MOUNTS_EXCLUDE: &str =
    "^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)";
/// Default of `--collector.filesystem.fs-types-exclude`.
pub const TYPES_EXCLUDE: &str = "^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs|iso9660|mqueue|nsfs|overlay|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|erofs|sysfs|tracefs)$";
/// Default of `--collector.netstat.fields`.
pub const NETSTAT_FIELDS: &str = "^(.*_(InErrors|InErrs)|Ip_Forwarding|Ip(6|Ext)_(InOctets|OutOctets)|Icmp6?_(InMsgs|OutMsgs)|TcpExt_(Listen.*|Syncookies.*|TCPSynRetrans|TCPTimeouts|TCPOFOQueue|TCPRcvQDrop)|Tcp_(ActiveOpens|InSegs|OutSegs|OutRsts|PassiveOpens|RetransSegs|CurrEstab)|Udp6?_(InDatagrams|OutDatagrams|NoPorts|RcvbufErrors|SndbufErrors))$";
/// Default of `--collector.vmstat.fields`.
pub const VMSTAT_FIELDS: &str = "^(oom_kill|pgpg|pswp|pg.*fault).*";

impl Default for NodeConfig {
    fn default() -> Self {
        let filter = |exclude: &str| Filter::new("default", "", exclude).unwrap_or_default();
        Self {
            roots: Roots::default(),
            enabled: COLLECTORS.iter().filter(|entry| entry.default).map(|entry| entry.name).collect(),
            arp_devices: Filter::default(),
            disk_devices: filter(DISK_EXCLUDE),
            mount_points: filter(MOUNTS_EXCLUDE),
            fs_types: filter(TYPES_EXCLUDE),
            mount_timeout: Duration::from_secs(5),
            hwmon_chips: Filter::default(),
            hwmon_sensors: Filter::default(),
            netclass_devices: filter("^$"),
            ignore_invalid_speed: false,
            net_devices: Filter::default(),
            netstat_fields: NETSTAT_FIELDS.to_owned(),
            vmstat_fields: VMSTAT_FIELDS.to_owned(),
            textfile_directories: Vec::new(),
            cpu_info: false,
            softirqs: false,
        }
    }
}

/// Runs collectors. Keeps what must be remembered between scrapes: CPU counters that never fall, mounts that hang.
#[derive(Debug)]
pub struct Collector {
    config: NodeConfig,
    netstat_fields: GoRegex,
    vmstat_fields: GoRegex,
    cpu: Mutex<BTreeMap<u32, [f64; 10]>>,
    stuck_mounts: Arc<Mutex<HashSet<String>>>,
}

impl Collector {
    /// # Errors
    /// When a pattern is no regular expression.
    pub fn new(config: NodeConfig) -> Result<Self, String> {
        let compile = |pattern: &str| GoRegex::new(pattern, Flags::SEARCH).map_err(|e| e.to_string());
        Ok(Self {
            netstat_fields: compile(&config.netstat_fields)?,
            vmstat_fields: compile(&config.vmstat_fields)?,
            config,
            cpu: Mutex::default(),
            stuck_mounts: Arc::default(),
        })
    }

    /// Names of the collectors that run.
    pub fn enabled(&self) -> impl Iterator<Item = &'static str> {
        self.config.enabled.iter().copied()
    }

    /// Collects: all enabled collectors, or those of them that `wanted` names. Blocking, usually a few milliseconds; a
    /// mount that hangs costs its timeout once. A failing collector is reported in the metrics and in the log, and stops
    /// no other.
    pub fn collect(&self, wanted: impl Fn(&str) -> bool) -> Vec<Family> {
        let mut out = Out::default();
        for entry in COLLECTORS.iter().filter(|entry| self.config.enabled.contains(entry.name) && wanted(entry.name)) {
            let Some(collect) = entry.collect else { continue };
            let start = Instant::now();
            let result = collect(self, &mut out);
            let seconds = start.elapsed().as_secs_f64();
            match &result {
                Ok(()) => {}
                Err(CollectError::NoData) => {
                    tracing::debug!(component = "node", collector = entry.name, "collector returned no data");
                }
                Err(error) => tracing::error!(component = "node", collector = entry.name, %error, "collector failed"),
            }
            let labels = [("collector", entry.name)];
            let help = "node_exporter: Duration of a collector scrape.";
            out.gauge("node_scrape_collector_duration_seconds", help, &labels, seconds);
            let help = "node_exporter: Whether a collector succeeded.";
            out.gauge("node_scrape_collector_success", help, &labels, f64::from(u8::from(result.is_ok())));
        }
        kit::metrics::join_families(out.into_families())
    }
}

#[cfg(test)]
mod tests;
