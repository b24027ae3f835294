//! Grafana-managed alert rules: model, expressions, states, provisioning files.
//!
//! A host reads rules ([`GrafanaRule`], [`ProvisioningFile`]), prepares them ([`GrafanaRule::prepare`]) and at each slot of
//! a group calls [`evaluate`] with the answers of its data sources ([`expr::QuerySource`]), then [`RuleState::process`]
//! with the outcome: it gives the alerts to put into the [`crate::notify::Notifier`] and the events of the state history.
//! Recording rules end with [`recorded`] instead. Rules: Grafana documentation, "Alerting", and its behaviour in version 13.

mod eval;
pub mod expr;
pub mod labels;
mod provisioning;
mod record;
mod rule;
mod state;
mod template;
mod value;

pub use eval::{Capture, EvalError, Evaluation, InstanceResult, NoDataSource, Values, evaluate};
pub use provisioning::{FileGroup, FilePolicy, FileTemplate, ProvisioningFile, notifier_config};
pub use record::recorded;
pub use rule::{
    BASE_INTERVAL_MS, ExecErrState, GrafanaRule, GrafanaRuleError, GrafanaRuleProblem, MISSING_SERIES_EVALS,
    NoDataState, NotificationSettings, PreparedRule, Record, RelativeTimeRange, RulePlace, RuleQuery,
};
pub use state::{
    Core, Health, HistoryEvent, Instance, Outcome, Processed, RuleContext, RuleState, State, Timing, end, reason, step,
};
pub use template::GrafanaExpander;
pub use value::{EvalMatch, Number, Point, Series, Value};
