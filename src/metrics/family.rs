//! One metric family: its samples as text.

use std::io;

use crate::clock::Timestamp;
use crate::metrics::lines::{self, Line};
use crate::metrics::page::PartWriter;
use crate::status;

/// A family under construction.
pub(super) struct Family {
    name: &'static str,
    /// What stands before the first sample.
    header: Vec<u8>,
    /// The samples that are not written yet.
    samples: Vec<u8>,
}

/// A family of gauges.
pub(super) fn gauge(name: &'static str, help: &str) -> Family {
    Family::new(name, help, "gauge")
}

/// A family of counters.
pub(super) fn counter(name: &'static str, help: &str) -> Family {
    Family::new(name, help, "counter")
}

/// A family of histograms.
pub(super) fn histogram(name: &'static str, help: &str) -> Family {
    Family::new(name, help, "histogram")
}

impl Family {
    fn new(name: &'static str, help: &str, kind: &str) -> Self {
        Self { name, header: lines::header(name, help, kind), samples: Vec::new() }
    }

    /// Adds a sample with these labels.
    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: f64) {
        self.series("", labels).value(value);
    }

    /// Begins a sample that gets its labels one by one.
    pub(super) fn line(&mut self) -> Line<'_> {
        Line::begin(&mut self.samples, self.name, "")
    }

    /// Adds a histogram with these labels.
    pub(super) fn distribution(&mut self, labels: &[(&str, &str)], of: &status::Histogram) {
        let mut below = 0;
        for (bound, count) in status::STAGE_BUCKETS.iter().zip(of.buckets) {
            below += count;
            self.series("_bucket", labels).label("le", &bound.to_string()).value(number(below));
        }
        let count = number(of.count());
        self.series("_bucket", labels).label("le", "+Inf").value(count);
        self.series("_sum", labels).value(of.sum);
        self.series("_count", labels).value(count);
    }

    fn series(&mut self, suffix: &str, labels: &[(&str, &str)]) -> Line<'_> {
        let line = Line::begin(&mut self.samples, self.name, suffix);
        labels.iter().fold(line, |line, (name, value)| line.label(name, value))
    }

    /// Writes what has come since the last time; a family without samples leaves nothing behind.
    pub(super) fn write(&mut self, out: &mut PartWriter) -> io::Result<()> {
        if self.samples.is_empty() {
            return Ok(());
        }
        out.write(&std::mem::take(&mut self.header))?;
        out.write(&self.samples)?;
        self.samples.clear();
        Ok(())
    }
}

/// Seconds since the epoch, to the millisecond.
pub(super) fn seconds(at: Timestamp) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds stay below 2^52 for 140,000 years")]
    let millis = at.timestamp_millis() as f64;
    millis / 1000.0
}

/// The same, with 0 for never.
pub(super) fn seconds_or_zero(at: Option<Timestamp>) -> f64 {
    at.map_or(0.0, seconds)
}

/// 0 or 1.
pub(super) fn flag(on: bool) -> f64 {
    f64::from(u8::from(on))
}

