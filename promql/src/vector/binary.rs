//! Arithmetic, comparisons and trims: between numbers, a vector and a number, and two vectors.
//!
//! Two vectors are joined by match groups once, not step by step: in a group with one series on each side, which is the
//! rule, the operator runs over two columns. Series that share a group are told apart by the steps at which they have
//! values; where they meet, the join is ambiguous and fails.

use std::sync::Arc;

use crate::hash::HashMap;
use model::{FloatHistogram, Labels, LabelsBuilder, ResetHint};

use super::matching::{MatchGroups, match_labels};
use super::{Column, Scalars, Series, Value, is_absent, is_metadata_label};
use crate::annotations::{Annotations, HistogramOperation};
use crate::ast::{BinaryOp, Cardinality, Matching};
use crate::error::QueryError;
use crate::format::label_set;
use crate::span::Span;

/// What an operator met on its way that is worth an annotation; told once, whatever the number of steps.
#[derive(Clone, Debug, Default)]
pub struct BinaryNotes {
    /// Pairs of types the operator does not know: left and right, true for a histogram.
    types: [[bool; 2]; 2],
    incompatible_layout: bool,
    reset_collision: bool,
    bounds_reconciled: bool,
}

impl BinaryNotes {
    /// Writes the annotations.
    pub fn annotate(&self, op: BinaryOp, span: Span, annotations: &mut Annotations) {
        let name = |histogram: usize| if histogram == 1 { "histogram" } else { "float" };
        for (left, row) in self.types.iter().enumerate() {
            for (right, _) in row.iter().enumerate().filter(|(_, met)| **met) {
                annotations.incompatible_types(name(left), op.as_str(), name(right), span);
            }
        }
        let operation =
            if op == BinaryOp::Sub { HistogramOperation::Subtraction } else { HistogramOperation::Addition };
        if self.incompatible_layout {
            annotations.incompatible_layout(op.as_str(), span);
        }
        if self.reset_collision {
            annotations.reset_collision(operation, span);
        }
        if self.bounds_reconciled {
            annotations.bounds_reconciled(operation, span);
        }
    }

    /// Takes over what another part of the work met.
    pub fn merge(&mut self, other: &Self) {
        for (row, more) in self.types.iter_mut().zip(&other.types) {
            row.iter_mut().zip(more).for_each(|(a, b)| *a |= b);
        }
        self.incompatible_layout |= other.incompatible_layout;
        self.reset_collision |= other.reset_collision;
        self.bounds_reconciled |= other.bounds_reconciled;
    }
}

/// An operator on two numbers; comparisons give 1 or 0.
pub fn scalar(op: BinaryOp, left: f64, right: f64) -> f64 {
    match op {
        _ if op.is_comparison() => f64::from(u8::from(compare(op, left, right))),
        _ => arithmetic(op)(left, right),
    }
}

fn arithmetic(op: BinaryOp) -> fn(f64, f64) -> f64 {
    match op {
        BinaryOp::Add => |a, b| a + b,
        BinaryOp::Sub => |a, b| a - b,
        BinaryOp::Mul => |a, b| a * b,
        BinaryOp::Div => |a, b| a / b,
        BinaryOp::Mod => |a, b| a % b,
        BinaryOp::Pow => f64::powf,
        BinaryOp::Atan2 => f64::atan2,
        _ => |_, _| f64::NAN,
    }
}

fn compare(op: BinaryOp, left: f64, right: f64) -> bool {
    match op {
        BinaryOp::Equal => left == right,
        BinaryOp::NotEqual => left != right,
        BinaryOp::Greater => left > right,
        BinaryOp::Less => left < right,
        BinaryOp::GreaterEqual => left >= right,
        BinaryOp::LessEqual => left <= right,
        _ => false,
    }
}

fn is_trim(op: BinaryOp) -> bool {
    matches!(op, BinaryOp::TrimUpper | BinaryOp::TrimLower)
}

/// What an operator makes of two elements.
enum Element {
    Float(f64),
    Histogram(Arc<FloatHistogram>),
    /// A comparison that does not hold.
    Filtered,
    /// The operator does not know these types.
    Nothing,
}

