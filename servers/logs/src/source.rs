//! What a query reads: the store of a tenant, nothing at all, or the stores of several tenants as one.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::{
    Direction, LabelQuery, Labels, LogColumns, LogSelect, LogSelection, LogSource, LogUnit, Matcher, SourceError,
};

use crate::tenants::Tenant;

/// Label that names the tenant of a stream in a query of several.
pub const TENANT_LABEL: &str = "__tenant_id__";
/// What such a label of the stream itself is called then.
const ORIGINAL_LABEL: &str = "original___tenant_id__";

/// Tenants that one query reads; those nobody pushed to are left out.
#[derive(Clone)]
pub struct Tenancy {
    tenants: Vec<Arc<Tenant>>,
    /// The request named several.
    several: bool,
}

impl Tenancy {
    /// The stores of the tenants that a request names.
    pub fn new(tenants: Vec<Arc<Tenant>>, several: bool) -> Self {
        Self { tenants, several }
    }

    /// The tenants that have a store.
    pub fn tenants(&self) -> &[Arc<Tenant>] {
        &self.tenants
    }

    /// Calls `work` with the source.
    pub fn with<T>(&self, work: impl FnOnce(&dyn LogSource) -> T) -> T {
        match self.tenants.as_slice() {
            [one] if !self.several => work(&*one.db),
            tenants => work(&Many(tenants)),
        }
    }
}

/// Several stores as one; their streams bear the tenant's name.
struct Many<'t>(&'t [Arc<Tenant>]);

impl<'t> Many<'t> {
    /// Tenants that satisfy the matchers on their name, and the other matchers.
    fn split(&self, matchers: &[Matcher]) -> (impl Iterator<Item = &'t Arc<Tenant>>, Vec<Matcher>) {
        let (of_tenant, others): (Vec<Matcher>, Vec<Matcher>) =
            matchers.iter().cloned().partition(|m| m.name() == TENANT_LABEL);
        let tenants = self.0.iter().filter(move |tenant| of_tenant.iter().all(|m| m.matches(&tenant.id)));
        let others = others
            .into_iter()
            .map(|m| match m.name() {
                // What the stream calls so itself is asked for under another name.
                ORIGINAL_LABEL => Matcher::new(m.op(), TENANT_LABEL, m.value()).unwrap_or(m),
                _ => m,
            })
            .collect();
        (tenants, others)
    }

    fn each(
        &self,
        query: &LabelQuery,
        mut visit: impl FnMut(&Tenant, &LabelQuery) -> Result<(), SourceError>,
    ) -> Result<(), SourceError> {
        if query.selectors.is_empty() {
            return self.0.iter().try_for_each(|tenant| visit(tenant, query));
        }
        for tenant in self.0 {
            let selectors = query.selectors.iter().filter_map(|matchers| {
                let (mut fitting, others) = self.split(matchers);
                fitting.any(|one| one.id == tenant.id).then_some(others)
            });
            let selectors: Vec<Vec<Matcher>> = selectors.collect();
            if !selectors.is_empty() {
                visit(tenant, &LabelQuery { selectors, ..query.clone() })?;
            }
        }
        Ok(())
    }
}

/// Labels of a stream with the tenant's name.
fn labelled(labels: &Labels, tenant: &str) -> Labels {
    let mut builder = labels.to_builder();
    if let Some(own) = labels.get(TENANT_LABEL) {
        builder.set(ORIGINAL_LABEL, own);
    }
    builder.set(TENANT_LABEL, tenant);
    builder.build()
}

fn limited<T>(found: BTreeSet<T>, limit: usize) -> Vec<T> {
    found.into_iter().take(if limit == 0 { usize::MAX } else { limit }).collect()
}

