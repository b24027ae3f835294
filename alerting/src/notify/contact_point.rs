//! Grafana's contact points.

/// placeholder
#[derive(Clone, Debug, PartialEq)]
pub struct GrafanaIntegration {}
impl GrafanaIntegration {
    /// name
    pub fn name(&self) -> &str {
        ""
    }
    /// x
    pub fn send_resolved(&self) -> bool {
        true
    }
}
