//! Kinds of the Prometheus Operator, which a cluster may lack, and the programs of others that read them.

use kube::core::{ApiResource, GroupVersionKind};

/// Kinds that a cluster may lack, and get or lose while Modelship runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OptionalKind {
    ServiceMonitor,
    PrometheusRule,
    AlertmanagerConfig,
    #[default]
    Prometheus,
    PrometheusAgent,
    ThanosRuler,
    Alertmanager,
}

impl OptionalKind {
    /// In the order in which those that are missing are named.
    pub const ALL: [Self; 7] = [
        Self::ServiceMonitor,
        Self::PrometheusRule,
        Self::Prometheus,
        Self::PrometheusAgent,
        Self::ThanosRuler,
        Self::AlertmanagerConfig,
        Self::Alertmanager,
    ];
    /// Those whose objects select others. Of two that want different labels the one that comes first here has its way.
    pub const PICKERS: [Self; 4] = [Self::Prometheus, Self::PrometheusAgent, Self::ThanosRuler, Self::Alertmanager];

    /// The kinds whose objects select those of this one, the one that every Prometheus Operator has first.
    pub fn pickers(self) -> &'static [Self] {
        match self {
            Self::ServiceMonitor => &[Self::Prometheus, Self::PrometheusAgent],
            Self::PrometheusRule => &[Self::Prometheus, Self::ThanosRuler],
            Self::AlertmanagerConfig => &[Self::Alertmanager],
            Self::Prometheus | Self::PrometheusAgent | Self::ThanosRuler | Self::Alertmanager => &[],
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::ServiceMonitor => "ServiceMonitor",
            Self::PrometheusRule => "PrometheusRule",
            Self::AlertmanagerConfig => "AlertmanagerConfig",
            Self::Prometheus => "Prometheus",
            Self::PrometheusAgent => "PrometheusAgent",
            Self::ThanosRuler => "ThanosRuler",
            Self::Alertmanager => "Alertmanager",
        }
    }

    pub fn plural(self) -> &'static str {
        match self {
            Self::ServiceMonitor => "servicemonitors",
            Self::PrometheusRule => "prometheusrules",
            Self::AlertmanagerConfig => "alertmanagerconfigs",
            Self::Prometheus => "prometheuses",
            Self::PrometheusAgent => "prometheusagents",
            Self::ThanosRuler => "thanosrulers",
            Self::Alertmanager => "alertmanagers",
        }
    }

    /// The name of its CustomResourceDefinition.
    pub fn definition(self) -> String {
        format!("{}.{GROUP}", self.plural())
    }

    pub fn api_resource(self) -> ApiResource {
        let version = match self {
            Self::AlertmanagerConfig | Self::PrometheusAgent => "v1alpha1",
            _ => "v1",
        };
        ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(GROUP, version, self.as_str()), self.plural())
    }
}

const GROUP: &str = "monitoring.coreos.com";

/// How a kind stands in this cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Presence {
    /// Not known yet.
    #[default]
    Unknown,
    /// Its CustomResourceDefinition is not installed.
    Missing,
    /// It is there, and its objects are known.
    Ready,
    /// It is there, and Modelship may not read it.
    Forbidden,
    /// It is there, and could not be read for another reason.
    Failing,
}

/// A program that reads objects of ours by means of its own. That it is installed shows in the names of its definitions; what it
/// makes of the objects, by selectors or a configuration of its own, does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reader {
    VictoriaMetrics,
    Alloy,
    OpenTelemetry,
}

impl Reader {
    pub const ALL: [Self; 3] = [Self::VictoriaMetrics, Self::Alloy, Self::OpenTelemetry];

    /// The names of CustomResourceDefinitions any of which shows that it is installed.
    pub fn definitions(self) -> &'static [&'static str] {
        match self {
            Self::VictoriaMetrics => &["vmservicescrapes.operator.victoriametrics.com"],
            // Those of Alloy's own chart and of the Alloy Operator.
            Self::Alloy => &["podlogs.monitoring.grafana.com", "alloys.collectors.grafana.com"],
            Self::OpenTelemetry => &["targetallocators.opentelemetry.io"],
        }
    }

    /// How it may read objects of that kind; `None`: it does not.
    pub fn reads(self, kind: OptionalKind) -> Option<&'static str> {
        match (self, kind) {
            (Self::VictoriaMetrics, OptionalKind::ServiceMonitor) => {
                Some("VictoriaMetrics' operator, which makes VMServiceScrapes of ServiceMonitors")
            }
            (Self::VictoriaMetrics, OptionalKind::PrometheusRule) => {
                Some("VictoriaMetrics' operator, which makes VMRules of PrometheusRules")
            }
            (Self::VictoriaMetrics, OptionalKind::AlertmanagerConfig) => {
                Some("VictoriaMetrics' operator, which makes VMAlertmanagerConfigs of AlertmanagerConfigs")
            }
            (Self::Alloy, OptionalKind::ServiceMonitor) => {
                Some("Grafana Alloy, by its component prometheus.operator.servicemonitors")
            }
            (Self::Alloy, OptionalKind::PrometheusRule) => {
                Some("Grafana Alloy, by its component mimir.rules.kubernetes")
            }
            (Self::Alloy, OptionalKind::AlertmanagerConfig) => {
                Some("Grafana Alloy, by its component mimir.alerts.kubernetes")
            }
            (Self::OpenTelemetry, OptionalKind::ServiceMonitor) => {
                Some("the OpenTelemetry Operator, by a target allocator with prometheusCR")
            }
            _ => None,
        }
    }
}