impl LogSource for Many<'_> {
    fn select<'a>(&'a self, request: &LogSelect) -> Result<Box<dyn LogSelection + 'a>, SourceError> {
        let (tenants, matchers) = self.split(&request.matchers);
        let request = LogSelect { matchers, ..request.clone() };
        let mut all = ManySelection { parts: Vec::new(), streams: Vec::new(), units: Vec::new(), places: Vec::new() };
        let mut found: Vec<(LogUnit, (usize, usize))> = Vec::new();
        for tenant in tenants {
            let part = tenant.db.select(&request)?;
            let first = all.streams.len() as u32;
            all.streams.extend(part.streams().iter().map(|labels| labelled(labels, &tenant.id)));
            let units = part.units().iter().enumerate();
            found.extend(
                units.map(|(index, unit)| (LogUnit { stream: unit.stream + first, ..*unit }, (all.parts.len(), index))),
            );
            all.parts.push(part);
        }
        match request.direction {
            Direction::Forward => found.sort_by_key(|(unit, _)| unit.min_ns),
            Direction::Backward => found.sort_by_key(|(unit, _)| std::cmp::Reverse(unit.max_ns)),
        }
        (all.units, all.places) = found.into_iter().unzip();
        Ok(Box::new(all))
    }

    fn label_names(&self, query: &LabelQuery) -> Result<Vec<String>, SourceError> {
        let mut names = BTreeSet::new();
        self.each(query, |tenant, query| {
            let own = tenant.db.label_names(query)?;
            if !own.is_empty() {
                names.insert(TENANT_LABEL.to_owned());
            }
            names.extend(
                own.into_iter().map(|name| if name == TENANT_LABEL { ORIGINAL_LABEL.to_owned() } else { name }),
            );
            Ok(())
        })?;
        Ok(limited(names, query.limit))
    }

    fn label_values(&self, name: &str, query: &LabelQuery) -> Result<Vec<String>, SourceError> {
        let mut values = BTreeSet::new();
        self.each(query, |tenant, query| {
            match name {
                TENANT_LABEL => {
                    values.insert(tenant.id.clone());
                }
                ORIGINAL_LABEL => values.extend(tenant.db.label_values(TENANT_LABEL, query)?),
                _ => values.extend(tenant.db.label_values(name, query)?),
            }
            Ok(())
        })?;
        Ok(limited(values, query.limit))
    }

    fn series(&self, query: &LabelQuery) -> Result<Vec<Labels>, SourceError> {
        let mut found = BTreeSet::new();
        self.each(query, |tenant, query| {
            found.extend(tenant.db.series(query)?.iter().map(|labels| labelled(labels, &tenant.id)));
            Ok(())
        })?;
        Ok(limited(found, query.limit))
    }
}

struct ManySelection<'a> {
    parts: Vec<Box<dyn LogSelection + 'a>>,
    streams: Vec<Labels>,
    units: Vec<LogUnit>,
    /// Part and index in it of each unit.
    places: Vec<(usize, usize)>,
}

impl LogSelection for ManySelection<'_> {
    fn streams(&self) -> &[Labels] {
        &self.streams
    }

    fn units(&self) -> &[LogUnit] {
        &self.units
    }

    fn read(&self, index: usize, out: &mut LogColumns) -> Result<(), SourceError> {
        match self.places.get(index) {
            Some((part, index)) => self.parts[*part].read(*index, out),
            None => {
                out.clear();
                Ok(())
            }
        }
    }

    fn read_between(&self, index: usize, start_ns: i64, end_ns: i64, out: &mut LogColumns) -> Result<(), SourceError> {
        match self.places.get(index) {
            Some((part, index)) => self.parts[*part].read_between(*index, start_ns, end_ns, out),
            None => {
                out.clear();
                Ok(())
            }
        }
    }

    fn counts(&self, index: usize, edges_ns: &[i64], out: &mut Vec<u64>) -> bool {
        self.places.get(index).is_some_and(|(part, index)| self.parts[*part].counts(*index, edges_ns, out))
    }

    fn has_metadata(&self, index: usize) -> bool {
        self.places.get(index).is_some_and(|(part, index)| self.parts[*part].has_metadata(*index))
    }

    fn warnings(&self) -> Vec<String> {
        self.parts.iter().flat_map(|part| part.warnings()).collect()
    }
}
