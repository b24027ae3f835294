use std::path::Path;

use kit::metrics::MetricKind;
use wire::exposition::{Format, TextFormat, lint};

use super::*;

/// A tree of files below a temporary folder: paths and contents.
fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    dir
}

fn config(root: &Path, collector: &'static str) -> NodeConfig {
    NodeConfig {
        roots: Roots {
            procfs: root.join("proc"),
            sysfs: root.join("sys"),
            rootfs: root.to_owned(),
            udev: root.join("udev"),
        },
        enabled: [collector].into(),
        ..NodeConfig::default()
    }
}

/// Sample lines of a page, without how the collectors went.
fn samples(config: NodeConfig) -> Vec<String> {
    let families = Collector::new(config).unwrap().collect(|_| true);
    let mut page = Vec::new();
    Format::Text(TextFormat::Prometheus).write(&mut page, &families);
    let text = String::from_utf8(page).unwrap();
    text.lines()
        .filter(|l| !l.starts_with('#') && !l.starts_with("node_scrape_collector_duration"))
        .map(str::to_owned)
        .collect()
}

/// Every sample line a collector gives for a tree of files, its success among them.
fn check(collector: &'static str, files: &[(&str, &str)], want: &str) {
    let dir = tree(files);
    let mut got = samples(config(dir.path(), collector));
    let mut want: Vec<String> = want.lines().map(str::trim).filter(|l| !l.is_empty()).map(str::to_owned).collect();
    want.push(format!("node_scrape_collector_success{{collector=\"{collector}\"}} 1"));
    got.sort();
    want.sort();
    assert_eq!(got, want, "{collector}");
}

#[test]
fn cpu_counts_and_throttles() {
    check(
        "cpu",
        &[
            ("proc/stat", "cpu  3 0 0 0\ncpu0 100 0 200 1000 10 1 2 3 40 5\nintr 5 1\n"),
            ("sys/devices/system/cpu/cpu0/topology/physical_package_id", "0\n"),
            ("sys/devices/system/cpu/cpu0/topology/core_id", "1\n"),
            ("sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count", "7\n"),
            ("sys/devices/system/cpu/cpu0/online", "1\n"),
            ("sys/devices/system/cpu/isolated", "1-2\n"),
        ],
        r#"node_cpu_core_throttles_total{core="1",package="0"} 7
        node_cpu_guest_seconds_total{cpu="0",mode="nice"} 0.05
        node_cpu_guest_seconds_total{cpu="0",mode="user"} 0.4
        node_cpu_isolated{cpu="1"} 1
        node_cpu_isolated{cpu="2"} 1
        node_cpu_online{cpu="0"} 1
        node_cpu_seconds_total{cpu="0",mode="idle"} 10
        node_cpu_seconds_total{cpu="0",mode="iowait"} 0.1
        node_cpu_seconds_total{cpu="0",mode="irq"} 0.01
        node_cpu_seconds_total{cpu="0",mode="nice"} 0
        node_cpu_seconds_total{cpu="0",mode="softirq"} 0.02
        node_cpu_seconds_total{cpu="0",mode="steal"} 0.03
        node_cpu_seconds_total{cpu="0",mode="system"} 2
        node_cpu_seconds_total{cpu="0",mode="user"} 1"#,
    );
}

#[test]
fn cpu_counters_do_not_step_back() {
    let dir = tree(&[("proc/stat", "cpu0 100 0 0 1000 50\n")]);
    let collector = Collector::new(config(dir.path(), "cpu")).unwrap();
    let read = |row: &str| -> Vec<f64> {
        std::fs::write(dir.path().join("proc/stat"), row).unwrap();
        let families = collector.collect(|_| true);
        let cpu = families.iter().find(|f| f.name == "node_cpu_seconds_total").unwrap();
        let value = |mode: &str| {
            let metric = cpu.metrics.iter().find(|m| m.labels.iter().any(|(_, v)| v == mode)).unwrap();
            match metric.value {
                kit::metrics::MetricValue::Single(value) => value,
                _ => unreachable!(),
            }
        };
        vec![value("user"), value("idle"), value("iowait")]
    };
    assert_eq!(read("cpu0 100 0 0 1000 50\n"), [1.0, 10.0, 0.5]);
    assert_eq!(read("cpu0 110 0 0 990 40\n"), [1.1, 10.0, 0.5]);
    // A fall of several seconds is a CPU that was away.
    assert_eq!(read("cpu0 10 0 0 100 0\n"), [0.1, 1.0, 0.0]);
}

