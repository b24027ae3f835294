//! The language step by step: every node is evaluated anew at every time, by the plainest code that says what is meant.
//! Floats only; no plan, no columns, no sharing.

use std::collections::BTreeMap;

use foursight_promql::ValueType;
use foursight_promql::ast::{
    Aggregate, AggregateOp, AtModifier, Binary, BinaryOp, Call, Cardinality, Expr, Matching, VectorSelector,
};
use model::regex::{Flags, GoRegex};
use model::{Labels, METRIC_NAME, MatchOp, SampleColumns, SelectHints, SeriesSource};

pub(crate) type Vector = Vec<(Labels, f64)>;
type Samples = Vec<(i64, f64)>;
type Windows = Vec<(Labels, Samples)>;

/// A query fails at a step.
#[derive(Debug)]
pub(crate) struct Failed(#[allow(dead_code, reason = "shown when a comparison fails")] pub(crate) String);

type Done<T> = Result<T, Failed>;

pub(crate) struct Naive<'a> {
    pub(crate) source: &'a dyn SeriesSource,
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    pub(crate) lookback_ms: i64,
}

fn without_name(labels: &Labels) -> Labels {
    labels.without(|name| name == METRIC_NAME)
}

fn unique(vector: Vector) -> Done<Vector> {
    let mut seen: Vec<&Labels> = vector.iter().map(|e| &e.0).collect();
    seen.sort();
    if seen.windows(2).any(|w| w[0] == w[1]) {
        return Err(Failed("same labelset".to_owned()));
    }
    Ok(vector)
}

