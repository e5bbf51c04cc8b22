//! Keeps a site running, and says how it does.

use std::time::{Duration, Instant};

use fieldledger_site::{Simulator, Site, SiteError, free_space};

use super::backoff::Backoff;
use super::metrics::{Api, Sample};
use crate::room;
use crate::screen::Screen;

/// How often it is looked whether a process has ended.
const LOOK: Duration = Duration::from_millis(500);

/// How often a log file has a line of the status.
const LOG_PACE: Duration = Duration::from_secs(10);

/// A running site whose processes are started again where they end.
#[derive(Debug)]
pub(super) struct Watch<'a> {
    site: Site,
    /// One for each site, in their order.
    simulators: Vec<Simulator>,
    /// `None` where the sites have no simulator.
    simulator_arguments: Option<Vec<String>>,
    api: Api,
    screen: &'a Screen,
    has_little_room: bool,
    backoff: Backoff,
}

impl<'a> Watch<'a> {
    pub(super) fn new(
        site: Site,
        api: Api,
        simulator_arguments: Option<Vec<String>>,
        screen: &'a Screen,
    ) -> Self {
        Self {
            site,
            simulators: Vec::new(),
            simulator_arguments,
            api,
            screen,
            has_little_room: false,
            backoff: Backoff::default(),
        }
    }

    /// Starts a simulator at each site, if they have any.
    pub(super) async fn start_simulators(&mut self) -> Result<(), SiteError> {
        for number in 0..=self.site.leaves.len() {
            if let Some(simulator) = self.simulator(number).await? {
                self.simulators.push(simulator);
            }
        }
        Ok(())
    }

    /// The simulator of a site, of which the first has the number 0. Its sensors are others than those
    /// of other sites.
    async fn simulator(&self, number: usize) -> Result<Option<Simulator>, SiteError> {
        let Some(arguments) = &self.simulator_arguments else {
            return Ok(None);
        };
        let seed = number.to_string();
        let mut arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        arguments.extend(["--seed", &seed]);
        let started = self
            .site
            .start_simulator_at(number, "simulator", &arguments);
        started.await.map(Some)
    }

    /// Watches forever.
    pub(super) async fn keep_running(&mut self) {
        let mut former: Option<Sample> = None;
        let mut status_due = Instant::now();
        let mut looks = tokio::time::interval(LOOK);
        loop {
            looks.tick().await;
            self.restart_what_ended().await;
            if Instant::now() < status_due {
                continue;
            }
            status_due = Instant::now() + self.screen.pace(LOG_PACE);
            let room = self.room();
            match self.api.sample().await {
                Some(sample) => {
                    let line = sample.line(former.as_ref());
                    self.screen.status(&format!("{room}{line}"));
                    former = Some(sample);
                }
                None => {
                    let line = "the API does not answer, or not completely";
                    self.screen.status(&format!("{room}{line}"));
                }
            }
        }
    }

    /// What the status says of the room on the disk: nothing while there is enough.
    fn room(&mut self) -> String {
        let state = self.site.state();
        let free = free_space(state).unwrap_or(u64::MAX);
        let is_little = free < room::LITTLE_FOR_SITE;
        if is_little && !self.has_little_room {
            self.screen.message(&format!(
                "the disk of {} has {} free; when it is full, nothing more is written to the log",
                state.display(),
                room::spell(free)
            ));
        }
        self.has_little_room = is_little;
        match is_little {
            true => format!("disk: {} free | ", room::spell(free)),
            false => String::new(),
        }
    }

    async fn restart_what_ended(&mut self) {
        for (part, status) in self.site.ended() {
            self.pause(&format!("{part} ended ({status})")).await;
            let restarted = self.site.restart(&part).await;
            self.report(&part.to_string(), restarted);
        }
        for number in 0..self.simulators.len() {
            if let Some(status) = self.simulators[number].process.ended() {
                self.pause(&format!("the simulator ended ({status})")).await;
                let restarted = self.simulator(number).await;
                let restarted = restarted.map(|simulator| {
                    if let Some(simulator) = simulator {
                        self.simulators[number] = simulator;
                    }
                });
                self.report("the simulator", restarted);
            }
        }
    }

    async fn pause(&mut self, what: &str) {
        let pause = self.backoff.pause(Instant::now());
        let logs = self.site.state().join("logs");
        self.screen.message(&format!(
            "{what}; starting it again in {} s, its log is in {}",
            pause.as_secs(),
            logs.display()
        ));
        tokio::time::sleep(pause).await;
    }

    fn report(&self, what: &str, restarted: Result<(), SiteError>) {
        match restarted {
            Ok(()) => self.screen.message(&format!("{what} runs again")),
            Err(error) => {
                let error = anyhow::Error::from(error);
                self.screen
                    .message(&format!("{what} did not start: {error:#}"));
            }
        }
    }

    /// Stops it all, in an order in which nothing loses what it needs: first the field, then the
    /// providers drain, then nats-server.
    pub(super) async fn stop(mut self) {
        for simulator in self.simulators.drain(..) {
            simulator.stop().await;
        }
        self.site.stop().await;
    }
}