#[test]
fn disks_and_their_udev_properties() {
    let dir = tree(&[
        ("proc/diskstats", "   8 0 sda 1 2 3 4 5 6 7 8 9 10 11\n   7 0 loop0 1 1 1 1\n"),
        (
            "udev/b8:0",
            "S:x\nE:ID_MODEL=Fast\nE:ID_SERIAL_SHORT=S1\nE:ID_FS_TYPE=ext4\nE:ID_ATA=1\nE:ID_ATA_ROTATION_RATE_RPM=7200\n",
        ),
        ("sys/block/sda/queue/rotational", "1\n"),
    ]);
    let got = samples(config(dir.path(), "diskstats"));
    for want in [
        r#"node_disk_info{device="sda",major="8",minor="0",model="Fast",path="",revision="",rotational="1",serial="S1",wwn=""} 1"#,
        r#"node_disk_read_bytes_total{device="sda"} 1536"#,
        r#"node_disk_io_time_weighted_seconds_total{device="sda"} 0.011"#,
        r#"node_disk_filesystem_info{device="sda",type="ext4",usage="",uuid="",version=""} 1"#,
        r#"node_disk_ata_rotation_rate_rpm{device="sda"} 7200"#,
    ] {
        assert!(got.iter().any(|line| line == want), "{want} is missing in {got:#?}");
    }
    assert!(!got.iter().any(|line| line.contains("loop0") || line.contains("discards")), "{got:#?}");
}

#[test]
fn filesystems_below_another_root() {
    let dir = tree(&[]);
    let root = dir.path().to_str().unwrap();
    std::fs::create_dir_all(dir.path().join("proc/1")).unwrap();
    std::fs::create_dir_all(dir.path().join("data x")).unwrap();
    let mounts = format!(
        "1 0 8:1 / {root} rw - ext4 /dev/sda1 rw\n2 1 8:2 / {root}/data\\040x ro - xfs /dev/sdb rw\n3 1 0:5 / {root}/proc rw - proc proc rw\n4 1 8:3 / {root}/gone rw - ext4 /dev/sdc rw\n"
    );
    std::fs::write(dir.path().join("proc/1/mountinfo"), mounts).unwrap();
    let got = samples(config(dir.path(), "filesystem"));
    for want in [
        r#"node_filesystem_readonly{device="/dev/sda1",device_error="",fstype="ext4",mountpoint="/"} 0"#,
        r#"node_filesystem_readonly{device="/dev/sdb",device_error="",fstype="xfs",mountpoint="/data x"} 1"#,
        r#"node_filesystem_device_error{device="/dev/sdc",device_error="no such file or directory",fstype="ext4",mountpoint="/gone"} 1"#,
        r#"node_filesystem_mount_info{device="/dev/sdb",major="8",minor="2",mountpoint="/data x"} 1"#,
    ] {
        assert!(got.iter().any(|line| line == want), "{want} is missing in {got:#?}");
    }
    assert!(!got.iter().any(|line| line.contains("\"proc\"")));
}

#[test]
fn md_arrays() {
    check(
        "mdadm",
        &[
            (
                "proc/mdstat",
                "Personalities : [raid1]\nmd0 : active raid1 sdb1[1] sda1[0](F) sdc1[2](S)\n      248896 blocks [2/1] [_U]\n      [=>...]  recovery = 5.0% (12345/248896) finish=1min\n\nunused devices: <none>\n",
            ),
            ("sys/block/md0/md/raid_disks", "2\n"),
            ("sys/block/md0/md/degraded", "1\n"),
        ],
        r#"node_md_blocks{device="md0"} 248896
        node_md_blocks_synced{device="md0"} 12345
        node_md_degraded{device="md0"} 1
        node_md_disks{device="md0",state="active"} 1
        node_md_disks{device="md0",state="failed"} 1
        node_md_disks{device="md0",state="spare"} 1
        node_md_disks_required{device="md0"} 2
        node_md_raid_disks{device="md0"} 2
        node_md_state{device="md0",state="active"} 0
        node_md_state{device="md0",state="check"} 0
        node_md_state{device="md0",state="inactive"} 0
        node_md_state{device="md0",state="recovering"} 1
        node_md_state{device="md0",state="resync"} 0"#,
    );
}

