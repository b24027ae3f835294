//! Many hosts made of one: captured scrapes of a node exporter, replayed with differences as between machines.
//!
//! Every host repeats the capture from another place on, with its own scale. Counters advance by the captured increments, stretched by up
//! to a third either way; gauges are the captured values on the host's scale; constants stay. Values keep their kind: integers stay integers,
//! multiples of a page stay multiples, two decimals stay two decimals. So do the shares that matter to a store: about 60 % of the series constant, 70 % of the
//! samples equal to the one before, 85 % integers.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Command;

use model::Labels;

/// A series of the capture.
struct Captured {
    labels: Vec<(String, String)>,
    values: Vec<f64>,
    kind: Kind,
    /// What values are multiples of, as numerator and denominator; a denominator of 0: full doubles.
    unit: (f64, f64),
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Constant,
    Counter,
    Gauge,
}

/// Scrapes of one machine.
pub struct Capture {
    series: Vec<Captured>,
    scrapes: usize,
}

impl Capture {
    /// Reads `capture_<name>.txt.xz` of the data folder; the error says what is missing.
    pub fn load(name: &str) -> Result<Self, String> {
        let folder = std::env::var_os("FOURSIGHT_DATA").map(PathBuf::from);
        let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
        let folders = folder.into_iter().chain([beside]);
        let file = format!("capture_{name}.txt.xz");
        let path = folders.map(|folder| folder.join(&file)).find(|path| path.exists());
        let path = path.ok_or(format!("{file} is not there: name its folder in FOURSIGHT_DATA"))?;
        let output = Command::new("xz").arg("-dc").arg(&path).output().map_err(|e| format!("xz: {e}"))?;
        if !output.status.success() {
            return Err(format!("xz -dc {}: {}", path.display(), output.status));
        }
        String::from_utf8(output.stdout).map(|text| Self::parse(&text)).map_err(|e| e.to_string())
    }

    /// Reads the capture's text: a line `#@ <ms>` before every page.
    pub fn parse(text: &str) -> Self {
        let mut order: Vec<&str> = Vec::new();
        let mut values: HashMap<&str, Vec<f64>> = HashMap::new();
        let mut counters: HashMap<&str, bool> = HashMap::new();
        let mut scrapes = 0;
        for line in text.lines() {
            if line.starts_with("#@ ") {
                scrapes += 1;
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                if let Some((name, kind)) = rest.split_once(' ') {
                    counters.insert(name, kind == "counter");
                }
            } else if let Some((series, value)) = line.rsplit_once(' ')
                && !line.starts_with('#')
                && let Ok(value) = value.parse()
            {
                values.entry(series).or_insert_with(|| {
                    order.push(series);
                    Vec::new()
                });
                values.entry(series).and_modify(|values| values.push(value));
            }
        }
        let is_counter = |series: &str| {
            let name = series.split('{').next().unwrap_or_default();
            counters.get(name).copied().unwrap_or(false)
        };
        let complete = order.into_iter().filter(|series| values[series].len() == scrapes);
        let series = complete.map(|series| Captured::new(series, values[series].clone(), is_counter(series))).collect();
        Self { series, scrapes }
    }

    /// Series of one host.
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// True when the capture holds nothing.
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }
}

impl Captured {
    fn new(text: &str, values: Vec<f64>, counter: bool) -> Self {
        let kind = if values.iter().all(|v| v.to_bits() == values[0].to_bits()) {
            Kind::Constant
        } else if counter && values.windows(2).all(|pair| pair[0] <= pair[1]) {
            Kind::Counter
        } else {
            Kind::Gauge
        };
        Self { labels: parse_series(text), unit: unit_of(&values), values, kind }
    }
}

/// `name{a="b",c="d"}` as pairs; the values of a node exporter need no escapes but `\\` and `\"`.
fn parse_series(text: &str) -> Vec<(String, String)> {
    let (name, rest) = text.split_once('{').unwrap_or((text, ""));
    let mut labels = vec![("__name__".to_owned(), name.to_owned())];
    let mut rest = rest.trim_end_matches('}');
    while let Some((name, after)) = rest.split_once("=\"") {
        let mut value = String::new();
        let mut chars = after.char_indices();
        let mut end = after.len();
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => value.extend(chars.next().map(|(_, c)| c)),
                '"' => {
                    end = at + 1;
                    break;
                }
                c => value.push(c),
            }
        }
        labels.push((name.to_owned(), value));
        rest = after[end..].trim_start_matches(',');
    }
    labels
}

fn unit_of(values: &[f64]) -> (f64, f64) {
    for page in [4096.0, 1024.0] {
        if values.iter().all(|v| v % page == 0.0) && values.iter().any(|v| *v != 0.0) {
            return (page, 1.0);
        }
    }
    for digits in 0..=9 {
        let scale = 10f64.powi(digits);
        if values.iter().all(|v| (v * scale).round() / scale == *v) {
            return (1.0, scale);
        }
    }
    (1.0, 0.0)
}

/// Hosts that are scraped together.
pub struct Fleet<'a> {
    capture: &'a Capture,
    hosts: Vec<Host>,
    random: u64,
}

