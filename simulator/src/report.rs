//! What the simulator tells while it runs, and in the end.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use fieldledger_simulator::{Counts, Simulation};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use tokio::time::interval;

/// Time between two status reports to a terminal or a machine.
const EVERY: Duration = Duration::from_secs(1);

/// Time between two status lines in a log file.
const EVERY_IN_A_LOG: Duration = Duration::from_secs(10);

/// How the status is shown.
enum Output {
    /// One JSON object per line on standard output.
    Json,
    /// A line on standard error that changes.
    Terminal(ProgressBar),
    /// A line on standard error now and then.
    Log,
}

/// One report for machines.
#[derive(Serialize)]
struct Report<'a> {
    /// `status` or `summary`.
    kind: &'static str,
    /// Seconds since the start.
    elapsed: f64,
    sensors: u32,
    seed: u64,
    boot: &'a str,
    /// Answers per second: since the last report, in the summary since the start.
    answers_per_second: f64,
    #[serde(flatten)]
    counts: Counts,
}

/// Shows how the simulation goes.
pub(crate) struct Reporter {
    output: Output,
    started: Instant,
}

impl Reporter {
    pub(crate) fn new(json: bool) -> Self {
        let output = if json {
            Output::Json
        } else if io::stderr().is_terminal() {
            let line = ProgressBar::new_spinner();
            // The template is a constant, and correct.
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
                line.set_style(style);
            }
            Output::Terminal(line)
        } else {
            Output::Log
        };
        Self {
            output,
            started: Instant::now(),
        }
    }

    /// Reports until dropped.
    ///
    /// # Errors
    /// Standard output is closed, as when `| head` has seen enough.
    pub(crate) async fn run(&self, simulation: &Simulation) -> io::Result<()> {
        let mut ticks = interval(match self.output {
            Output::Json | Output::Terminal(_) => EVERY,
            Output::Log => EVERY_IN_A_LOG,
        });
        ticks.tick().await;
        let mut last = (self.started, 0);
        loop {
            ticks.tick().await;
            let now = Instant::now();
            let counts = simulation.counts();
            let rate = rate(counts.answers - last.1, now - last.0);
            last = (now, counts.answers);
            match &self.output {
                Output::Json => self.write_json("status", simulation, counts, rate)?,
                Output::Terminal(line) => {
                    line.set_message(status_line(simulation, &counts, rate));
                    line.tick();
                }
                Output::Log => eprintln!("{}", status_line(simulation, &counts, rate)),
            }
        }
    }

    /// Reports in the end.
    ///
    /// # Errors
    /// Standard output is closed.
    pub(crate) fn finish(&self, simulation: &Simulation) -> io::Result<()> {
        let counts = simulation.counts();
        let elapsed = self.started.elapsed();
        let rate = rate(counts.answers, elapsed);
        match &self.output {
            Output::Json => return self.write_json("summary", simulation, counts, rate),
            Output::Terminal(line) => line.finish_and_clear(),
            Output::Log => {}
        }
        let summary = summary(simulation, &counts, rate, elapsed);
        io::stdout().write_all(summary.as_bytes())
    }

    fn write_json(
        &self,
        kind: &'static str,
        simulation: &Simulation,
        counts: Counts,
        answers_per_second: f64,
    ) -> io::Result<()> {
        let settings = simulation.settings();
        let report = Report {
            kind,
            elapsed: self.started.elapsed().as_secs_f64(),
            sensors: settings.sensors,
            seed: settings.seed,
            boot: &settings.boot,
            answers_per_second,
            counts,
        };
        let mut line = serde_json::to_vec(&report)?;
        line.push(b'\n');
        io::stdout().write_all(&line)
    }
}

fn rate(answers: u64, time: Duration) -> f64 {
    if time.is_zero() {
        return 0.0;
    }
    answers as f64 / time.as_secs_f64()
}

fn status_line(simulation: &Simulation, counts: &Counts, rate: f64) -> String {
    let sensors = simulation.settings().sensors;
    let answers = counts.answers;
    let mut line = format!("{sensors} sensors · {answers} answers · {rate:.0}/s");
    for (name, count) in faults(counts) {
        if count > 0 {
            line += &format!(" · {count} {name}");
        }
    }
    line
}

fn summary(simulation: &Simulation, counts: &Counts, rate: f64, elapsed: Duration) -> String {
    let settings = simulation.settings();
    let mut text = format!(
        "{} sensors, seed {}, boot {}, {:.1} s\n",
        settings.sensors,
        settings.seed,
        settings.boot,
        elapsed.as_secs_f64()
    );
    let mut row = |name: &str, value: String| text += &format!("  {name:<22}{value:>12}\n");
    row("heartbeats", counts.heartbeats.to_string());
    row("polls heard", counts.polls.to_string());
    row("answers", counts.answers.to_string());
    row("answers per second", format!("{rate:.1}"));
    for (name, count) in faults(counts) {
        row(name, count.to_string());
    }
    text
}

/// What went wrong, on purpose and not.
fn faults(counts: &Counts) -> [(&'static str, u64); 9] {
    [
        ("dropped", counts.dropped),
        ("late", counts.late),
        ("garbage", counts.garbage),
        ("out of range", counts.out_of_range),
        ("polled while off", counts.off),
        ("polled beyond limit", counts.beyond_limit),
        ("polls for others", counts.foreign),
        ("reconnects", counts.reconnects),
        ("messages overrun", counts.overruns),
    ]
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use fieldledger_simulator::Settings;

    use super::*;

    #[test]
    fn the_status_names_only_faults_that_happened() {
        let simulation = Simulation::new(Settings::default()).unwrap();
        let counts = Counts {
            answers: 7,
            late: 2,
            ..Counts::default()
        };
        assert_eq!(
            status_line(&simulation, &counts, 3.4),
            "40 sensors · 7 answers · 3/s · 2 late"
        );
    }

    #[test]
    fn the_summary_names_everything() {
        let simulation = Simulation::new(Settings::default()).unwrap();
        let text = summary(&simulation, &Counts::default(), 0.0, Duration::ZERO);
        assert_eq!(text.lines().count(), 14);
    }
}
