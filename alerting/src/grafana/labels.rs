//! Names of the labels and annotations that Grafana's rules put on their alerts.

/// Id of the rule; a label.
pub const RULE_UID: &str = "__alert_rule_uid__";
/// Id of the rule's folder; a label.
pub const FOLDER_UID: &str = "__alert_rule_namespace_uid__";
/// Title of the rule's folder; a label.
pub const FOLDER: &str = "grafana_folder";
/// Name of the rule, on alerts about missing data and errors; a label.
pub const RULE_NAME: &str = "rulename";
/// Id of the data source, on alerts about missing data and errors; a label.
pub const DATASOURCE_UID: &str = "datasource_uid";
/// Ref ids of the queries without data; a label.
pub const REF_ID: &str = "ref_id";
/// Id of the dashboard that belongs to the rule; an annotation.
pub const DASHBOARD_UID: &str = "__dashboardUid__";
/// Id of the panel that belongs to the rule; an annotation.
pub const PANEL_ID: &str = "__panelId__";
/// Id of the organisation; an annotation.
pub const ORG_ID: &str = "__orgId__";
/// Values of the rule's expressions as JSON; an annotation.
pub const VALUES: &str = "__values__";
/// Values of the rule's expressions as text; an annotation.
pub const VALUE_STRING: &str = "__value_string__";
/// Address of a picture; an annotation.
pub const IMAGE_URL: &str = "__alert_image_url__";
/// Why the state is not what the evaluation says; an annotation.
pub const STATE_REASON: &str = "grafana_state_reason";