impl Naive<'_> {
    pub(crate) fn scalar(&self, expr: &Expr, t: i64) -> Done<f64> {
        Ok(match expr {
            Expr::Number(n) => n.value,
            Expr::Paren(p) => self.scalar(&p.expr, t)?,
            Expr::Unary(u) if u.negative => -self.scalar(&u.expr, t)?,
            Expr::Unary(u) => self.scalar(&u.expr, t)?,
            Expr::Binary(b) => operate(b.op, self.scalar(&b.left, t)?, self.scalar(&b.right, t)?),
            Expr::Call(c) => match c.function.name {
                "time" => t as f64 / 1000.0,
                "pi" => std::f64::consts::PI,
                "scalar" => match self.vector(&c.args[0], t)?.as_slice() {
                    [(_, value)] => *value,
                    _ => f64::NAN,
                },
                other => panic!("scalar function {other}"),
            },
            other => panic!("no scalar: {other}"),
        })
    }

    pub(crate) fn vector(&self, expr: &Expr, t: i64) -> Done<Vector> {
        unique(match expr {
            Expr::Paren(p) => self.vector(&p.expr, t)?,
            Expr::Vector(selector) => self.instant(selector, t, false),
            Expr::Unary(u) => {
                let vector = self.vector(&u.expr, t)?;
                if u.negative { vector.iter().map(|(l, v)| (without_name(l), -v)).collect() } else { vector }
            }
            Expr::Binary(b) => self.binary(b, t)?,
            Expr::Aggregate(a) => self.aggregate(a, t)?,
            Expr::Call(c) => self.call(c, t)?,
            other => panic!("no vector: {other}"),
        })
    }

    fn at(&self, at: Option<AtModifier>, offset: i64, t: i64) -> i64 {
        let reference = match at {
            None => t,
            Some(AtModifier::Timestamp(at)) => at,
            Some(AtModifier::Start) => self.start_ms,
            Some(AtModifier::End) => self.end_ms,
        };
        reference - offset
    }

    fn series(&self, selector: &VectorSelector) -> Vec<(Labels, Samples)> {
        let selection = self.source.select(&selector.matchers, &SelectHints::default()).expect("memory can be read");
        let mut columns = SampleColumns::new();
        (0..selection.len())
            .map(|index| {
                selection.read(index, &mut columns).expect("memory can be read");
                let samples = columns.timestamps.iter().copied().zip(columns.values.iter().copied()).collect();
                (selection.labels(index), samples)
            })
            .collect()
    }

    fn instant(&self, selector: &VectorSelector, t: i64, time: bool) -> Vector {
        let at = self.at(selector.at, selector.offset.ms, t);
        let mut out = Vec::new();
        for (labels, samples) in self.series(selector) {
            let newest = samples.iter().rfind(|(time, _)| *time <= at && *time > at - self.lookback_ms);
            if let Some((sample_time, value)) = newest.filter(|(_, v)| !model::is_stale(*v)) {
                out.push((labels, if time { *sample_time as f64 / 1000.0 } else { *value }));
            }
        }
        out
    }

    /// Series with the samples of the window before `t`, then its start and end.
    fn window(&self, expr: &Expr, t: i64) -> Done<(Windows, i64, i64)> {
        match expr {
            Expr::Paren(p) => self.window(&p.expr, t),
            Expr::Matrix(m) => {
                let end = self.at(m.vector.at, m.vector.offset.ms, t);
                let start = end - m.range.ms;
                let inside = |(time, value): &(i64, f64)| *time > start && *time <= end && !model::is_stale(*value);
                let series = self.series(&m.vector);
                let cut = |(l, s): (Labels, Samples)| (l, s.into_iter().filter(inside).collect());
                Ok((series.into_iter().map(cut).collect(), start, end))
            }
            Expr::Subquery(s) => {
                let end = self.at(s.at, s.offset.ms, t);
                let start = end - s.range.ms;
                let step = if s.step.ms == 0 { 60_000 } else { s.step.ms };
                let mut by_labels: BTreeMap<Labels, Samples> = BTreeMap::new();
                for time in (start + 1..=end).filter(|time| time % step == 0) {
                    for (labels, value) in self.vector(&s.expr, time)? {
                        by_labels.entry(labels).or_default().push((time, value));
                    }
                }
                Ok((by_labels.into_iter().collect(), start, end))
            }
            other => panic!("no window: {other}"),
        }
    }

    fn binary(&self, b: &Binary, t: i64) -> Done<Vector> {
        let map = |vector: Vector, f: &dyn Fn(f64) -> Option<f64>| -> Vector {
            let drop = b.op.changes_meaning() || b.return_bool;
            let labels = |l: &Labels| if drop { without_name(l) } else { l.clone() };
            vector.iter().filter_map(|(l, v)| f(*v).map(|v| (labels(l), v))).collect()
        };
        let compare = |left: f64, right: f64, own: f64| {
            let result = operate(b.op, left, right);
            match (b.op.is_comparison(), b.return_bool) {
                (true, false) => (result == 1.0).then_some(own),
                _ => Some(result),
            }
        };
        match (b.left.value_type(), b.right.value_type()) {
            (ValueType::Vector, ValueType::Scalar) => {
                let right = self.scalar(&b.right, t)?;
                Ok(map(self.vector(&b.left, t)?, &|v| compare(v, right, v)))
            }
            (ValueType::Scalar, ValueType::Vector) => {
                let left = self.scalar(&b.left, t)?;
                Ok(map(self.vector(&b.right, t)?, &|v| compare(left, v, v)))
            }
            _ => {
                let (left, right) = (self.vector(&b.left, t)?, self.vector(&b.right, t)?);
                let matching = b.matching.as_ref().expect("vectors are matched");
                if b.op.is_set() { Ok(set(b.op, left, right, matching)) } else { join(b, left, right, matching) }
            }
        }
    }

    fn aggregate(&self, a: &Aggregate, t: i64) -> Done<Vector> {
        let vector = self.vector(&a.expr, t)?;
        let keep = |name: &str| {
            let listed = a.grouping.iter().any(|g| g == name);
            if a.without { !listed && name != METRIC_NAME } else { listed }
        };
        let param = match (&a.param, a.op) {
            (Some(Expr::String(_)), _) | (None, _) => 0.0,
            (Some(param), _) => self.scalar(param, t)?,
        };
        if a.op == AggregateOp::CountValues {
            let Some(Expr::String(name)) = &a.param else { panic!("count_values has a label") };
            let mut counts: BTreeMap<Labels, f64> = BTreeMap::new();
            for (labels, value) in vector {
                let text = model::number::float_text(value, model::number::FloatFormat::Fixed);
                let group = labels.without(|n| !keep(n) || n == name.value);
                let group = group.to_builder().set(&name.value, &text).build();
                *counts.entry(group).or_default() += 1.0;
            }
            return Ok(counts.into_iter().collect());
        }
        let mut groups: BTreeMap<Labels, Vector> = BTreeMap::new();
        for (labels, value) in vector {
            groups.entry(labels.without(|n| !keep(n))).or_default().push((labels, value));
        }
        let mut out = Vec::new();
        for (labels, mut group) in groups {
            let values: Vec<f64> = group.iter().map(|e| e.1).collect();
            let n = values.len() as f64;
            let value = match a.op {
                AggregateOp::Topk | AggregateOp::Bottomk => {
                    let top = a.op == AggregateOp::Topk;
                    group.sort_by(|x, y| if top { y.1.total_cmp(&x.1) } else { x.1.total_cmp(&y.1) });
                    // NaN comes last either way.
                    let (numbers, nans): (Vector, Vector) = group.into_iter().partition(|e| !e.1.is_nan());
                    out.extend(numbers.into_iter().chain(nans).take(param.max(0.0) as usize));
                    continue;
                }
                AggregateOp::Sum => values.iter().sum(),
                AggregateOp::Avg => values.iter().sum::<f64>() / n,
                AggregateOp::Count => n,
                AggregateOp::Group => 1.0,
                AggregateOp::Min => values.iter().copied().fold(f64::NAN, f64::min),
                AggregateOp::Max => values.iter().copied().fold(f64::NAN, f64::max),
                AggregateOp::Stdvar => variance(&values),
                AggregateOp::Stddev => variance(&values).sqrt(),
                AggregateOp::Quantile => quantile(param, values),
                other => panic!("{other:?} is not compared"),
            };
            out.push((labels, value));
        }
        Ok(out)
    }

    fn call(&self, c: &Call, t: i64) -> Done<Vector> {
        let name = c.function.name;
        if c.args.iter().any(|a| a.value_type() == ValueType::Matrix) {
            return self.range_call(c, t);
        }
        let numbers: Vec<f64> = c
            .args
            .iter()
            .filter(|a| a.value_type() == ValueType::Scalar)
            .map(|a| self.scalar(a, t))
            .collect::<Done<_>>()?;
        let text = |at: usize| match &c.args[at] {
            Expr::String(s) => s.value.clone(),
            other => panic!("no text: {other}"),
        };
        if name == "vector" {
            return Ok(vec![(Labels::empty(), numbers[0])]);
        }
        if let ("timestamp", Expr::Vector(selector)) = (name, &c.args[0]) {
            let vector = self.instant(selector, t, true);
            return Ok(vector.into_iter().map(|(l, v)| (without_name(&l), v)).collect());
        }
        let arg = c.args.iter().find(|a| a.value_type() == ValueType::Vector);
        let vector = match arg {
            Some(arg) => self.vector(arg, t)?,
            None => vec![(Labels::empty(), t as f64 / 1000.0)],
        };
        let map = |f: &dyn Fn(f64) -> f64| vector.iter().map(|(l, v)| (without_name(l), f(*v))).collect();
        Ok(match name {
            "abs" => map(&f64::abs),
            "ceil" => map(&f64::ceil),
            "floor" => map(&f64::floor),
            "sqrt" => map(&f64::sqrt),
            "sgn" => map(&|v| if v == 0.0 || v.is_nan() { v } else { v.signum() }),
            "timestamp" => map(&|_| t as f64 / 1000.0),
            "hour" => map(&|v| if v.abs() < 3.6e16 { ((v as i64).rem_euclid(86_400) / 3600) as f64 } else { f64::NAN }),
            "round" => {
                let inverse = 1.0 / numbers.first().copied().unwrap_or(1.0);
                map(&|v| (v * inverse + 0.5).floor() / inverse)
            }
            "clamp" if numbers[0] > numbers[1] => Vec::new(),
            "clamp" if numbers[0].is_nan() || numbers[1].is_nan() => map(&|_| f64::NAN),
            "clamp" => map(&|v| if v.is_nan() { v } else { v.min(numbers[1]).max(numbers[0]) }),
            "sort" | "sort_desc" => vector,
            "absent" => {
                let labels = match arg {
                    Some(Expr::Vector(s)) => fixed_labels(s),
                    _ => Labels::empty(),
                };
                if vector.is_empty() { vec![(labels, 1.0)] } else { Vec::new() }
            }
            "label_replace" => {
                let regex = GoRegex::new(&text(4), Flags::MATCHER).expect("a pattern");
                let replace = |(l, v): &(Labels, f64)| {
                    let source = l.value(&text(3)).to_owned();
                    let labels = match regex.captures(source.as_bytes()) {
                        None => l.clone(),
                        Some(groups) => {
                            let mut out = Vec::new();
                            model::regex::expand(&mut out, text(2).as_bytes(), source.as_bytes(), &groups, &regex);
                            l.to_builder().set(&text(1), &String::from_utf8_lossy(&out)).build()
                        }
                    };
                    (labels, *v)
                };
                vector.iter().map(replace).collect()
            }
            "label_join" => {
                let sources: Vec<String> = (3..c.args.len()).map(text).collect();
                let join = |(l, v): &(Labels, f64)| {
                    let joined = sources.iter().map(|s| l.value(s)).collect::<Vec<_>>().join(&text(2));
                    (l.to_builder().set(&text(1), &joined).build(), *v)
                };
                vector.iter().map(join).collect()
            }
            "histogram_quantile" => histogram_quantile(numbers[0], vector),
            other => panic!("function {other} is not compared"),
        })
    }

    fn range_call(&self, c: &Call, t: i64) -> Done<Vector> {
        let name = c.function.name;
        let window = c.args.iter().find(|a| a.value_type() == ValueType::Matrix).expect("a window");
        let number = c.args.iter().find(|a| a.value_type() == ValueType::Scalar);
        let number = number.map(|a| self.scalar(a, t)).transpose()?.unwrap_or(0.0);
        let (series, start, end) = self.window(window, t)?;
        if name == "absent_over_time" {
            let present = series.iter().any(|(_, s)| !s.is_empty());
            let labels = match window {
                Expr::Matrix(m) => fixed_labels(&m.vector),
                _ => Labels::empty(),
            };
            return Ok(if present { Vec::new() } else { vec![(labels, 1.0)] });
        }
        let mut out = Vec::new();
        for (labels, samples) in series {
            if let Some(value) = over_window(name, &samples, (start, end), t, number) {
                let keeps_name = name == "last_over_time";
                out.push((if keeps_name { labels } else { without_name(&labels) }, value));
            }
        }
        Ok(out)
    }
}