struct Host {
    name: String,
    /// Where in the capture this host begins, and its scale.
    phase: usize,
    scale: f64,
    /// Values as multiples of their unit.
    now: Vec<f64>,
}

impl<'a> Fleet<'a> {
    /// Hosts `first..first + count`, each of which always becomes the same.
    pub fn new(capture: &'a Capture, first: usize, count: usize) -> Self {
        let mut random = 0x9e37_79b9_7f4a_7c15 ^ first as u64;
        let hosts = (first..first + count)
            .map(|number| {
                let scale = 0.7 + 0.6 * uniform(&mut random);
                let phase = (next(&mut random) as usize) % capture.scrapes.max(1);
                let now = capture.series.iter().map(|s| s.values[phase]).collect();
                Host { name: format!("host-{number:04}"), phase, scale, now }
            })
            .collect();
        Self { capture, hosts, random }
    }

    /// Number of hosts.
    pub fn hosts(&self) -> usize {
        self.hosts.len()
    }

    /// Number of series.
    pub fn series(&self) -> usize {
        self.hosts.len() * self.capture.len()
    }

    /// The label sets of a host's series, in the order of its values: as a server with discovery labels would store them.
    pub fn labels(&self, host: usize) -> Vec<Labels> {
        let name = &self.hosts[host].name;
        let number = host % 7;
        let of = |series: &Captured| {
            let own = series.labels.iter().map(|(n, v)| (n.clone(), v.clone()));
            let added = [
                ("instance", format!("{name}.dc{}.example.net:9100", number % 3)),
                ("job", "node".to_owned()),
                ("env", if number == 0 { "staging" } else { "production" }.to_owned()),
                ("datacenter", format!("dc{}", number % 3)),
                ("rack", format!("r{:02}", host % 40)),
                ("team", "platform".to_owned()),
            ];
            Labels::from_pairs(own.chain(added.map(|(n, v)| (n.to_owned(), v))))
        };
        self.capture.series.iter().map(of).collect()
    }

    /// Values of a host at its `scrape`-th scrape; called for scrapes one after the other.
    pub fn scrape(&mut self, host: usize, scrape: usize, out: &mut Vec<f64>) {
        let capture = self.capture;
        let host = &mut self.hosts[host];
        let at = (host.phase + scrape) % capture.scrapes;
        out.clear();
        for (number, (series, now)) in capture.series.iter().zip(&mut host.now).enumerate() {
            let unit = series.unit;
            match series.kind {
                // The captured machine idles; on other hosts some of what stood still there moves now and then.
                Kind::Constant
                    if *now != 1.0 && series.labels.len() > 1 && (number * 7 + host.phase).is_multiple_of(5) =>
                {
                    if next(&mut self.random).is_multiple_of(4) {
                        *now = round_to(*now + (next(&mut self.random) % 1_000) as f64, unit);
                    }
                }
                Kind::Constant => {}
                Kind::Counter if scrape == 0 => *now = round_to(*now * host.scale, unit),
                Kind::Counter => {
                    let before = series.values[(at + capture.scrapes - 1) % capture.scrapes];
                    // Where the capture begins again there is no increment: the one before it is taken.
                    let increment = if at == 0 {
                        series.values[capture.scrapes - 1] - series.values[capture.scrapes - 2]
                    } else {
                        series.values[at] - before
                    };
                    if increment != 0.0 {
                        let stretch = 0.67 + 0.66 * uniform(&mut self.random);
                        *now = round_to(*now + increment * stretch, unit);
                    }
                }
                Kind::Gauge => {
                    let captured = series.values[at];
                    let before = series.values[(at + capture.scrapes - 1) % capture.scrapes];
                    if captured != before || scrape == 0 {
                        // Small numbers (states, counts of processes) are not on a scale. Others stray by up to half of their
                        // movement, so that no host and no round of the capture repeats another.
                        let small = captured.abs() < 50.0 && unit.1 == 1.0;
                        let scale = if small { 1.0 } else { host.scale };
                        let stray = if small { 0.0 } else { (captured - before) * (uniform(&mut self.random) - 0.5) };
                        *now = round_to(captured * scale + stray, unit);
                    }
                }
            }
            out.push(*now);
        }
    }

    /// When a host's `scrape`-th scrape happens, in ms: every 15 s, now and then some milliseconds late.
    pub fn time(&mut self, host: usize, scrape: usize, start_ms: i64) -> i64 {
        // Scrapers round small delays away; one in fifty is larger.
        let late = if next(&mut self.random).is_multiple_of(50) { 3 + (next(&mut self.random) % 20) as i64 } else { 0 };
        start_ms + (host as i64 * 997) % 15_000 + scrape as i64 * 15_000 + late
    }
}

fn round_to(value: f64, (unit, scale): (f64, f64)) -> f64 {
    if scale == 0.0 {
        value
    } else if scale == 1.0 {
        (value / unit).round() * unit
    } else {
        (value * scale).round() / scale
    }
}

fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

fn uniform(state: &mut u64) -> f64 {
    (next(state) >> 11) as f64 / (1u64 << 53) as f64
}
