//! The targets, and how far a run reached them.

use serde::Serialize;

use crate::options::Pick;
use crate::results::{Metric, Place, Results};

const PREDECESSOR: [&str; 2] = ["predecessor, 1 worker", "predecessor, 2 workers"];
const LIMIT: [&str; 1] = ["limit (journal + file)"];
const NGINX: [&str; 1] = ["nginx"];

/// One target and what was reached.
#[derive(Serialize)]
pub(crate) struct Target {
    /// Its number.
    pub(crate) id: &'static str,
    /// What is compared with what.
    pub(crate) what: String,
    /// What must be reached.
    pub(crate) required: f64,
    /// What is aimed at.
    pub(crate) aim: f64,
    /// More is better; otherwise less is.
    pub(crate) at_least: bool,
    /// What was reached; `None`: not measured in this run.
    pub(crate) reached: Option<f64>,
    /// Only told: no verdict of this run hangs on it.
    pub(crate) information: bool,
}

impl Target {
    /// Whether what is required was reached; `None`: not measured.
    pub(crate) fn passed(&self) -> Option<bool> {
        self.reached
            .map(|reached| self.meets(reached, self.required))
    }

    /// Whether the aim was reached too.
    pub(crate) fn aim_reached(&self) -> bool {
        self.reached
            .is_some_and(|reached| self.meets(reached, self.aim))
    }

    fn meets(&self, reached: f64, wanted: f64) -> bool {
        if self.at_least {
            reached >= wanted
        } else {
            reached <= wanted
        }
    }
}

struct Judge<'a> {
    results: &'a Results,
    pick: Pick,
    targets: Vec<Target>,
}

/// All targets that this benchmark knows, in order.
pub(crate) fn judge(results: &Results, pick: Pick) -> Vec<Target> {
    let mut judge = Judge {
        results,
        pick,
        targets: Vec::new(),
    };
    judge.accept();
    judge.sustained();
    judge.latency();
    judge.footprint();
    judge.relay();
    judge.bridge();
    judge.cpu();
    judge.turns();
    judge.scrape();
    judge.targets
}

fn place(part: &'static str, body: &'static str, clients: u32) -> Place {
    Place {
        part,
        subject: "Postroom",
        body,
        clients,
    }
}