/// Labels with one `=` matcher and no other.
fn fixed_labels(selector: &VectorSelector) -> Labels {
    let mut labels = model::LabelsBuilder::new();
    for m in selector.matchers.iter().filter(|m| m.name() != METRIC_NAME && m.op() == MatchOp::Equal) {
        if selector.matchers.iter().filter(|o| o.name() == m.name()).count() == 1 {
            labels.set(m.name(), m.value());
        }
    }
    labels.build()
}

fn operate(op: BinaryOp, a: f64, b: f64) -> f64 {
    let truth = |t: bool| if t { 1.0 } else { 0.0 };
    match op {
        BinaryOp::Add => a + b,
        BinaryOp::Sub => a - b,
        BinaryOp::Mul => a * b,
        BinaryOp::Div => a / b,
        BinaryOp::Mod => a % b,
        BinaryOp::Pow => a.powf(b),
        BinaryOp::Atan2 => a.atan2(b),
        BinaryOp::Equal => truth(a == b),
        BinaryOp::NotEqual => truth(a != b),
        BinaryOp::Greater => truth(a > b),
        BinaryOp::Less => truth(a < b),
        BinaryOp::GreaterEqual => truth(a >= b),
        BinaryOp::LessEqual => truth(a <= b),
        other => panic!("{other:?} on floats"),
    }
}

