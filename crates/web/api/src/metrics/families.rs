//! Metric families, built from counts that are kept elsewhere.

use prometheus::TextEncoder;
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};

/// A metric's value. Prometheus knows floating-point numbers only.
#[derive(Clone, Copy)]
pub(super) struct Value(f64);

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self(value)
    }
}

impl From<u64> for Value {
    /// Exact up to 2^53.
    #[allow(clippy::cast_precision_loss)]
    fn from(count: u64) -> Self {
        Self(count as f64)
    }
}

impl From<u32> for Value {
    fn from(count: u32) -> Self {
        Self(count.into())
    }
}

impl From<bool> for Value {
    fn from(holds: bool) -> Self {
        Self(u8::from(holds).into())
    }
}

/// Families in the order in which they are shown.
#[derive(Default)]
pub(super) struct Families(Vec<MetricFamily>);

impl Families {
    /// A value that can fall.
    pub(super) fn gauge(&mut self, name: &str, help: &str, value: impl Into<Value>) {
        let metric = gauge(value.into());
        self.add(MetricType::GAUGE, name, help, vec![metric]);
    }

    /// A value that only grows while its part of the system runs.
    pub(super) fn counter(&mut self, name: &str, help: &str, value: impl Into<Value>) {
        let metric = counter(value.into());
        self.add(MetricType::COUNTER, name, help, vec![metric]);
    }

    /// A gauge for each value of a label.
    pub(super) fn gauges<'a, V: Into<Value>>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (&'a str, V)>,
    ) {
        let values = values.into_iter();
        let metrics = values.map(|(named, value)| labelled(gauge(value.into()), label, named));
        self.add(MetricType::GAUGE, name, help, metrics.collect());
    }

    /// A counter for each value of a label.
    pub(super) fn counters<'a, V: Into<Value>>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (&'a str, V)>,
    ) {
        let values = values.into_iter();
        let metrics = values.map(|(named, value)| labelled(counter(value.into()), label, named));
        self.add(MetricType::COUNTER, name, help, metrics.collect());
    }

    /// A family without a metric says nothing, and is left out.
    fn add(&mut self, kind: MetricType, name: &str, help: &str, metrics: Vec<Metric>) {
        if metrics.is_empty() {
            return;
        }
        let mut family = MetricFamily::default();
        family.set_name(name.to_owned());
        family.set_help(help.to_owned());
        family.set_field_type(kind);
        family.set_metric(metrics);
        self.0.push(family);
    }

    /// The text exposition.
    pub(super) fn text(&self) -> String {
        TextEncoder::new()
            .encode_to_string(&self.0)
            .expect("every family has a name and a metric, and a String takes what is written")
    }
}

fn gauge(value: Value) -> Metric {
    let mut gauge = Gauge::default();
    gauge.set_value(value.0);
    let mut metric = Metric::default();
    metric.set_gauge(gauge);
    metric
}

fn counter(value: Value) -> Metric {
    let mut counter = Counter::default();
    counter.set_value(value.0);
    let mut metric = Metric::default();
    metric.set_counter(counter);
    metric
}

fn labelled(mut metric: Metric, label: &str, value: &str) -> Metric {
    let mut pair = LabelPair::default();
    pair.set_name(label.to_owned());
    pair.set_value(value.to_owned());
    metric.set_label(vec![pair]);
    metric
}