#[test]
fn sensors() {
    check(
        "hwmon",
        &[
            ("sys/class/hwmon/hwmon0/name", "coretemp\n"),
            ("sys/class/hwmon/hwmon0/temp1_input", "42000\n"),
            ("sys/class/hwmon/hwmon0/temp1_crit_alarm", "0\n"),
            ("sys/class/hwmon/hwmon0/temp1_label", "Package id 0\n"),
            ("sys/class/hwmon/hwmon0/fan2_input", "1200\n"),
            ("sys/class/hwmon/hwmon0/fan2_alarm", "1\n"),
            ("sys/class/hwmon/hwmon0/in0_input", "1500\n"),
            ("sys/class/hwmon/hwmon0/power1_average", "2500000\n"),
            ("sys/class/hwmon/hwmon0/update_interval", "1000\n"),
            ("sys/class/hwmon/hwmon0/pwm1", "128\n"),
            ("sys/class/hwmon/hwmon0/other", "5\n"),
        ],
        r#"node_hwmon_chip_names{chip="coretemp",chip_name="coretemp"} 1
        node_hwmon_fan_alarm{chip="coretemp",sensor="fan2"} 1
        node_hwmon_fan_rpm{chip="coretemp",sensor="fan2"} 1200
        node_hwmon_in_volts{chip="coretemp",sensor="in0"} 1.5
        node_hwmon_power_average_watt{chip="coretemp",sensor="power1"} 2.5
        node_hwmon_pwm{chip="coretemp",sensor="pwm1"} 128
        node_hwmon_sensor_label{chip="coretemp",label="Package id 0",sensor="temp1"} 1
        node_hwmon_temp_celsius{chip="coretemp",sensor="temp1"} 42
        node_hwmon_temp_crit_alarm_celsius{chip="coretemp",sensor="temp1"} 0
        node_hwmon_update_interval_seconds{chip="coretemp",sensor="update_interval0"} 1"#,
    );
}

#[test]
fn memory_errors() {
    let mc = "sys/devices/system/edac/mc/mc0";
    let files: Vec<(String, &str)> = [
        ("ce_count", "1"),
        ("ue_count", "2"),
        ("ce_noinfo_count", "3"),
        ("ue_noinfo_count", "4"),
        ("csrow0/ce_count", "5"),
        ("csrow0/ue_count", "6"),
        ("csrow0/ch0_ce_count", "7"),
        ("csrow0/ch0_dimm_label", "mc#0csrow#0channel#0"),
    ]
    .map(|(file, value)| (format!("{mc}/{file}"), value))
    .to_vec();
    let files: Vec<(&str, &str)> = files.iter().map(|(file, value)| (file.as_str(), *value)).collect();
    check(
        "edac",
        &files,
        r#"node_edac_channel_correctable_errors_total{channel="0",controller="0",csrow="0",dimm_label="mc0_csrow0_channel0"} 7
        node_edac_correctable_errors_total{controller="0"} 1
        node_edac_csrow_correctable_errors_total{controller="0",csrow="0"} 5
        node_edac_csrow_correctable_errors_total{controller="0",csrow="unknown"} 3
        node_edac_csrow_uncorrectable_errors_total{controller="0",csrow="0"} 6
        node_edac_csrow_uncorrectable_errors_total{controller="0",csrow="unknown"} 4
        node_edac_uncorrectable_errors_total{controller="0"} 2"#,
    );
}