impl Judge<'_> {
    fn accept(&mut self) {
        let small = [(1, 3.0, 5.0), (16, 8.0, 30.0), (64, 10.0, 50.0)];
        let big = [(1, 2.0, 3.5), (16, 3.0, 20.0), (64, 4.0, 30.0)];
        for (id, body, rows) in [("T1", "small", small), ("T2", "big", big)] {
            for (clients, required, aim) in rows {
                let reached = self.ratio(place("accept", body, clients), &PREDECESSOR, Metric::Rps);
                let what = format!("accept {body} c={clients}, rps / predecessor's best");
                self.add(id, what, (required, aim), true, reached);
            }
        }
    }

    fn sustained(&mut self) {
        for body in ["small", "big"] {
            for part in ["sustained", "batches"] {
                let here = place(part, body, 64);
                let rps = self.value(here, Metric::Rps);
                let against = |subjects: &[&'static str]| {
                    let there = place("sustained", body, 64);
                    let other = self.results.best(subjects, there, Metric::Rps, self.pick)?;
                    Some(rps? / other)
                };
                let (limit, predecessor) = (against(&LIMIT), against(&PREDECESSOR));
                let lag = self.value(here, Metric::LagMs);
                let what = |unit: &str| format!("{part} {body}, {unit}");
                self.add(
                    "T3",
                    what("rps / limit (journal + file)"),
                    (0.6, 0.9),
                    true,
                    limit,
                );
                self.add(
                    "T3",
                    what("rps / predecessor's best"),
                    (5.0, 15.0),
                    true,
                    predecessor,
                );
                self.add(
                    "T3",
                    what("inbox behind at the end, ms"),
                    (1e3, 1e3),
                    false,
                    lag,
                );
            }
        }
    }

    fn latency(&mut self) {
        for body in ["small", "big"] {
            let p50 = self.ratio(place("accept", body, 1), &PREDECESSOR, Metric::P50Ms);
            let p99 = self.ratio(place("accept", body, 16), &PREDECESSOR, Metric::P99Ms);
            let what = |unit: &str| format!("accept {body} {unit} / predecessor's best");
            self.add("T4", what("c=1, p50"), (0.4, 0.2), false, p50);
            self.add("T4", what("c=16, p99"), (0.25, 0.05), false, p99);
        }
    }

    fn footprint(&mut self) {
        let idle = self.value(place("start", "small", 1), Metric::IdleMb);
        let peak = self.value(place("accept", "big", 64), Metric::PeakMb);
        let start = self.value(place("start", "small", 1), Metric::StartMs);
        self.add("T5", "memory idle, MB".into(), (30.0, 12.0), false, idle);
        self.add(
            "T5",
            "peak memory, accept big c=64, MB".into(),
            (100.0, 50.0),
            false,
            peak,
        );
        self.add(
            "T5",
            "start to first 200, ms".into(),
            (100.0, 20.0),
            false,
            start,
        );
    }

    fn relay(&mut self) {
        let judged = self.targets.len();
        for (body, wanted) in [("small", (12.0, 22.0)), ("big", (10.0, 20.0))] {
            for clients in [1, 16, 64] {
                let reached = self.ratio(place("relay", body, clients), &PREDECESSOR, Metric::Rps);
                let what = format!("relay {body} c={clients}, rps / predecessor's best");
                self.add("T6", what, wanted, true, reached);
            }
        }
        for clients in [1, 16] {
            let here = place("stream", "stream", clients);
            let first = self.ratio(here, &NGINX, Metric::FirstByteMs);
            let late = self.value(here, Metric::EventDelayP99Ms);
            let what = |unit: &str| format!("stream c={clients}, {unit}");
            self.add("T7", what("first byte / nginx"), (1.5, 1.1), false, first);
            self.add(
                "T7",
                what("delay of an event p99, ms"),
                (2.0, 0.5),
                false,
                late,
            );
        }
        self.only_told_from(judged);
    }

    fn bridge(&mut self) {
        for body in ["small", "big"] {
            for clients in [1, 16, 64] {
                let here = place("bridge", body, clients);
                let rps = self.ratio(here, &NGINX, Metric::Rps);
                let added = self.added_p50(here);
                let what = |unit: &str| format!("bridge {body} c={clients}, {unit} / nginx");
                self.add("T6", what("rps"), (0.7, 0.95), true, rps);
                self.add("T6", what("added p50"), (3.0, 1.5), false, added);
            }
        }
        for clients in [1, 16] {
            let here = place("events", "stream", clients);
            let first = self.ratio(here, &NGINX, Metric::FirstByteMs);
            let late = self.value(here, Metric::EventDelayP99Ms);
            let what = |unit: &str| format!("bridge, stream c={clients}, {unit}");
            self.add("T7", what("first byte / nginx"), (1.5, 1.1), false, first);
            self.add(
                "T7",
                what("delay of an event p99, ms"),
                (2.0, 0.5),
                false,
                late,
            );
        }
        let here = place("streams", "stream", 512);
        let gap = self.value(here, Metric::LongestGapMs);
        let peak = self.value(here, Metric::PeakMb);
        let what = |unit: &str| format!("bridge, 512 streams, {unit}");
        self.add("T8", what("longest gap, ms"), (100.0, 40.0), false, gap);
        self.add("T8", what("peak memory, MB"), (150.0, 60.0), false, peak);
    }

    /// What the bridge adds to the way without anything between, by what nginx adds.
    fn added_p50(&self, here: Place) -> Option<f64> {
        let p50 = |subject| self.value(Place { subject, ..here }, Metric::P50Ms);
        let direct = p50("direct")?;
        let nginx = p50("nginx")? - direct;
        Some((p50("Postroom")? - direct) / nginx)
    }

    fn cpu(&mut self) {
        let judged = self.targets.len();
        for (body, wanted) in [("small", (0.15, 0.08)), ("big", (0.25, 0.12))] {
            let reached = self.ratio(place("accept", body, 16), &PREDECESSOR, Metric::CpuUs);
            let what = format!("accept {body} c=16, server CPU a request / predecessor's best");
            self.add("T9", what, wanted, false, reached);
        }
        self.only_told_from(judged);
    }

    fn turns(&mut self) {
        let alone = place("turn", "tiny", 1);
        let overhead = self.value(alone, Metric::OverheadMs);
        let what = "turn c=1, p50 less the same program by hand, ms";
        self.add("T10", what.into(), (15.0, 3.0), false, overhead);
        let to_start = self.value(alone, Metric::ToStartMs);
        let to_answer = self.value(alone, Metric::ToAnswerMs);
        let around = to_start
            .zip(to_answer)
            .map(|(before, after)| before + after);
        let judged = self.targets.len();
        let what = "turn c=1, to the program's start and from its end, ms";
        self.add("T10", what.into(), (15.0, 3.0), false, around);
        self.only_told_from(judged);
    }

    fn scrape(&mut self) {
        let alone = self.value(place("scrape", "alone", 64), Metric::Rps);
        let scraped = self.value(place("scrape", "scraped", 64), Metric::Rps);
        let reached = scraped.zip(alone).map(|(scraped, alone)| scraped / alone);
        let what = "accept small c=64, metrics read each second / not read, rps";
        self.add("T11", what.into(), (0.97, 0.99), true, reached);
    }

    fn only_told_from(&mut self, first: usize) {
        for target in self.targets.iter_mut().skip(first) {
            target.information = true;
        }
    }

    fn value(&self, place: Place, metric: Metric) -> Option<f64> {
        self.results.value(place, metric, self.pick)
    }

    fn ratio(&self, place: Place, others: &[&'static str], metric: Metric) -> Option<f64> {
        let other = self.results.best(others, place, metric, self.pick)?;
        Some(self.value(place, metric)? / other)
    }

    fn add(
        &mut self,
        id: &'static str,
        what: String,
        (required, aim): (f64, f64),
        at_least: bool,
        reached: Option<f64>,
    ) {
        let information = false;
        self.targets.push(Target {
            id,
            what,
            required,
            aim,
            at_least,
            reached,
            information,
        });
    }
}