fn element(op: BinaryOp, left: Value<'_>, right: Value<'_>, notes: &mut BinaryNotes) -> Element {
    match (left, right) {
        (Value::Float(a), Value::Float(b)) => {
            if op.is_comparison() {
                return if compare(op, a, b) { Element::Float(a) } else { Element::Filtered };
            }
            if is_trim(op) {
                notes.types[0][0] = true;
                return Element::Nothing;
            }
            Element::Float(arithmetic(op)(a, b))
        }
        (Value::Float(factor), Value::Histogram(h)) if op == BinaryOp::Mul => scaled(h, |h| h.scale(factor)),
        (Value::Float(_), Value::Histogram(_)) => {
            notes.types[0][1] = true;
            Element::Nothing
        }
        (Value::Histogram(h), Value::Float(number)) => match op {
            BinaryOp::Mul => scaled(h, |h| h.scale(number)),
            BinaryOp::Div => scaled(h, |h| h.divide(number)),
            BinaryOp::TrimUpper | BinaryOp::TrimLower => {
                let mut h = FloatHistogram::clone(h);
                h.trim(number, op == BinaryOp::TrimUpper);
                Element::Histogram(Arc::new(h))
            }
            _ => {
                notes.types[1][0] = true;
                Element::Nothing
            }
        },
        (Value::Histogram(a), Value::Histogram(b)) => match op {
            BinaryOp::Add | BinaryOp::Sub => histogram_sum(op, a, b, notes),
            BinaryOp::Equal | BinaryOp::NotEqual => {
                if a.same_data(b) == (op == BinaryOp::Equal) {
                    Element::Histogram(a.clone())
                } else {
                    Element::Filtered
                }
            }
            _ => {
                notes.types[1][1] = true;
                Element::Nothing
            }
        },
    }
}

fn scaled(h: &Arc<FloatHistogram>, change: impl Fn(&mut FloatHistogram)) -> Element {
    let mut h = FloatHistogram::clone(h);
    change(&mut h);
    h.compact();
    Element::Histogram(Arc::new(h))
}

fn histogram_sum(op: BinaryOp, a: &FloatHistogram, b: &FloatHistogram, notes: &mut BinaryNotes) -> Element {
    let mut sum = a.clone();
    let outcome = if op == BinaryOp::Add { sum.add(b) } else { sum.sub(b) };
    let Ok(outcome) = outcome else {
        notes.incompatible_layout = true;
        return Element::Nothing;
    };
    notes.reset_collision |= outcome.reset_collision;
    notes.bounds_reconciled |= outcome.bounds_reconciled;
    if op == BinaryOp::Sub {
        sum.reset_hint = ResetHint::Gauge;
    }
    sum.compact();
    Element::Histogram(Arc::new(sum))
}

/// Applies `left op right` in place to every float of a column, whichever side it is; the other side comes per step.
fn floats_in_place(
    op: BinaryOp,
    return_bool: bool,
    floats: &mut [f64],
    other: impl Fn(usize) -> f64,
    column_is_left: bool,
    keep_column_value: bool,
) {
    use super::ABSENT;
    if op.is_comparison() {
        for (step, value) in floats.iter_mut().enumerate() {
            let other = other(step);
            if is_absent(*value) || is_absent(other) {
                *value = ABSENT;
                continue;
            }
            let (left, right) = if column_is_left { (*value, other) } else { (other, *value) };
            let holds = compare(op, left, right);
            *value = match (return_bool, holds) {
                (true, _) => f64::from(u8::from(holds)),
                (false, true) => {
                    if keep_column_value {
                        *value
                    } else {
                        left
                    }
                }
                (false, false) => ABSENT,
            };
        }
        return;
    }
    // Each operator gets a loop of its own: the calls vanish and the compiler sees plain arithmetic.
    macro_rules! run {
        ($f:expr) => {
            for (step, value) in floats.iter_mut().enumerate() {
                let other = other(step);
                let f = $f;
                let result = if column_is_left { f(*value, other) } else { f(other, *value) };
                *value = if is_absent(*value) || is_absent(other) { ABSENT } else { result };
            }
        };
    }
    match op {
        BinaryOp::Add => run!(|a: f64, b: f64| a + b),
        BinaryOp::Sub => run!(|a: f64, b: f64| a - b),
        BinaryOp::Mul => run!(|a: f64, b: f64| a * b),
        BinaryOp::Div => run!(|a: f64, b: f64| a / b),
        _ => run!(arithmetic(op)),
    }
}

