//! How far a build is: which of how many steps, how many crates of how many, what it waits for, and for
//! about how long yet.

use std::time::{Duration, Instant};

use crate::costs::Costs;
use crate::screen::Screen;

/// How often a log file has a line.
const LOG_PACE: Duration = Duration::from_secs(30);

/// Nothing is said of the time that is left before so much of it is known.
const ESTIMATE_AFTER: Duration = Duration::from_secs(20);

/// An estimate begins with what two cores would take for so much, so that the first crates, which may be
/// many small ones or one that takes minutes, do not make it all by themselves.
const ASSUMED_COST: f64 = 60.0;
const ASSUMED_TIME: Duration = Duration::from_secs(40);

/// The steps of one command.
#[derive(Debug)]
pub(crate) struct Steps<'a> {
    screen: &'a Screen,
    of: usize,
    begun: usize,
}

impl<'a> Steps<'a> {
    pub(crate) fn new(screen: &'a Screen, of: usize) -> Self {
        let begun = 0;
        Self { screen, of, begun }
    }

    /// The next step, in which crates cost what `costs` says.
    pub(crate) fn next(&mut self, name: &str, costs: Costs) -> Step<'a> {
        let step = Step {
            screen: self.screen,
            label: self.label(name),
            meter: Meter::new(costs, Instant::now()),
            shown: None,
        };
        step.screen.status(&step.label);
        step
    }

    /// The next step, of which no more is known than its name.
    pub(crate) fn announce(&mut self, name: &str) {
        let label = self.label(name);
        self.screen.message(&label);
    }

    fn label(&mut self, name: &str) -> String {
        self.begun += 1;
        format!("step {} of {}, {name}", self.begun, self.of)
    }
}

/// A step of which cargo tells how far it is.
#[derive(Debug)]
pub(crate) struct Step<'a> {
    screen: &'a Screen,
    label: String,
    meter: Meter,
    shown: Option<Instant>,
}

impl Step<'_> {
    /// Takes a library or program that cargo has built, or found to be built already.
    pub(crate) fn built(&mut self, target: &str, was_there: bool) {
        self.meter.built(target, was_there);
    }

    /// Takes a line that cargo wrote to its standard error.
    pub(crate) fn said(&mut self, line: &str) {
        let plain = anstream::adapter::strip_str(line).to_string();
        match Said::read(&plain) {
            Said::Nothing => {}
            // Shown at once in a log file too: until it is over, nothing happens.
            Said::Waits { for_what } => {
                self.meter.waits(for_what, Instant::now());
                self.show_now();
            }
            Said::Progress { done, of, now } => {
                self.meter.progress(done, of, now, Instant::now());
            }
            Said::Other => {
                self.screen.clear();
                eprintln!("{line}");
            }
        }
    }

    /// Shows how far it is, if that is due.
    pub(crate) fn show(&mut self) {
        let pace = self.screen.pace(LOG_PACE);
        if self.shown.is_none_or(|shown| shown.elapsed() >= pace) {
            self.show_now();
        }
    }

    fn show_now(&mut self) {
        self.shown = Some(Instant::now());
        let text = self.meter.text(Instant::now());
        self.screen.status(&format!("{}: {text}", self.label));
    }

    /// Says that it is over.
    pub(crate) fn done(self) {
        let took = self.meter.begun.elapsed().as_secs();
        let built = self.meter.built;
        let text = match built {
            0 => "nothing to build".to_owned(),
            _ => format!("{built} crates built in {}", Spell(took)),
        };
        self.screen.message(&format!("{}: {text}", self.label));
    }
}

/// What a line of cargo's standard error is about.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    /// What the status says better.
    Nothing,
    Waits {
        for_what: String,
    },
    Progress {
        done: usize,
        of: usize,
        now: String,
    },
    /// An error or a warning, which is for the user to read.
    Other,
}

impl Said {
    /// Reads a line without colours. Cargo's words are for people; where they change, more of them are
    /// shown, and nothing else depends on them.
    fn read(line: &str) -> Self {
        let line = line.trim();
        let (first, rest) = line.split_once(' ').unwrap_or((line, ""));
        match first {
            "Blocking" => {
                let what = rest.trim().trim_start_matches("waiting for file lock on ");
                Self::Waits {
                    for_what: format!("another cargo ({what})"),
                }
            }
            "Building" => Self::progress(rest).unwrap_or(Self::Nothing),
            "Downloading" | "Updating" => Self::Waits {
                for_what: "crates to be downloaded".to_owned(),
            },
            "" | "Compiling" | "Checking" | "Downloaded" | "Finished" | "Fresh" | "Dirty"
            | "Locking" | "Adding" | "Removing" | "Running" => Self::Nothing,
            _ => Self::Other,
        }
    }

    /// Reads `[==>    ] 3/7: serde, tokio(build)`.
    fn progress(text: &str) -> Option<Self> {
        let (_bar, text) = text.split_once(']')?;
        let (count, now) = text.split_once(':').unwrap_or((text, ""));
        let (done, of) = count.trim().split_once('/')?;
        Some(Self::Progress {
            done: done.parse().ok()?,
            of: of.parse().ok()?,
            now: now.trim().to_owned(),
        })
    }
}

/// Counts crates, and estimates by what they cost.
#[derive(Debug)]
struct Meter {
    costs: Costs,
    begun: Instant,
    done: usize,
    of: usize,
    now: String,
    /// What it waits for and since when.
    waiting: Option<(String, Instant)>,
    waited: Duration,
    /// How many were compiled, and what they cost.
    built: usize,
    spent: f64,
    /// What those cost that are not there yet and cost much, and how many they are.
    costly_left: f64,
    costly_count: usize,
}

