//! What a metric is: its name, what it counts, its labels. Each module has a table of its own ones.

/// One metric, as a row of the catalogue.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its name in Prometheus' form.
    pub name: &'static str,
    /// How its values are to be read.
    pub kind: MetricKind,
    /// What one of it is.
    pub unit: MetricUnit,
    /// Labels that each of its series has, in the order in which values are kept.
    pub labels: &'static [&'static str],
    /// Labels that only some of its series have.
    pub other_labels: &'static [&'static str],
    /// What it tells, in one line.
    pub help: &'static str,
    /// Whether its count goes on where it was after a restart.
    pub lasts: bool,
}

/// How the values of a metric are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// Whole numbers that only grow.
    Counter,
    /// Numbers with a fraction that only grow.
    FractionCounter,
    /// The value now.
    Gauge,
    /// How many observations fell into which range.
    Histogram(Buckets),
}

impl MetricKind {
    /// The word for it in Prometheus' text form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter | Self::FractionCounter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

/// What one of a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricUnit {
    /// Things, or a number that says something else.
    Count,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
}

/// The ranges of a histogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Buckets {
    /// From 1 us to 1 s: work without any wait.
    Work,
    /// From 0.1 ms to 100 s.
    Seconds,
    /// From 1 ms to 3 days: what may take or lie for long.
    Ages,
    /// From 1 to 256 things.
    Counts,
    /// From 1 to 67 million tokens.
    Tokens,
}

impl Buckets {
    /// The upper bounds of the ranges, ascending.
    pub const fn bounds(self) -> &'static [f64] {
        match self {
            Self::Work => &[
                0.000_001,
                0.000_002_5,
                0.000_005,
                0.000_01,
                0.000_025,
                0.000_05,
                0.000_1,
                0.001,
                0.01,
                0.1,
                1.0,
            ],
            Self::Seconds => &[
                0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 100.0,
            ],
            Self::Ages => &[
                0.001, 0.01, 0.1, 1.0, 5.0, 30.0, 120.0, 600.0, 3600.0, 21_600.0, 86_400.0,
                259_200.0,
            ],
            Self::Counts => &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0],
            Self::Tokens => &[
                1.0,
                4.0,
                16.0,
                64.0,
                256.0,
                1024.0,
                4096.0,
                16_384.0,
                65_536.0,
                262_144.0,
                1_048_576.0,
                4_194_304.0,
                16_777_216.0,
                67_108_864.0,
            ],
        }
    }
}

impl Metric {
    /// A counter of whole numbers.
    pub const fn counter(
        name: &'static str,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        Self::new(name, MetricKind::Counter, labels, help)
    }

    /// A gauge.
    pub const fn gauge(
        name: &'static str,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        Self::new(name, MetricKind::Gauge, labels, help)
    }

    /// A histogram of times, from 0.1 ms to 100 s.
    pub const fn seconds(
        name: &'static str,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        Self::histogram(name, Buckets::Seconds, labels, help).unit(MetricUnit::Seconds)
    }

    /// A histogram of counts.
    pub const fn histogram(
        name: &'static str,
        buckets: Buckets,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        Self::new(name, MetricKind::Histogram(buckets), labels, help)
    }

    /// A metric of any kind; counts things, with no further labels, from 0 after a restart.
    pub const fn new(
        name: &'static str,
        kind: MetricKind,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        Self {
            name,
            kind,
            unit: MetricUnit::Count,
            labels,
            other_labels: &[],
            help,
            lasts: false,
        }
    }

    /// The same with its unit.
    pub const fn unit(self, unit: MetricUnit) -> Self {
        Self { unit, ..self }
    }

    /// The same with labels that only some series have.
    pub const fn sometimes(self, other_labels: &'static [&'static str]) -> Self {
        Self {
            other_labels,
            ..self
        }
    }

    /// The same, kept by the store over restarts.
    pub const fn lasting(self) -> Self {
        Self {
            lasts: true,
            ..self
        }
    }

    /// The names of its series as a query uses them.
    pub fn series(&self) -> Vec<String> {
        match self.kind {
            MetricKind::Histogram(_) => ["bucket", "sum", "count"]
                .map(|part| format!("{}_{part}", self.name))
                .into(),
            MetricKind::Counter | MetricKind::FractionCounter | MetricKind::Gauge => {
                vec![self.name.to_owned()]
            }
        }
    }
}