fn signature(labels: &Labels, matching: &Matching) -> Labels {
    labels.without(|name| {
        let listed = matching.labels.iter().any(|l| l == name);
        if matching.on { !listed } else { listed || name == METRIC_NAME }
    })
}

fn set(op: BinaryOp, left: Vector, right: Vector, matching: &Matching) -> Vector {
    let has = |side: &Vector, labels: &Labels| {
        side.iter().any(|(l, _)| signature(l, matching) == signature(labels, matching))
    };
    match op {
        BinaryOp::And => left.into_iter().filter(|(l, _)| has(&right, l)).collect(),
        BinaryOp::Unless => left.into_iter().filter(|(l, _)| !has(&right, l)).collect(),
        _ => {
            let rest: Vector = right.into_iter().filter(|(l, _)| !has(&left, l)).collect();
            left.into_iter().chain(rest).collect()
        }
    }
}

fn join(b: &Binary, left: Vector, right: Vector, matching: &Matching) -> Done<Vector> {
    if left.is_empty() || right.is_empty() {
        return Ok(Vec::new());
    }
    let swapped = matching.cardinality == Cardinality::OneToMany;
    let (many, one) = if swapped { (&right, &left) } else { (&left, &right) };
    for (at, (labels, _)) in one.iter().enumerate() {
        if one[..at].iter().any(|(l, _)| signature(l, matching) == signature(labels, matching)) {
            return Err(Failed("duplicate series on the one side".to_owned()));
        }
    }
    let mut out: Vector = Vec::new();
    let mut matched: Vec<(Labels, Labels)> = Vec::new();
    for (labels, value) in many {
        let group = signature(labels, matching);
        let Some((one_labels, one_value)) = one.iter().find(|(l, _)| signature(l, matching) == group) else { continue };
        let (x, y) = if swapped { (*one_value, *value) } else { (*value, *one_value) };
        let drop = b.op.changes_meaning() || b.return_bool;
        let mut result = if drop { without_name(labels) } else { labels.clone() };
        if matching.cardinality == Cardinality::OneToOne {
            result = result.without(|n| matching.labels.iter().any(|l| l == n) != matching.on);
        }
        let mut builder = result.to_builder();
        for name in &matching.include {
            builder.set(name, one_labels.value(name));
        }
        let result = builder.build();
        let one_to_one = matching.cardinality == Cardinality::OneToOne;
        if matched.iter().any(|(g, r)| *g == group && (one_to_one || *r == result)) {
            return Err(Failed("multiple matches".to_owned()));
        }
        matched.push((group, result.clone()));
        let value = operate(b.op, x, y);
        if !b.op.is_comparison() || b.return_bool {
            out.push((result, value));
        } else if value == 1.0 {
            out.push((result, x));
        }
    }
    Ok(out)
}