impl Meter {
    fn new(costs: Costs, begun: Instant) -> Self {
        Self {
            begun,
            done: 0,
            of: 0,
            now: String::new(),
            waiting: None,
            waited: Duration::ZERO,
            built: 0,
            spent: 0.0,
            costly_left: costs.costly().sum(),
            costly_count: costs.costly().count(),
            costs,
        }
    }

    fn built(&mut self, target: &str, was_there: bool) {
        let costly = self.costs.of_costly(target);
        if let Some(cost) = costly {
            self.costly_left = (self.costly_left - cost).max(0.0);
            self.costly_count = self.costly_count.saturating_sub(1);
        }
        if !was_there {
            self.built += 1;
            self.spent += costly.unwrap_or(Costs::USUAL);
        }
    }

    fn waits(&mut self, for_what: String, now: Instant) {
        self.goes_on(now);
        self.waiting = Some((for_what, now));
    }

    fn goes_on(&mut self, now: Instant) {
        if let Some((_, since)) = self.waiting.take() {
            self.waited += now.duration_since(since);
        }
    }

    fn progress(&mut self, done: usize, of: usize, crates: String, now: Instant) {
        self.goes_on(now);
        (self.done, self.of, self.now) = (done, of, crates);
    }

    /// The time left, as far as it can be told.
    fn left(&self, now: Instant) -> Option<Duration> {
        let busy = now.duration_since(self.begun).saturating_sub(self.waited);
        if busy < ESTIMATE_AFTER {
            return None;
        }
        let usual = self.of.saturating_sub(self.done + self.costly_count);
        let cost = self.costly_left + usual as f64 * Costs::USUAL + self.costs.afterwards();
        Some((busy + ASSUMED_TIME).mul_f64(cost / (self.spent + ASSUMED_COST)))
    }

    fn text(&self, now: Instant) -> String {
        if let Some((for_what, since)) = &self.waiting {
            let seconds = now.duration_since(*since).as_secs();
            return format!("waits {} for {for_what}", Spell(seconds));
        }
        if self.of == 0 {
            return "looks for what is to be built".to_owned();
        }
        let left = match self.left(now) {
            Some(left) => format!("about {} left", Spell(left.as_secs())),
            None => format!("{} so far", Spell(now.duration_since(self.begun).as_secs())),
        };
        // What matters least is last, where a narrow terminal ends.
        format!("{} of {} crates, {left}; {}", self.done, self.of, self.now)
    }
}

/// Seconds as one says them.
struct Spell(u64);

impl std::fmt::Display for Spell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            0..=99 => write!(f, "{} s", self.0),
            100.. => write!(f, "{} min", (self.0 + 30) / 60),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COSTS: Costs = Costs::new(&[("wasmtime", 60.0), ("tantivy", 40.0)], 20.0);

    #[test]
    fn cargo_s_own_count_is_read() {
        let line = "    Building [=====>         ] 213/640: wasmtime, tokio(build)     ";
        let progress = Said::Progress {
            done: 213,
            of: 640,
            now: "wasmtime, tokio(build)".to_owned(),
        };
        assert_eq!(Said::read(line), progress);
        assert_eq!(Said::read("   Compiling wasmtime v38.0.4"), Said::Nothing);
        assert_eq!(Said::read("error: linking with `cc` failed"), Said::Other);
    }

    #[test]
    fn a_build_that_waits_for_another_one_says_so_and_since_when() {
        let Said::Waits { for_what } =
            Said::read("    Blocking waiting for file lock on build directory")
        else {
            panic!("not understood");
        };
        let start = Instant::now();
        let mut meter = Meter::new(COSTS, start);
        meter.waits(for_what, start);
        assert_eq!(
            meter.text(start + Duration::from_secs(12)),
            "waits 12 s for another cargo (build directory)"
        );
        let later = start + Duration::from_secs(200);
        meter.progress(1, 10, "tokio".to_owned(), later);
        assert_eq!(meter.waited, Duration::from_secs(200));
    }

    #[test]
    fn the_time_left_goes_by_what_crates_cost() {
        let start = Instant::now();
        let mut meter = Meter::new(COSTS, start);
        // A minute for wasmtime, and 40 s assumed for as much, so 50 s for tantivy and what comes after it.
        meter.built("wasmtime", false);
        meter.built("serde", true);
        let now = start + Duration::from_secs(60);
        meter.progress(2, 3, "tantivy".to_owned(), now);
        assert_eq!(meter.left(now), Some(Duration::from_secs(50)));
        let text = meter.text(now);
        assert_eq!(text, "2 of 3 crates, about 50 s left; tantivy");
    }

    #[test]
    fn a_crate_that_takes_minutes_does_not_make_hours_of_the_rest() {
        let start = Instant::now();
        let mut meter = Meter::new(COSTS, start);
        meter.built("serde", false);
        let now = start + Duration::from_secs(180);
        meter.progress(1, 3, "wasmtime".to_owned(), now);
        let left = meter.left(now).map(|left| left.as_secs());
        assert!(left.is_some_and(|left| left < 600), "{left:?}");
    }

    #[test]
    fn nothing_is_promised_before_anything_is_known() {
        let start = Instant::now();
        let mut meter = Meter::new(COSTS, start);
        let now = start + Duration::from_secs(5);
        assert_eq!(meter.text(now), "looks for what is to be built");
        meter.built("serde", false);
        meter.progress(1, 3, "wasmtime".to_owned(), now);
        assert_eq!(meter.text(now), "1 of 3 crates, 5 s so far; wasmtime");
    }
}
