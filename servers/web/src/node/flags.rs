//! The exporter's command line: Node Exporter's flags.

use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command, CommandFactory, FromArgMatches, value_parser};

use super::{
    COLLECTORS, DISK_EXCLUDE, Filter, MOUNTS_EXCLUDE, NETSTAT_FIELDS, NodeConfig, Roots, TYPES_EXCLUDE, VMSTAT_FIELDS,
};

/// The parsed command line.
#[derive(Clone, Debug)]
pub struct NodeFlags {
    /// `--web.listen-address`
    pub listen: Vec<String>,
    /// `--web.telemetry-path`
    pub telemetry_path: String,
    /// `--web.config.file`
    pub web_config: Option<PathBuf>,
    /// `--web.disable-exporter-metrics`
    pub no_exporter_metrics: bool,
    /// `--web.max-requests`
    pub max_requests: usize,
    /// `--log.level`
    pub log_level: String,
    /// `--log.format`
    pub log_format: String,
    /// Collectors and their settings.
    pub node: NodeConfig,
}

impl Default for NodeFlags {
    fn default() -> Self {
        Self {
            listen: vec![":9100".into()],
            telemetry_path: "/metrics".into(),
            web_config: None,
            no_exporter_metrics: false,
            max_requests: 40,
            log_level: "info".into(),
            log_format: "logfmt".into(),
            node: NodeConfig::default(),
        }
    }
}

/// Text flags with their defaults.
const TEXTS: [(&str, &str, &str); 24] = [
    ("web.telemetry-path", "/metrics", "Path under which to expose metrics."),
    ("web.config.file", "", "Path to configuration file that can enable TLS or authentication."),
    ("path.procfs", "/proc", "procfs mountpoint."),
    ("path.sysfs", "/sys", "sysfs mountpoint."),
    ("path.rootfs", "/", "rootfs mountpoint."),
    ("path.udev.data", "/run/udev/data", "udev data path."),
    ("log.level", "info", "Only log messages with the given severity or above."),
    ("log.format", "logfmt", "Output format of log messages: logfmt or json."),
    ("collector.arp.device-include", "", "Regexp of arp devices to include."),
    ("collector.arp.device-exclude", "", "Regexp of arp devices to exclude."),
    ("collector.diskstats.device-include", "", "Regexp of diskstats devices to include."),
    ("collector.diskstats.device-exclude", DISK_EXCLUDE, "Regexp of diskstats devices to exclude."),
    ("collector.filesystem.mount-points-include", "", "Regexp of mount points to include."),
    ("collector.filesystem.mount-points-exclude", MOUNTS_EXCLUDE, "Regexp of mount points to exclude."),
    ("collector.filesystem.fs-types-include", "", "Regexp of filesystem types to include."),
    ("collector.filesystem.fs-types-exclude", TYPES_EXCLUDE, "Regexp of filesystem types to exclude."),
    ("collector.hwmon.chip-include", "", "Regexp of hwmon chips to include."),
    ("collector.hwmon.chip-exclude", "", "Regexp of hwmon chips to exclude."),
    ("collector.hwmon.sensor-include", "", "Regexp of hwmon sensors to include."),
    ("collector.hwmon.sensor-exclude", "", "Regexp of hwmon sensors to exclude."),
    ("collector.netclass.ignored-devices", "^$", "Regexp of net devices to ignore for netclass collector."),
    ("collector.netdev.device-include", "", "Regexp of net devices to include."),
    ("collector.netdev.device-exclude", "", "Regexp of net devices to exclude."),
    ("collector.filesystem.mount-timeout", "5s", "How long to wait for a mount to respond."),
];

/// Switches, with their defaults. Those that change nothing here are taken so that unit files carry over.
const SWITCHES: [(&str, bool, &str); 10] = [
    ("web.disable-exporter-metrics", false, "Exclude metrics about the exporter itself."),
    ("collector.disable-defaults", false, "Set all collectors to disabled by default."),
    ("collector.cpu.info", false, "Enables metric cpu_info"),
    ("collector.cpu.guest", true, "Accepted; guest seconds are always there."),
    ("collector.stat.softirq", false, "Export softirq calls per vector"),
    ("collector.netclass.ignore-invalid-speed", false, "Ignore devices where the speed is invalid."),
    ("collector.netclass.netlink", false, "Accepted; sysfs is read."),
    ("collector.netdev.netlink", true, "Accepted; procfs and sysfs are read."),
    ("collector.arp.netlink", true, "Accepted; procfs is read."),
    ("web.systemd-socket", false, "Not supported: an error when set."),
];