/// Applies an operator between a column and a number per step, in place. Returns whether a value is left.
pub fn with_scalar(
    op: BinaryOp,
    column: &mut Column,
    number: &Scalars,
    number_is_left: bool,
    return_bool: bool,
    notes: &mut BinaryNotes,
) -> bool {
    if is_trim(op) || column.has_histograms() {
        return mixed_with_scalar(op, column, number, number_is_left, return_bool, notes);
    }
    match number {
        Scalars::Constant(number) => {
            floats_in_place(op, return_bool, &mut column.floats, |_| *number, !number_is_left, true);
        }
        Scalars::Steps(numbers) => {
            floats_in_place(op, return_bool, &mut column.floats, |step| numbers[step], !number_is_left, true);
        }
    }
    column.floats.iter().any(|v| !is_absent(*v))
}

fn mixed_with_scalar(
    op: BinaryOp,
    column: &mut Column,
    number: &Scalars,
    number_is_left: bool,
    return_bool: bool,
    notes: &mut BinaryNotes,
) -> bool {
    let mut any = false;
    for step in 0..column.len() {
        let Some(value) = column.get(step) else { continue };
        let other = Value::Float(number.get(step));
        let own = match &value {
            Value::Float(v) => Element::Float(*v),
            Value::Histogram(h) => Element::Histogram(Arc::clone(h)),
        };
        let result = if number_is_left { element(op, other, value, notes) } else { element(op, value, other, notes) };
        // A comparison keeps the vector's value even when the number stands on the left.
        let result = match result {
            Element::Float(_) | Element::Histogram(_) if op.is_comparison() && !return_bool => own,
            Element::Float(_) | Element::Histogram(_) if op.is_comparison() => Element::Float(1.0),
            Element::Filtered if return_bool => Element::Float(0.0),
            other => other,
        };
        any |= put(column, step, result);
    }
    any
}

fn put(column: &mut Column, step: usize, element: Element) -> bool {
    column.remove(step);
    match element {
        Element::Float(value) => column.floats[step] = value,
        Element::Histogram(histogram) => column.set_histogram(step, histogram),
        Element::Filtered | Element::Nothing => return false,
    }
    true
}

/// How two vectors are joined.
pub struct Join<'a> {
    /// The operator.
    pub op: BinaryOp,
    /// How series find each other.
    pub matching: &'a Matching,
    /// 0 and 1 instead of filtering.
    pub return_bool: bool,
    /// Whether names are removed at the end of the query only.
    pub delayed_names: bool,
    /// Number of steps.
    pub steps: usize,
}

impl Join<'_> {
    /// Applies the operator to two vectors.
    ///
    /// # Errors
    /// When the join is ambiguous.
    pub fn combine(
        &self,
        left: Vec<Series>,
        right: Vec<Series>,
        notes: &mut BinaryNotes,
    ) -> Result<Vec<Series>, QueryError> {
        let swapped = self.matching.cardinality == Cardinality::OneToMany;
        let groups = MatchGroups::new(&left, &right, self.matching);
        let (many, one, many_groups, one_groups) =
            if swapped { (right, left, groups.right, groups.left) } else { (left, right, groups.left, groups.right) };
        let any_many = self.any_present(&many);
        let (many_at, many_order) = MatchGroups::by_group(&many_groups, groups.count);
        let (one_at, one_order) = MatchGroups::by_group(&one_groups, groups.count);
        let mut work = JoinWork { join: self, many, one, swapped, any_many, notes, out: Vec::new() };
        for group in 0..groups.count {
            let many = &many_order[many_at[group]..many_at[group + 1]];
            let one = &one_order[one_at[group]..one_at[group + 1]];
            work.group(many, one)?;
        }
        Ok(work.out)
    }

    fn any_present(&self, series: &[Series]) -> Vec<bool> {
        let mut any = vec![false; self.steps];
        for s in series {
            for (step, any) in any.iter_mut().enumerate() {
                *any = *any || s.column.is_present(step);
            }
        }
        any
    }

    /// Whether a step has an element even without a partner on one side.
    fn fills(&self) -> bool {
        self.matching.fill_left.is_some() || self.matching.fill_right.is_some()
    }

    /// Labels of a result from those of its elements.
    fn result_labels(&self, many: &Labels, one: &Labels) -> Labels {
        let matching = self.matching;
        let drop_name = self.op.changes_meaning() || (self.return_bool && !self.delayed_names);
        let one_to_one = matching.cardinality == Cardinality::OneToOne;
        let gone = |name: &str| {
            (drop_name && is_metadata_label(name))
                || (one_to_one && matching.labels.iter().any(|l| l == name) != matching.on)
        };
        let labels = many.without(gone);
        if matching.include.is_empty() {
            return labels;
        }
        let mut builder: LabelsBuilder = labels.to_builder();
        for name in &matching.include {
            builder.set(name, one.value(name));
        }
        builder.build()
    }
}

