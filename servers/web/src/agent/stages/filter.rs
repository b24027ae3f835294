//! Stages that let entries fall: `drop`, `limit`, `sampling`.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use kit::metrics::Counter;
use model::regex::GoRegex;

use super::{Item, Result, Stage, StageContext, regex_of};
use crate::agent::syntax::{Args, Diag};

pub(super) fn drop_stage(args: &mut Args, context: &StageContext) -> Result<Box<dyn Stage>> {
    let source = args.text_or("source", "")?;
    let expression = regex_of(args, "expression")?;
    let value = args.text("value")?;
    let older_than = args.duration_or("older_than", Duration::ZERO)?;
    let longer_than = args.size_or("longer_than", 0)?;
    let reason = args.text_or("drop_counter_reason", "drop_stage")?;
    let separator = args.text_or("separator", ";")?;
    if expression.is_none() && value.is_none() && source.is_empty() && older_than.is_zero() && longer_than == 0 {
        return Err(Diag::new(&args.pos, "stage.drop needs at least one condition"));
    }
    if value.is_some() && expression.is_some() {
        return Err(Diag::new(&args.pos, "stage.drop takes either value or expression"));
    }
    if value.is_some() && source.is_empty() {
        return Err(Diag::new(&args.pos, "stage.drop needs a source for its value"));
    }
    let sources = source.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
    Ok(Box::new(Drop {
        sources,
        separator,
        expression,
        value,
        older_than,
        longer_than,
        dropped: context.dropped(&reason),
    }))
}

/// Drops what fulfils every condition given.
struct Drop {
    sources: Vec<String>,
    separator: String,
    expression: Option<GoRegex>,
    value: Option<String>,
    older_than: Duration,
    longer_than: u64,
    dropped: Counter,
}

impl Drop {
    fn hits(&self, item: &Item) -> bool {
        if self.longer_than > 0 && item.entry.line.len() as u64 <= self.longer_than {
            return false;
        }
        if !self.older_than.is_zero() {
            let age = kit::time::now_ns() - i128::from(item.entry.timestamp_ns);
            if age <= self.older_than.as_nanos() as i128 {
                return false;
            }
        }
        let subject = if self.sources.is_empty() {
            Some(item.entry.line.clone())
        } else {
            let parts: Option<Vec<String>> = self.sources.iter().map(|name| item.text(name)).collect();
            parts.map(|parts| parts.join(&self.separator))
        };
        let Some(subject) = subject else { return false };
        match (&self.expression, &self.value) {
            (Some(expression), _) => expression.is_match(&subject),
            (None, Some(value)) => subject == *value,
            (None, None) => true,
        }
    }
}

impl Stage for Drop {
    fn process(&mut self, item: Item, out: &mut Vec<Item>) {
        if self.hits(&item) {
            self.dropped.inc();
        } else {
            out.push(item);
        }
    }
}

pub(super) fn limit(args: &mut Args, context: &StageContext) -> Result<Box<dyn Stage>> {
    let pos = args.pos.clone();
    let rate = args.number_or("rate", 0.0)?;
    let burst = args.number_or("burst", 0.0)?;
    let by_label = args.text_or("by_label_name", "")?;
    let drop = args.bool_or("drop", false)?;
    let max_labels = args.count_or("max_distinct_labels", 10_000)?.max(1);
    if rate <= 0.0 || burst < 1.0 {
        return Err(Diag::new(&pos, "stage.limit needs a rate above 0 and a burst of at least 1"));
    }
    if !by_label.is_empty() && !drop {
        return Err(Diag::new(&pos, "by_label_name can only be used together with drop = true"));
    }
    let dropped = context.dropped("limit_stage");
    Ok(Box::new(Limit { rate, burst, by_label, drop, max_labels, dropped, buckets: HashMap::new() }))
}

/// Tokens by label value; without a label there is one bucket.
struct Limit {
    rate: f64,
    burst: f64,
    by_label: String,
    drop: bool,
    max_labels: usize,
    dropped: Counter,
    buckets: HashMap<String, (f64, Instant)>,
}

impl Stage for Limit {
    fn process(&mut self, item: Item, out: &mut Vec<Item>) {
        let key = if self.by_label.is_empty() {
            String::new()
        } else {
            match item.entry.labels.get(&self.by_label) {
                Some(value) => value.to_owned(),
                None => {
                    out.push(item);
                    return;
                }
            }
        };
        if self.buckets.len() >= self.max_labels && !self.buckets.contains_key(&key) {
            self.buckets.clear();
        }
        let now = Instant::now();
        let (tokens, last) = self.buckets.entry(key).or_insert((self.burst, now));
        *tokens = (*tokens + now.duration_since(*last).as_secs_f64() * self.rate).min(self.burst);
        *last = now;
        *tokens -= 1.0;
        if *tokens >= 0.0 {
            out.push(item);
        } else if self.drop {
            *tokens += 1.0;
            self.dropped.inc();
        } else {
            // Holding up the pipeline is what is asked for; in steps, so that the runtime is not held up long.
            let wait = Duration::from_secs_f64((-*tokens / self.rate).min(1.0));
            let threads = tokio::runtime::Handle::try_current()
                .is_ok_and(|runtime| runtime.runtime_flavor() == tokio::runtime::RuntimeFlavor::MultiThread);
            if threads {
                tokio::task::block_in_place(|| std::thread::sleep(wait));
            } else {
                std::thread::sleep(wait);
            }
            out.push(item);
        }
    }
}

pub(super) fn sampling(args: &mut Args, context: &StageContext) -> Result<Box<dyn Stage>> {
    let rate = args.number_or("rate", -1.0)?;
    let reason = args.text_or("drop_counter_reason", "sampling_stage")?;
    if !(0.0..=1.0).contains(&rate) {
        return Err(Diag::new(&args.pos, "stage.sampling needs a rate between 0 and 1"));
    }
    Ok(Box::new(Sampling { rate, dropped: context.dropped(&reason) }))
}

struct Sampling {
    rate: f64,
    dropped: Counter,
}

impl Stage for Sampling {
    fn process(&mut self, item: Item, out: &mut Vec<Item>) {
        if fastrand::f64() < self.rate {
            out.push(item);
        } else {
            self.dropped.inc();
        }
    }
}
