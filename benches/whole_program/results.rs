//! What was measured, cell by cell, and the one value that stands for several rounds.

use serde::Serialize;

use crate::options::Pick;

/// A number that a cell gives.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Metric {
    /// Requests a second.
    Rps,
    /// Median latency. Unit: ms.
    P50Ms,
    /// 99th percentile of latency. Unit: ms.
    P99Ms,
    /// Server CPU time a request, its whole process tree. Unit: µs.
    CpuUs,
    /// Peak memory of the process tree. Unit: MiB.
    PeakMb,
    /// Memory one second after the first answer. Unit: MiB.
    IdleMb,
    /// From the start of the process to the first 2xx answer. Unit: ms.
    StartMs,
    /// From the last answer until all accepted messages were in the inbox. Unit: ms.
    LagMs,
    /// From the request to the first event of a stream. Unit: ms.
    FirstByteMs,
    /// 99th percentile of the time from backend to client, event by event. Unit: ms.
    EventDelayP99Ms,
    /// Longest time between two events of one stream, as they arrived. Unit: ms.
    LongestGapMs,
    /// From the request to the first instruction of the turn's program, median. Unit: ms.
    ToStartMs,
    /// From the last output of the turn's program to the answer, median. Unit: ms.
    ToAnswerMs,
    /// The turn's program run by hand, median. Unit: ms.
    ByHandMs,
    /// Median latency of a turn without [`Self::ByHandMs`]. Unit: ms.
    OverheadMs,
    /// One answer of `/metrics` under load, median. Unit: ms.
    ScrapeMs,
    /// Requests in the cell.
    Requests,
}

impl Metric {
    fn more_is_better(self) -> bool {
        matches!(self, Self::Rps | Self::Requests)
    }
}

/// Which cell of the tables a measurement belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Place {
    /// `start`, `accept`, `sustained`, `batches`, `relay`, `stream`, `turn`, `bridge`,
    /// `events`, `streams`, `messages` or `scrape`.
    pub(crate) part: &'static str,
    /// What was measured, as tables name it.
    pub(crate) subject: &'static str,
    /// `small`, `big`, `stream`, `tiny`, `held`, `in`, `out`, `alone` or `scraped`.
    pub(crate) body: &'static str,
    /// Clients at once.
    pub(crate) clients: u32,
}

/// One run of one cell.
#[derive(Serialize)]
pub(crate) struct Cell {
    /// Where it belongs.
    #[serde(flatten)]
    pub(crate) place: Place,
    /// Counted from 1.
    pub(crate) round: u32,
    /// Its values.
    pub(crate) values: Vec<(Metric, f64)>,
    /// What went wrong; a cell with a problem has no say in any ratio.
    pub(crate) problem: Option<String>,
}

/// All cells of a run.
#[derive(Default)]
pub(crate) struct Results {
    /// In the order in which they ran.
    pub(crate) cells: Vec<Cell>,
}

impl Results {
    /// The value that stands for all rounds of a cell; `None` where a round had a problem.
    pub(crate) fn value(&self, place: Place, metric: Metric, pick: Pick) -> Option<f64> {
        let cells: Vec<&Cell> = self
            .cells
            .iter()
            .filter(|cell| cell.place == place)
            .collect();
        if cells.iter().any(|cell| cell.problem.is_some()) {
            return None;
        }
        let all = cells.iter().flat_map(|cell| &cell.values);
        let mut values: Vec<f64> = all
            .filter(|(kind, _)| *kind == metric)
            .map(|(_, value)| *value)
            .collect();
        values.sort_by(f64::total_cmp);
        match pick {
            Pick::Median => median(&values),
            Pick::Best if metric.more_is_better() => values.last().copied(),
            Pick::Best => values.first().copied(),
        }
    }

    /// The better value of those `subjects` that were measured.
    pub(crate) fn best(
        &self,
        subjects: &[&'static str],
        place: Place,
        metric: Metric,
        pick: Pick,
    ) -> Option<f64> {
        let values = subjects.iter();
        let values =
            values.filter_map(|subject| self.value(Place { subject, ..place }, metric, pick));
        if metric.more_is_better() {
            values.max_by(f64::total_cmp)
        } else {
            values.min_by(f64::total_cmp)
        }
    }

    /// What went wrong, cell by cell.
    pub(crate) fn problems(&self) -> Vec<String> {
        let told = |cell: &Cell| {
            let Place {
                part,
                subject,
                body,
                clients,
            } = cell.place;
            let problem = cell.problem.as_ref()?;
            Some(format!(
                "{part} {body} c={clients} round {}: {subject}: {problem}",
                cell.round
            ))
        };
        self.cells.iter().filter_map(told).collect()
    }
}

fn median(sorted: &[f64]) -> Option<f64> {
    let upper = sorted.get(sorted.len() / 2)?;
    let lower = sorted.get((sorted.len() - 1) / 2)?;
    Some(f64::midpoint(*lower, *upper))
}