struct JoinWork<'a> {
    join: &'a Join<'a>,
    /// The side that may have several series in a group.
    many: Vec<Series>,
    one: Vec<Series>,
    /// Whether the many side is the right one.
    swapped: bool,
    /// Steps at which the many side has an element at all.
    any_many: Vec<bool>,
    notes: &'a mut BinaryNotes,
    out: Vec<Series>,
}

impl JoinWork<'_> {
    fn group(&mut self, many: &[usize], one: &[usize]) -> Result<(), QueryError> {
        if one.len() > 1 {
            self.check_one_side(one)?;
        }
        let fills = self.join.fills();
        if let ([many], [one], false) = (many, one, fills) {
            self.pair_alone(*many, *one);
            return Ok(());
        }
        if (many.is_empty() || one.is_empty()) && !fills {
            return Ok(());
        }
        if let ([one], false) = (one, fills || self.join.matching.cardinality == Cardinality::OneToOne) {
            // Several on one side, told apart by their labels: one after the other.
            let labels = |index: &usize| self.join.result_labels(&self.many[*index].labels, &self.one[*one].labels);
            let distinct: crate::hash::HashSet<Labels> = many.iter().map(labels).collect();
            if distinct.len() == many.len() {
                many.iter().for_each(|many| self.pair_alone(*many, *one));
                return Ok(());
            }
        }
        self.group_by_step(many, one)
    }

    /// One series on each side: in place.
    fn pair_alone(&mut self, many: usize, one: usize) {
        let one = &self.one[one];
        let many = &mut self.many[many];
        let labels = self.join.result_labels(&many.labels, &one.labels);
        let mut column = std::mem::take(&mut many.column);
        let (op, return_bool) = (self.join.op, self.join.return_bool);
        let any = if column.has_histograms() || one.column.has_histograms() || is_trim(op) {
            let mut any = false;
            for step in 0..column.len() {
                let result = match (column.get(step), one.column.get(step)) {
                    (Some(many), Some(one)) => {
                        let (left, right) = if self.swapped { (one, many) } else { (many, one) };
                        boolean(element(op, left, right, self.notes), return_bool)
                    }
                    _ => Element::Nothing,
                };
                any |= put(&mut column, step, result);
            }
            any
        } else {
            let other = &one.column.floats;
            floats_in_place(op, return_bool, &mut column.floats, |step| other[step], !self.swapped, false);
            column.floats.iter().any(|v| !is_absent(*v))
        };
        if any {
            self.out.push(Series { labels, drop_name: return_bool, column });
        }
    }

    /// On the side that has to be unique no two series of a group may have a value at one step.
    fn check_one_side(&self, one: &[usize]) -> Result<(), QueryError> {
        let mut holder: Vec<Option<usize>> = vec![None; self.join.steps];
        for index in one {
            let series = &self.one[*index];
            for (step, holder) in holder.iter_mut().enumerate() {
                if !series.column.is_present(step) || !(self.any_many[step] || self.join.fills()) {
                    continue;
                }
                let Some(other) = holder.replace(*index) else { continue };
                let group = label_set(&match_labels(&series.labels, self.join.matching));
                let side = if self.swapped { "left" } else { "right" };
                let mut both = [label_set(&series.labels), label_set(&self.one[other].labels)];
                both.sort_unstable();
                return Err(QueryError::Execution(format!(
                    "found duplicate series for the match group {group} on the {side} hand-side of the operation: [{}, {}];many-to-many matching not allowed: matching labels must be unique on one side",
                    both[0], both[1]
                )));
            }
        }
        Ok(())
    }

    /// Several series on a side, or fill values: step by step.
    fn group_by_step(&mut self, many: &[usize], one: &[usize]) -> Result<(), QueryError> {
        let mut results = GroupResults::new(self.join);
        let matching = self.join.matching;
        // Fill values keep their names when the sides are swapped: "right" fills for the unique side.
        let (fill_one, fill_many) = (matching.fill_right, matching.fill_left);
        for step in 0..self.join.steps {
            let partner = one.iter().find(|index| self.one[**index].column.is_present(step));
            let mut matched = false;
            for index in many {
                let series = &self.many[*index];
                let Some(many_value) = series.column.get(step) else { continue };
                let (one_value, one_labels) = match (partner, fill_one) {
                    (Some(partner), _) => {
                        let partner = &self.one[*partner];
                        let Some(value) = partner.column.get(step) else { continue };
                        (value, partner.labels.clone())
                    }
                    (None, Some(fill)) => (Value::Float(fill), match_labels(&series.labels, matching)),
                    (None, None) => continue,
                };
                let (left, right) = if self.swapped { (one_value, many_value) } else { (many_value, one_value) };
                let result = element(self.join.op, left, right, self.notes);
                let result = boolean(result, self.join.return_bool);
                matched |= results.put(&series.labels, &one_labels, step, result, matched)?;
            }
            if let (Some(partner), Some(fill), false) = (partner, fill_many, matched) {
                let partner = &self.one[*partner];
                let Some(one_value) = partner.column.get(step) else { continue };
                let many_labels = match_labels(&partner.labels, matching);
                let fill = Value::Float(fill);
                let (left, right) = if self.swapped { (one_value, fill) } else { (fill, one_value) };
                let result = boolean(element(self.join.op, left, right, self.notes), self.join.return_bool);
                results.put(&many_labels, &partner.labels, step, result, false)?;
            }
        }
        self.out.extend(results.out.into_iter().filter(|s| !s.series.column.is_void()).map(|s| s.series));
        Ok(())
    }
}

