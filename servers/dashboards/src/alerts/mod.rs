//! Alerting: TEMPORARY
use crate::app::Shared;
use crate::error::ApiError;
use crate::metrics::Metrics;
use crate::settings::Settings;
use crate::store::StoreError;
use std::path::Path;
pub(crate) mod api {
    pub(crate) fn routes(r: crate::api::Routes) -> crate::api::Routes {
        r
    }
}
pub(crate) mod expressions {
    use serde_json::{Map, Value};
    pub(crate) fn is_expression(_m: &Map<String, Value>) -> bool {
        false
    }
    pub(crate) async fn evaluate_queries(
        _a: &crate::app::Shared,
        _q: &[Map<String, Value>],
        _r: (i64, i64),
    ) -> Result<std::collections::BTreeMap<String, Value>, crate::error::ApiError> {
        Ok(Default::default())
    }
}
pub(crate) struct Alerts {}
impl Alerts {
    pub(crate) fn open(_d: &Path, _p: &Path, _s: &Settings, _now: i64) -> Result<Self, StoreError> {
        Ok(Self {})
    }
    pub(crate) fn set_gauges(&self, _m: &Metrics) {}
    pub(crate) fn rule_count(&self) -> usize {
        0
    }
    pub(crate) async fn reload(&self, _a: &Shared) -> Vec<String> {
        vec![]
    }
    pub(crate) async fn close(&self, _a: &Shared) {}
    pub(crate) fn rules_in_folders(&self, _f: &[String]) -> Vec<String> {
        vec![]
    }
    pub(crate) async fn delete_rules(&self, _a: &Shared, _r: &[String]) -> Result<(), ApiError> {
        Ok(())
    }
    pub(crate) fn annotations(
        &self,
        _f: &crate::annotations::Filter,
        _r: Option<&str>,
        _l: usize,
    ) -> Vec<serde_json::Value> {
        vec![]
    }
}
pub(crate) async fn run(_a: &Shared) {}