fn variance(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n
}

fn quantile(q: f64, mut values: Vec<f64>) -> f64 {
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    values.sort_by(|a, b| b.is_nan().cmp(&a.is_nan()).then(a.total_cmp(b)));
    let rank = q * (values.len() - 1) as f64;
    let (lower, weight) = (rank.floor() as usize, rank.fract());
    let upper = (lower + 1).min(values.len() - 1);
    values[lower] * (1.0 - weight) + values[upper] * weight
}

fn histogram_quantile(q: f64, vector: Vector) -> Vector {
    let mut histograms: BTreeMap<Labels, Vec<(f64, f64)>> = BTreeMap::new();
    for (labels, value) in vector {
        if let Ok(le) = model::number::parse_float(labels.value("le")) {
            histograms.entry(labels.without(|n| n == "le")).or_default().push((le, value));
        }
    }
    let mut out = Vec::new();
    for (labels, mut buckets) in histograms {
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        for i in 1..buckets.len() {
            buckets[i].1 = buckets[i].1.max(buckets[i - 1].1);
        }
        let last = buckets.len() - 1;
        let total = buckets[last].1;
        let value = if q < 0.0 {
            f64::NEG_INFINITY
        } else if q > 1.0 {
            f64::INFINITY
        } else if buckets[last].0 != f64::INFINITY || last == 0 || total == 0.0 || q.is_nan() {
            f64::NAN
        } else {
            let rank = q * total;
            let at = buckets[..last].iter().position(|b| b.1 >= rank).unwrap_or(last);
            let (lower, below) = if at == 0 { (0.0, 0.0) } else { buckets[at - 1] };
            match at {
                _ if at == last => buckets[last - 1].0,
                0 if buckets[0].0 <= 0.0 => buckets[0].0,
                _ => lower + (buckets[at].0 - lower) * ((rank - below) / (buckets[at].1 - below)),
            }
        };
        out.push((without_name(&labels), value));
    }
    out
}