/// The results of one match group; different groups have different labels.
struct GroupResults<'a> {
    join: &'a Join<'a>,
    by_labels: HashMap<Labels, usize>,
    /// By the labels of both elements, so that result labels are built once.
    by_pair: HashMap<(Labels, Labels), usize>,
    out: Vec<GroupResult>,
}

struct GroupResult {
    series: Series,
    /// Step of the last match, whether it was kept or filtered.
    matched: Option<usize>,
}

impl<'a> GroupResults<'a> {
    fn new(join: &'a Join<'a>) -> Self {
        Self { join, by_labels: HashMap::default(), by_pair: HashMap::default(), out: Vec::new() }
    }

    /// Notes the result of a pair at a step; false when the operator does not know the types.
    fn put(
        &mut self,
        many: &Labels,
        one: &Labels,
        step: usize,
        element: Element,
        matched_before: bool,
    ) -> Result<bool, QueryError> {
        if matches!(element, Element::Nothing) {
            return Ok(false);
        }
        let at = *self.by_pair.entry((many.clone(), one.clone())).or_insert_with(|| {
            let labels = self.join.result_labels(many, one);
            *self.by_labels.entry(labels.clone()).or_insert_with(|| {
                let column = Column::absent(self.join.steps);
                let series = Series { labels, drop_name: self.join.return_bool, column };
                self.out.push(GroupResult { series, matched: None });
                self.out.len() - 1
            })
        });
        let one_to_one = self.join.matching.cardinality == Cardinality::OneToOne;
        if one_to_one && matched_before {
            return Err(QueryError::Execution(
                "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
                    .to_owned(),
            ));
        }
        let result = &mut self.out[at];
        if result.matched == Some(step) {
            return Err(QueryError::Execution(
                "multiple matches for labels: grouping labels must ensure unique matches".to_owned(),
            ));
        }
        result.matched = Some(step);
        put(&mut result.series.column, step, element);
        Ok(true)
    }
}

/// With `bool` a comparison gives 1 or 0.
fn boolean(element: Element, return_bool: bool) -> Element {
    match element {
        Element::Float(_) | Element::Histogram(_) if return_bool => Element::Float(1.0),
        Element::Filtered if return_bool => Element::Float(0.0),
        other => other,
    }
}

/// Negates all values of a column in place.
pub fn negate(column: &mut Column) {
    for value in column.floats.iter_mut().filter(|v| !is_absent(**v)) {
        *value = -*value;
    }
    for slot in column.histograms.iter_mut() {
        if let Some(histogram) = slot {
            let mut negative = FloatHistogram::clone(histogram);
            negative.scale(-1.0);
            *slot = Some(Arc::new(negative));
        }
    }
}