impl CommandFactory for NodeFlags {
    fn command() -> Command {
        let mut command = Command::new("node")
            .about("The host's metrics, with Node Exporter's names and flags")
            .version(env!("CARGO_PKG_VERSION"))
            .arg(
                Arg::new("web.listen-address")
                    .long("web.listen-address")
                    .action(ArgAction::Append)
                    .default_value(":9100")
                    .help("Addresses on which to expose metrics and web interface."),
            )
            .arg(
                Arg::new("web.max-requests")
                    .long("web.max-requests")
                    .value_parser(value_parser!(usize))
                    .default_value("40")
                    .help("Maximum number of parallel scrape requests. Use 0 to disable."),
            )
            .arg(
                Arg::new("runtime.gomaxprocs")
                    .long("runtime.gomaxprocs")
                    .value_parser(value_parser!(usize))
                    .default_value("1")
                    .help("Accepted; the number of threads is fixed."),
            )
            .arg(
                Arg::new("collector.textfile.directory")
                    .long("collector.textfile.directory")
                    .action(ArgAction::Append)
                    .help("Directory to read text files with metrics from, supports glob matching."),
            )
            .arg(Arg::new("collector.netstat.fields").long("collector.netstat.fields").default_value(NETSTAT_FIELDS))
            .arg(Arg::new("collector.vmstat.fields").long("collector.vmstat.fields").default_value(VMSTAT_FIELDS));
        for (name, default, help) in TEXTS {
            command = command.arg(Arg::new(name).long(name).default_value(default).help(help));
        }
        let switch = |name: &'static str, default: bool, help: String| {
            let default = if default { "true" } else { "false" };
            Arg::new(name)
                .long(name)
                .action(ArgAction::Set)
                .value_parser(value_parser!(bool))
                .default_value(default)
                .help(help)
        };
        for (name, default, help) in SWITCHES {
            command = command.arg(switch(name, default, help.to_owned()));
        }
        for entry in COLLECTORS {
            let help = if entry.is_built() {
                format!("Enable the {} collector.", entry.name)
            } else {
                format!("The {} collector: not built, an error when enabled.", entry.name)
            };
            command = command.arg(switch(entry.flag, entry.default, help));
        }
        command
    }

    fn command_for_update() -> Command {
        Self::command()
    }
}

impl FromArgMatches for NodeFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Self::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        let fail = |message: String| Self::command().error(ErrorKind::InvalidValue, message);
        let text = |name: &str| matches.get_one::<String>(name).cloned().unwrap_or_default();
        let on = |name: &str| matches.get_one::<bool>(name).copied().unwrap_or(false);
        let given = |name: &str| matches.value_source(name) == Some(clap::parser::ValueSource::CommandLine);
        let list = |name: &str| matches.get_many::<String>(name).into_iter().flatten().cloned().collect();
        if on("web.systemd-socket") {
            return Err(fail("--web.systemd-socket is not supported: name addresses by --web.listen-address".into()));
        }
        let mut enabled = std::collections::BTreeSet::new();
        for entry in COLLECTORS {
            let wanted = if given(entry.flag) || !on("collector.disable-defaults") { on(entry.flag) } else { false };
            if wanted && !entry.is_built() {
                return Err(fail(format!("--{}: this exporter does not have that collector", entry.flag)));
            }
            if wanted {
                enabled.insert(entry.name);
            }
        }
        let filter = |flag: &str| {
            let (include, exclude) = (format!("{flag}-include"), format!("{flag}-exclude"));
            // An include given alone replaces the default exclude.
            let excluded = if given(&include) && !given(&exclude) { String::new() } else { text(&exclude) };
            Filter::new(&format!("--{flag}"), &text(&include), &excluded).map_err(&fail)
        };
        let timeout = kit::config::GoDuration::parse(&text("collector.filesystem.mount-timeout")).map_err(&fail)?;
        self.listen = list("web.listen-address");
        self.telemetry_path = text("web.telemetry-path");
        self.web_config = Some(text("web.config.file")).filter(|file| !file.is_empty()).map(PathBuf::from);
        self.no_exporter_metrics = on("web.disable-exporter-metrics");
        self.max_requests = matches.get_one::<usize>("web.max-requests").copied().unwrap_or(40);
        self.log_level = text("log.level");
        self.log_format = text("log.format");
        self.node = NodeConfig {
            roots: Roots {
                procfs: text("path.procfs").into(),
                sysfs: text("path.sysfs").into(),
                rootfs: text("path.rootfs").into(),
                udev: text("path.udev.data").into(),
            },
            enabled,
            arp_devices: filter("collector.arp.device")?,
            disk_devices: filter("collector.diskstats.device")?,
            mount_points: filter("collector.filesystem.mount-points")?,
            fs_types: filter("collector.filesystem.fs-types")?,
            mount_timeout: timeout.to_std().max(Duration::from_millis(1)),
            hwmon_chips: filter("collector.hwmon.chip")?,
            hwmon_sensors: filter("collector.hwmon.sensor")?,
            netclass_devices: Filter::new("--collector.netclass", "", &text("collector.netclass.ignored-devices"))
                .map_err(&fail)?,
            ignore_invalid_speed: on("collector.netclass.ignore-invalid-speed"),
            net_devices: filter("collector.netdev.device")?,
            netstat_fields: text("collector.netstat.fields"),
            vmstat_fields: text("collector.vmstat.fields"),
            textfile_directories: list("collector.textfile.directory"),
            cpu_info: on("collector.cpu.info"),
            softirqs: on("collector.stat.softirq"),
        };
        Ok(())
    }
}