/// A range function at one step.
fn over_window(name: &str, samples: &Samples, (start, end): (i64, i64), t: i64, number: f64) -> Option<f64> {
    let n = samples.len();
    let values: Vec<f64> = samples.iter().map(|s| s.1).collect();
    let (first, last) = (*samples.first()?, *samples.last()?);
    let seconds = |ms: i64| ms as f64 / 1000.0;
    Some(match name {
        "rate" | "increase" | "delta" => {
            if n < 2 {
                return None;
            }
            let counter = name != "delta";
            let mut difference = last.1 - first.1;
            if counter {
                difference += values.windows(2).filter(|w| w[1] < w[0]).map(|w| w[0]).sum::<f64>();
            }
            let sampled = seconds(last.0 - first.0);
            let average = sampled / (n - 1) as f64;
            let reach = |gap: f64| if gap >= average * 1.1 { average / 2.0 } else { gap };
            let mut to_start = reach(seconds(first.0 - start));
            if counter && difference > 0.0 && first.1 >= 0.0 {
                to_start = to_start.min(sampled * (first.1 / difference));
            }
            let to_end = reach(seconds(end - last.0));
            let stretched = difference * ((sampled + to_start + to_end) / sampled);
            if name == "rate" { stretched / seconds(end - start) } else { stretched }
        }
        "irate" | "idelta" => {
            let before = *samples.get(n.checked_sub(2)?)?;
            let reset = name == "irate" && last.1 < before.1;
            let difference = if reset { last.1 } else { last.1 - before.1 };
            if name == "irate" { difference / seconds(last.0 - before.0) } else { difference }
        }
        "changes" => {
            let differ = |w: &&[f64]| w[0] != w[1] && !(w[0].is_nan() && w[1].is_nan());
            values.windows(2).filter(differ).count() as f64
        }
        "resets" => values.windows(2).filter(|w| w[1] < w[0]).count() as f64,
        "deriv" | "predict_linear" => {
            if n < 2 {
                return None;
            }
            let at = if name == "deriv" { first.0 } else { t };
            let x: Vec<f64> = samples.iter().map(|s| seconds(s.0 - at)).collect();
            let (mean_x, mean_y) = (x.iter().sum::<f64>() / n as f64, values.iter().sum::<f64>() / n as f64);
            let constant = values.iter().all(|v| *v == values[0]);
            let xy: f64 = x.iter().zip(&values).map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
            let xx: f64 = x.iter().map(|x| (x - mean_x) * (x - mean_x)).sum();
            let slope = if constant { 0.0 } else { xy / xx };
            if constant && values[0].is_infinite() {
                f64::NAN
            } else if name == "deriv" {
                slope
            } else {
                let value = if constant { values[0] } else { mean_y - slope * mean_x };
                slope * number + value
            }
        }
        "avg_over_time" => values.iter().sum::<f64>() / n as f64,
        "sum_over_time" => values.iter().sum(),
        "min_over_time" => values.iter().copied().fold(f64::NAN, f64::min),
        "max_over_time" => values.iter().copied().fold(f64::NAN, f64::max),
        "count_over_time" => n as f64,
        "present_over_time" => 1.0,
        "last_over_time" => last.1,
        "stdvar_over_time" => variance(&values),
        "stddev_over_time" => variance(&values).sqrt(),
        "quantile_over_time" => quantile(number, values),
        other => panic!("range function {other} is not compared"),
    })
}