/// A count as Prometheus has it.
#[expect(
    clippy::cast_precision_loss,
    reason = "a count above 2^52 is out of reach; Prometheus has no other type"
)]
pub(super) fn number(count: impl TryInto<u64>) -> f64 {
    count.try_into().unwrap_or(u64::MAX) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::TextEncoder;
    use prometheus::proto::{self, LabelPair, Metric, MetricFamily, MetricType};
    use proptest::prelude::*;

    /// What the crate `prometheus` makes of it.
    fn reference(help: &str, kind: MetricType, samples: Vec<Metric>) -> String {
        let mut family = MetricFamily::default();
        family.set_name("some_name".to_owned());
        family.set_help(help.to_owned());
        family.set_field_type(kind);
        family.set_metric(samples);
        TextEncoder::new().encode_to_string(&[family]).unwrap()
    }

    fn metric(labels: &[(&str, &str)]) -> Metric {
        let pair = |(name, value): &(&str, &str)| {
            let mut pair = LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value((*value).to_owned());
            pair
        };
        Metric::from_label(labels.iter().map(pair).collect())
    }

    fn of_gauge(labels: &[(&str, &str)], value: f64) -> Metric {
        let (mut metric, mut gauge) = (metric(labels), proto::Gauge::default());
        gauge.set_value(value);
        metric.set_gauge(gauge);
        metric
    }

    fn of_counter(labels: &[(&str, &str)], value: f64) -> Metric {
        let (mut metric, mut counter) = (metric(labels), proto::Counter::default());
        counter.set_value(value);
        metric.set_counter(counter);
        metric
    }

    fn of_histogram(labels: &[(&str, &str)], of: &status::Histogram) -> Metric {
        let mut histogram = proto::Histogram::default();
        let buckets = status::STAGE_BUCKETS.iter().enumerate().map(|(at, bound)| {
            let mut bucket = proto::Bucket::default();
            bucket.set_upper_bound(*bound);
            bucket.set_cumulative_count(of.buckets[..=at].iter().sum());
            bucket
        });
        histogram.set_bucket(buckets.collect());
        histogram.set_sample_count(of.count());
        histogram.set_sample_sum(of.sum);
        let mut metric = metric(labels);
        metric.set_histogram(histogram);
        metric
    }

    fn text(family: &Family) -> String {
        String::from_utf8([family.header.as_slice(), &family.samples].concat()).unwrap()
    }

    /// Texts with much in them that is escaped.
    fn raw() -> impl Strategy<Value = String> {
        prop_oneof![any::<String>(), r#"[\\"\n a-dé…]{0,12}"#]
    }

    #[expect(clippy::cast_precision_loss, reason = "these are any numbers")]
    fn value() -> impl Strategy<Value = f64> {
        const SPECIAL: [f64; 8] =
            [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0, f64::MAX, f64::MIN_POSITIVE, 5e-324];
        prop_oneof![
            prop::sample::select(&SPECIAL[..]),
            any::<u64>().prop_map(f64::from_bits),
            any::<i64>().prop_map(|whole| whole as f64),
            (0..3_000_u32).prop_map(f64::from),
            any::<i64>().prop_map(|thousandths| thousandths as f64 / 1000.0),
            // Now, and around the longest that is written without a search.
            (0..4_000_000_000_000_u64).prop_map(|millis| millis as f64 / 1000.0),
            (999_999_999_990_000..1_000_000_000_010_000_u64).prop_map(|millis| millis as f64 / 1000.0),
            // A neighbour of a decimal that is short.
            (0..4_000_000_000_000_u64, -2..3_i64).prop_map(|(millis, off)| {
                f64::from_bits((millis as f64 / 1000.0).to_bits().saturating_add_signed(off))
            }),
            (0..10_000_000_000_u64).prop_map(|micros| micros as f64 / 1_000_000.0),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn a_family_is_written_as_the_reference_writes_it(
            // No family is without a help text; the reference would leave out its line.
            help in raw().prop_filter("a help text", |help| !help.is_empty()),
            samples in prop::collection::vec((raw(), raw(), value()), 1..4),
        ) {
            let (mut gauge, mut counter) = (gauge("some_name", &help), counter("some_name", &help));
            let (mut gauges, mut counters) = (Vec::new(), Vec::new());
            for (device, version, value) in &samples {
                let (device, version) = (device.as_str(), version.as_str());
                for labels in [&[][..], &[("device", device)], &[("device", device), ("version", version)]] {
                    gauge.sample(labels, *value);
                    gauges.push(of_gauge(labels, *value));
                }
                let known = lines::Label::new("device", device);
                counter.line().known(&known).value(*value);
                counters.push(of_counter(&[("device", device)], *value));
                counter.line().known(&known).label("version", version).value(*value);
                counters.push(of_counter(&[("device", device), ("version", version)], *value));
            }
            prop_assert_eq!(text(&gauge), reference(&help, MetricType::GAUGE, gauges));
            prop_assert_eq!(text(&counter), reference(&help, MetricType::COUNTER, counters));
        }

        #[test]
        fn a_histogram_is_written_as_the_reference_writes_it(
            stage in raw(), buckets in any::<[u32; 13]>(), sum in value(),
        ) {
            let of = status::Histogram { buckets: buckets.map(u64::from), sum };
            let mut family = histogram("some_name", "help");
            let mut histograms = Vec::new();
            for labels in [&[][..], &[("stage", stage.as_str())]] {
                family.distribution(labels, &of);
                histograms.push(of_histogram(labels, &of));
            }
            prop_assert_eq!(text(&family), reference("help", MetricType::HISTOGRAM, histograms));
        }
    }
}