#[test]
fn the_rest_from_fixtures() {
    check(
        "schedstat",
        &[("proc/schedstat", "version 15\ncpu0 0 0 0 0 0 0 1500000000 2500000000 42\ndomain0 1\n")],
        r#"node_schedstat_running_seconds_total{cpu="0"} 1.5
        node_schedstat_timeslices_total{cpu="0"} 42
        node_schedstat_waiting_seconds_total{cpu="0"} 2.5"#,
    );
    check(
        "thermal_zone",
        &[
            ("sys/class/thermal/thermal_zone0/type", "x86_pkg_temp\n"),
            ("sys/class/thermal/thermal_zone0/temp", "41500\n"),
            ("sys/class/thermal/cooling_device0/type", "Processor\n"),
            ("sys/class/thermal/cooling_device0/cur_state", "1\n"),
            ("sys/class/thermal/cooling_device0/max_state", "10\n"),
        ],
        r#"node_cooling_device_cur_state{name="0",type="Processor"} 1
        node_cooling_device_max_state{name="0",type="Processor"} 10
        node_thermal_zone_temp{type="x86_pkg_temp",zone="0"} 41.5"#,
    );
    check(
        "dmi",
        &[("sys/class/dmi/id/bios_vendor", "Acme\n"), ("sys/class/dmi/id/sys_vendor", "Emca\n")],
        r#"node_dmi_info{bios_vendor="Acme",system_vendor="Emca"} 1"#,
    );
    check(
        "cpufreq",
        &[
            ("sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "800000\n"),
            ("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n"),
            ("sys/devices/system/cpu/cpu0/cpufreq/scaling_available_governors", "performance powersave\n"),
        ],
        r#"node_cpu_scaling_frequency_hertz{cpu="0"} 8e+08
        node_cpu_scaling_governor{cpu="0",governor="performance"} 0
        node_cpu_scaling_governor{cpu="0",governor="powersave"} 1"#,
    );
    check(
        "nvme",
        &[
            ("sys/class/nvme/nvme0/model", "Fast\n"),
            ("sys/class/nvme/nvme0/state", "live\n"),
            ("sys/class/nvme/nvme0/nvme0n1/size", "100\n"),
            ("sys/class/nvme/nvme0/nvme0n1/nuse", "10\n"),
            ("sys/class/nvme/nvme0/nvme0n1/queue/logical_block_size", "4096\n"),
        ],
        r#"node_nvme_info{cntlid="",device="nvme0",firmware_revision="",model="Fast",serial="",state="live"} 1
        node_nvme_namespace_capacity_bytes{device="nvme0",nsid="1"} 409600
        node_nvme_namespace_info{ana_state="unknown",device="nvme0",nsid="1"} 1
        node_nvme_namespace_logical_block_size_bytes{device="nvme0",nsid="1"} 4096
        node_nvme_namespace_size_bytes{device="nvme0",nsid="1"} 51200
        node_nvme_namespace_used_bytes{device="nvme0",nsid="1"} 40960"#,
    );
    check(
        "processes",
        &[
            ("proc/17/stat", "17 (a b) S 1 1 1 0 0 0 0 0 0 0 0 0 0 0 0 0 2 0 5\n"),
            ("proc/17/task/17/stat", ""),
            ("proc/17/task/18/stat", "18 (a b) R 1 1 1 0 0 0 0 0 0 0 0 0 0 0 0 0 2 0 5\n"),
            ("proc/sys/kernel/threads-max", "1000\n"),
            ("proc/sys/kernel/pid_max", "32768\n"),
        ],
        r#"node_processes_max_processes 32768
        node_processes_max_threads 1000
        node_processes_pids 1
        node_processes_state{state="S"} 1
        node_processes_threads 2
        node_processes_threads_state{thread_state="R"} 1
        node_processes_threads_state{thread_state="S"} 1"#,
    );
    check(
        "pressure",
        &[(
            "proc/pressure/io",
            "some avg10=0.00 avg60=0.00 avg300=0.00 total=1500000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=500000\n",
        )],
        "node_pressure_io_stalled_seconds_total 0.5\nnode_pressure_io_waiting_seconds_total 1.5",
    );
    check(
        "meminfo",
        &[("proc/meminfo", "MemTotal: 2 kB\nActive(anon): 1 kB\nHugePages_Total: 3\n")],
        "node_memory_Active_anon_bytes 1024\nnode_memory_HugePages_Total 3\nnode_memory_MemTotal_bytes 2048",
    );
}

#[test]
fn a_missing_source_is_no_success_and_no_error() {
    let dir = tree(&[]);
    for collector in ["schedstat", "mdadm", "hwmon", "nvme", "dmi", "conntrack", "stat"] {
        let want = format!("node_scrape_collector_success{{collector=\"{collector}\"}} 0");
        assert_eq!(samples(config(dir.path(), collector)), [want]);
    }
}

#[test]
fn text_files() {
    let dir = tree(&[
        ("d1/a.prom", "# HELP jobs Jobs.\n# TYPE jobs gauge\njobs{queue=\"x\"} 3\njobs{host=\"h\"} 4\n"),
        (
            "d1/h.prom",
            "# TYPE t_seconds histogram\nt_seconds_bucket{le=\"1\"} 1\nt_seconds_bucket{le=\"+Inf\"} 2\nt_seconds_sum 5\nt_seconds_count 2\n",
        ),
        ("d2/bad.prom", "x 1 1234\n"),
        ("d2/other.txt", "y 1\n"),
    ]);
    let mut config = config(dir.path(), "textfile");
    config.textfile_directories = vec![format!("{}/d*", dir.path().display())];
    let got = samples(config);
    for want in [
        r#"jobs{host="",queue="x"} 3"#,
        r#"jobs{host="h",queue=""} 4"#,
        r#"t_seconds_bucket{le="1"} 1"#,
        "t_seconds_sum 5",
        "node_textfile_scrape_error 1",
    ] {
        assert!(got.iter().any(|line| line == want), "{want} is missing in {got:#?}");
    }
    assert_eq!(got.iter().filter(|line| line.starts_with("node_textfile_mtime_seconds")).count(), 2);
    assert!(!got.iter().any(|line| line.starts_with("x ") || line.starts_with("y ")));
}

fn parse(args: &[&str]) -> Result<NodeFlags, clap::Error> {
    kit::flags::parse_from(std::iter::once("node").chain(args.iter().copied()).map(str::to_owned))
}

#[test]
fn flags_choose_collectors() {
    let all = parse(&[]).unwrap().node.enabled;
    assert!(all.contains("cpu") && !all.contains("processes"));
    let some = parse(&["--no-collector.cpu", "--collector.processes"]).unwrap().node.enabled;
    assert!(!some.contains("cpu") && some.contains("processes"));
    let one = parse(&["--collector.disable-defaults", "--collector.cpu"]).unwrap().node.enabled;
    assert_eq!(one, ["cpu"].into());
    // Unit files switch off what is not there, too.
    assert!(parse(&["--no-collector.systemd", "--runtime.gomaxprocs=2"]).is_ok());
    let missing = parse(&["--collector.systemd"]).unwrap_err().to_string();
    assert!(missing.contains("does not have that collector"), "{missing}");
    assert!(parse(&["--collector.netdev.device-include=a", "--collector.netdev.device-exclude=b"]).is_err());
    assert!(parse(&["--collector.filesystem.fs-types-include=ext4"]).is_ok());
    assert!(parse(&["--collector.netdev.device-include=("]).is_err());
}

#[tokio::test]
async fn serves_filtered_pages() {
    let shutdown = kit::Shutdown::new();
    let listener = kit::http::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let router = router(&NodeFlags::default()).unwrap();
    tokio::spawn(kit::http::serve(vec![listener], router, Default::default(), shutdown.clone()));
    let client = kit::client::Client::new(&Default::default(), "test").unwrap();
    let get = async |path: &str| client.send(kit::client::Request::get(format!("{base}{path}"))).await.unwrap();
    let page = get("/metrics?collect[]=loadavg&collect%5B%5D=stat").await;
    let text = String::from_utf8(page.body.to_vec()).unwrap();
    assert!(
        text.contains("\nnode_load1 ") && text.contains("node_exporter_build_info{") && !text.contains("node_cpu_")
    );
    assert_eq!(lint::check(page.body.as_ref(), TextFormat::Prometheus), Ok(()));
    for (path, want) in [
        ("/metrics?collect[]=cpu&exclude[]=cpu", "Combined collect and exclude queries are not allowed."),
        ("/metrics?collect[]=nope", "missing collector: nope"),
        ("/metrics?collect[]=processes", "disabled collector: processes"),
    ] {
        let answer = get(path).await;
        assert_eq!(answer.status, 400);
        assert!(String::from_utf8_lossy(&answer.body).contains(want), "{path}");
    }
    assert!(String::from_utf8_lossy(&get("/").await.body).contains("href=\"/metrics\""));
    shutdown.trigger();
}

#[test]
fn types_are_the_peers() {
    let families = Collector::new(NodeConfig::default()).unwrap().collect(|_| true);
    let kind = |name: &str| families.iter().find(|f| f.name == name).map(|f| f.kind);
    assert_eq!(kind("node_load1"), Some(MetricKind::Gauge));
    assert_eq!(kind("node_cpu_seconds_total"), Some(MetricKind::Counter));
    assert_eq!(kind("node_vmstat_pgfault"), Some(MetricKind::Unknown));
}
