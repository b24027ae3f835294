//! Hardware collectors: `dmi`, `edac`, `hwmon`, `thermal_zone`.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use kit::metrics::MetricKind;

use super::Collector;
use super::source::{CollectError, Out, Result, line, names, number};

pub(super) fn dmi(node: &Collector, out: &mut Out) -> Result {
    const LABELS: [&str; 20] = [
        "bios_date",
        "bios_release",
        "bios_vendor",
        "bios_version",
        "board_asset_tag",
        "board_name",
        "board_serial",
        "board_vendor",
        "board_version",
        "chassis_asset_tag",
        "chassis_serial",
        "chassis_vendor",
        "chassis_version",
        "product_family",
        "product_name",
        "product_serial",
        "product_sku",
        "product_uuid",
        "product_version",
        "system_vendor",
    ];
    let dir = node.config.roots.sys("class/dmi/id");
    let values: Vec<(&'static str, String)> = LABELS
        .into_iter()
        .filter_map(|label| {
            let file = if label == "system_vendor" { "sys_vendor" } else { label };
            line(dir.join(file)).map(|value| (label, value))
        })
        .collect();
    if values.is_empty() {
        return Err(CollectError::NoData);
    }
    let labels: Vec<_> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let help = format!("A metric with a constant '1' value labeled by {} if provided by DMI.", LABELS.join(", "));
    out.gauge("node_dmi_info", help, &labels, 1.0);
    Ok(())
}

pub(super) fn thermal_zone(node: &Collector, out: &mut Out) -> Result {
    let base = node.config.roots.sys("class/thermal");
    for name in names(&base) {
        let dir = base.join(&name);
        let kind = line(dir.join("type")).unwrap_or_default();
        if let Some(zone) = name.strip_prefix("thermal_zone") {
            if let Some(millis) = number(dir.join("temp")) {
                let labels = [("zone", zone), ("type", kind.as_str())];
                out.gauge("node_thermal_zone_temp", "Zone temperature in Celsius", &labels, millis / 1000.0);
            }
        } else if let Some(device) = name.strip_prefix("cooling_device") {
            let labels = [("name", device), ("type", kind.as_str())];
            for (file, metric, help) in [
                ("cur_state", "node_cooling_device_cur_state", "Current throttle state of the cooling device"),
                ("max_state", "node_cooling_device_max_state", "Maximum throttle state of the cooling device"),
            ] {
                if let Some(state) = number(dir.join(file)) {
                    out.gauge(metric, help, &labels, state);
                }
            }
        }
    }
    Ok(())
}

pub(super) fn edac(node: &Collector, out: &mut Out) -> Result {
    let base = node.config.roots.sys("devices/system/edac/mc");
    for name in names(&base) {
        let Some(controller) = name.strip_prefix("mc").filter(|n| n.parse::<u32>().is_ok()) else { continue };
        let dir = base.join(&name);
        let mut add = |labels: &[(&'static str, &str)], dir: &Path, level: &str, ce: &str, ue: &str| {
            let place = match level {
                "" => ".".to_owned(),
                level => format!(" for this {}.", level.trim_end_matches('_')),
            };
            for (file, word) in [(ce, "correctable"), (ue, "uncorrectable")] {
                if let Some(count) = number(dir.join(file)) {
                    let help = format!("Total {word} memory errors{place}");
                    out.counter(format!("node_edac_{level}{word}_errors_total"), help, labels, count);
                }
            }
        };
        add(&[("controller", controller)], &dir, "", "ce_count", "ue_count");
        let unknown = [("controller", controller), ("csrow", "unknown")];
        add(&unknown, &dir, "csrow_", "ce_noinfo_count", "ue_noinfo_count");
        for row in names(&dir) {
            let Some(csrow) = row.strip_prefix("csrow").filter(|n| n.parse::<u32>().is_ok()) else { continue };
            let dir = dir.join(&row);
            add(&[("controller", controller), ("csrow", csrow)], &dir, "csrow_", "ce_count", "ue_count");
            for file in names(&dir) {
                let Some(channel) = file.strip_prefix("ch").and_then(|rest| rest.strip_suffix("_ce_count")) else {
                    continue;
                };
                let label = line(dir.join(format!("ch{channel}_dimm_label"))).map_or("unknown".into(), |label| {
                    label.replace('#', "").replace("csrow", "_csrow").replace("channel", "_channel")
                });
                let labels =
                    [("controller", controller), ("csrow", csrow), ("channel", channel), ("dimm_label", &label)];
                add(&labels, &dir, "channel_", &file, &format!("ch{channel}_ue_count"));
            }
        }
    }
    Ok(())
}

const SENSOR_TYPES: [&str; 14] = [
    "vrm",
    "beep_enable",
    "update_interval",
    "in",
    "cpu",
    "fan",
    "pwm",
    "temp",
    "curr",
    "power",
    "energy",
    "humidity",
    "intrusion",
    "freq",
];

/// Sensor (`temp1`) to property (`input`, `label`, …) to value.
type Sensors = BTreeMap<String, BTreeMap<String, String>>;

pub(super) fn hwmon(node: &Collector, out: &mut Out) -> Result {
    let base = node.config.roots.sys("class/hwmon");
    if !base.is_dir() {
        return Err(CollectError::NoData);
    }
    let mut chips = Vec::new();
    let (mut by_chip, mut by_name): (HashMap<String, u32>, HashMap<(String, String), u32>) = Default::default();
    for entry in names(&base) {
        let dir = base.join(&entry);
        if !dir.is_dir() {
            continue;
        }
        let Some(chip) = chip_name(&dir) else { continue };
        let name = line(dir.join("name")).unwrap_or_default();
        *by_chip.entry(chip.clone()).or_default() += 1;
        *by_name.entry((chip.clone(), name.clone())).or_default() += 1;
        chips.push((entry, dir, chip, name));
    }
    for (entry, dir, mut chip, name) in chips {
        // Chips that would share a name are told apart by their own names, or by their place.
        if by_chip.get(&chip).is_some_and(|count| *count > 1) {
            let twice = by_name.get(&(chip.clone(), name.clone())).is_some_and(|count| *count > 1);
            let suffix = match clean(&name) {
                name if name.is_empty() || twice => clean(&entry),
                name => name,
            };
            chip = format!("{chip}_{suffix}");
        }
        if !node.config.hwmon_chips.ignores(&chip) {
            update_chip(node, out, &dir, &chip, &name);
        }
    }
    Ok(())
}

fn clean(name: &str) -> String {
    let mapped: String = name
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() || c == ':' || c == '_' { c } else { '_' })
        .collect();
    mapped.trim_matches('_').to_owned()
}

fn chip_name(dir: &Path) -> Option<String> {
    if let Ok(device) = dir.join("device").canonicalize() {
        let part = |path: Option<&Path>| clean(&path.and_then(Path::file_name).unwrap_or_default().to_string_lossy());
        let (name, bus) = (part(Some(&device)), part(device.parent()));
        if !name.is_empty() {
            return Some(if bus.is_empty() { name } else { format!("{bus}_{name}") });
        }
    }
    let name = clean(&line(dir.join("name")).unwrap_or_default());
    if !name.is_empty() {
        return Some(name);
    }
    let real = dir.canonicalize().ok()?;
    Some(clean(&real.file_name()?.to_string_lossy())).filter(|name| !name.is_empty())
}

/// `temp1_input` is type `temp`, number 1, property `input`; a missing number is 0.
fn sensor_file(name: &str) -> Option<(String, String, String)> {
    let digits = name.find(|c: char| c.is_ascii_digit());
    let (kind, number, property) = match digits {
        Some(at) => {
            let end = name[at..].find(|c: char| !c.is_ascii_digit()).map_or(name.len(), |len| at + len);
            let property = match &name[end..] {
                "" => "",
                rest => rest.strip_prefix('_').filter(|rest| !rest.is_empty())?,
            };
            (&name[..at], &name[at..end], property)
        }
        // Without a number the whole name is the type (`update_interval`).
        None => (name, "", ""),
    };
    let number: u64 = if number.is_empty() { 0 } else { number.parse().ok()? };
    Some((kind.to_owned(), format!("{kind}{number}"), property.to_owned()))
}

fn read_sensors(dir: &Path, sensors: &mut Sensors) {
    for file in names(dir) {
        let Some((kind, sensor, property)) = sensor_file(&file) else { continue };
        if SENSOR_TYPES.contains(&kind.as_str())
            && let Some(value) = line(dir.join(&file))
        {
            sensors.entry(sensor).or_default().insert(property, value);
        }
    }
}

fn update_chip(node: &Collector, out: &mut Out, dir: &Path, chip: &str, name: &str) {
    let mut sensors = Sensors::new();
    read_sensors(dir, &mut sensors);
    if dir.join("device").exists() {
        read_sensors(&dir.join("device"), &mut sensors);
    }
    let name = clean(name);
    if !name.is_empty() {
        let help = "Annotation metric for human-readable chip names";
        out.gauge("node_hwmon_chip_names", help, &[("chip", chip), ("chip_name", &name)], 1.0);
    }
    for (sensor, properties) in &sensors {
        if node.config.hwmon_sensors.ignores(&format!("{chip};{sensor}")) {
            continue;
        }
        let Some((kind, ..)) = sensor_file(sensor) else { continue };
        let labels = [("chip", chip), ("sensor", sensor.as_str())];
        if let Some(label) = properties.get("label") {
            let labels = [("chip", chip), ("sensor", sensor.as_str()), ("label", label.as_str())];
            out.gauge("node_hwmon_sensor_label", "Label for given chip and sensor", &labels, 1.0);
        }
        let bare = properties.get("");
        let plain = bare.and_then(|value| value.parse::<f64>().ok());
        match kind.as_str() {
            "beep_enable" => {
                let on = f64::from(u8::from(bare.is_some_and(|value| value == "1")));
                out.gauge("node_hwmon_beep_enabled", "Hardware beep enabled", &labels, on);
            }
            "vrm" => {
                if let Some(value) = plain {
                    let name = "node_hwmon_voltage_regulator_version";
                    out.gauge(name, "Hardware voltage regulator", &labels, value);
                }
            }
            "update_interval" => {
                if let Some(value) = plain {
                    let name = "node_hwmon_update_interval_seconds";
                    out.gauge(name, "Hardware monitor update interval", &labels, value * 0.001);
                }
            }
            kind => {
                for (element, value) in properties.iter().filter(|(element, _)| *element != "label") {
                    if let Ok(value) = value.parse() {
                        sensor_value(out, kind, element, value, properties, chip, sensor);
                    }
                }
            }
        }
    }
}

fn sensor_value(
    out: &mut Out,
    kind: &str,
    element: &str,
    value: f64,
    properties: &BTreeMap<String, String>,
    chip: &str,
    sensor: &str,
) {
    let mut name = format!("node_hwmon_{kind}");
    match element {
        "" => {}
        "input" => {
            if properties.contains_key("") {
                name.push_str("_input");
            }
        }
        element => {
            name.push('_');
            name.push_str(&clean(element));
        }
    }
    let labels = [("chip", chip), ("sensor", sensor)];
    let gauge = MetricKind::Gauge;
    let (kind_of_metric, suffix, help, value) = match (kind, element) {
        (_, "fault" | "alarm") => (gauge, "", format!("Hardware sensor {element} status ({kind})"), value),
        (_, "beep") => (gauge, "_enabled", "Hardware monitor sensor has beeping enabled".to_owned(), value),
        ("in" | "cpu", _) => (gauge, "_volts", format!("Hardware monitor for voltage ({element})"), value * 0.001),
        ("temp", element) if element != "type" => {
            let element = if element.is_empty() { "input" } else { element };
            (gauge, "_celsius", format!("Hardware monitor for temperature ({element})"), value * 0.001)
        }
        ("curr", _) => (gauge, "_amps", format!("Hardware monitor for current ({element})"), value * 0.001),
        ("energy", _) => {
            let help = format!("Hardware monitor for joules used so far ({element})");
            (MetricKind::Counter, "_joule_total", help, value / 1e6)
        }
        ("power", "accuracy") => {
            (gauge, "", "Hardware monitor power meter accuracy, as a ratio".to_owned(), value / 1e6)
        }
        ("power", "average_interval" | "average_interval_min" | "average_interval_max") => {
            let help = format!("Hardware monitor power usage update interval ({element})");
            (gauge, "_seconds", help, value * 0.001)
        }
        ("power", _) => (gauge, "_watt", format!("Hardware monitor for power usage in watts ({element})"), value / 1e6),
        ("humidity", _) => {
            let help = format!(
                "Hardware monitor for humidity, as a ratio (multiply with 100.0 to get the humidity as a percentage) ({element})"
            );
            (gauge, "", help, value / 1e6)
        }
        ("fan", "input" | "min" | "max" | "target") => {
            (gauge, "_rpm", format!("Hardware monitor for fan revolutions per minute ({element})"), value)
        }
        ("freq", "input") => {
            if let Some(label) = properties.get("label") {
                let labels = [("chip", chip), ("sensor", &*clean(label))];
                let help = "Hardware monitor for GPU frequency in MHz";
                out.gauge(format!("{name}_freq_mhz"), help, &labels, value / 1e6);
            }
            return;
        }
        _ => (gauge, "", format!("Hardware monitor {kind} element {element}"), value),
    };
    out.add(kind_of_metric, format!("{name}{suffix}"), help, &labels, value);
}
