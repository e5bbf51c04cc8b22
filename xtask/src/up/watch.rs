//! Keeps a site running, and says how it does.

use std::time::{Duration, Instant};

use fieldledger_site::{Simulator, Site, SiteError};

use super::backoff::Backoff;
use super::metrics::{Api, Sample};
use super::screen::Screen;

/// How often it is looked whether a process has ended.
const LOOK: Duration = Duration::from_millis(500);

/// A running site whose processes are started again where they end.
#[derive(Debug)]
pub(crate) struct Watch {
    site: Site,
    /// One for each site, in their order.
    simulators: Vec<Simulator>,
    /// `None` where the sites have no simulator.
    simulator_arguments: Option<Vec<String>>,
    api: Api,
    screen: Screen,
    backoff: Backoff,
}

impl Watch {
    pub(crate) fn new(site: Site, api: Api, simulator_arguments: Option<Vec<String>>) -> Self {
        Self {
            site,
            simulators: Vec::new(),
            simulator_arguments,
            api,
            screen: Screen::new(),
            backoff: Backoff::default(),
        }
    }

    /// Starts a simulator at each site, if they have any.
    pub(crate) async fn start_simulators(&mut self) -> Result<(), SiteError> {
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

    /// Watches for ever.
    pub(crate) async fn keep_running(&mut self) {
        let mut former: Option<Sample> = None;
        let mut status_due = Instant::now();
        let mut looks = tokio::time::interval(LOOK);
        loop {
            looks.tick().await;
            self.restart_what_ended().await;
            if Instant::now() < status_due {
                continue;
            }
            status_due = Instant::now() + self.screen.interval();
            match self.api.sample().await {
                Some(sample) => {
                    self.screen.status(&sample.line(former.as_ref()));
                    former = Some(sample);
                }
                None => self.screen.status("the API does not answer completely"),
            }
        }
    }

    async fn restart_what_ended(&mut self) {
        if let Some(status) = self.site.nats.process.ended() {
            self.pause(&format!("nats-server ended ({status})")).await;
            let restarted = self.site.nats.restart().await;
            self.report("nats-server", restarted);
        }
        if let Some(status) = self.site.lattice_nats.process.ended() {
            self.pause(&format!("the lattice's nats-server ended ({status})"))
                .await;
            let restarted = self.site.lattice_nats.restart().await;
            self.report("the lattice's nats-server", restarted);
        }
        if let Some(status) = self.site.host.process.ended() {
            self.pause(&format!("the host ended ({status})")).await;
            let restarted = self.site.restart_host().await;
            self.report("the host", restarted);
        }
        for leaf in 0..self.site.leaves.len() {
            self.restart_what_ended_at(leaf).await;
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

    async fn restart_what_ended_at(&mut self, leaf: usize) {
        let name = self.site.leaves[leaf].name().to_owned();
        if let Some(status) = self.site.leaves[leaf].nats.process.ended() {
            let what = format!("nats-server of {name}");
            self.pause(&format!("{what} ended ({status})")).await;
            let restarted = self.site.leaves[leaf].nats.restart().await;
            self.report(&what, restarted);
        }
        if let Some(status) = self.site.leaves[leaf].lattice_nats.process.ended() {
            let what = format!("the lattice's nats-server of {name}");
            self.pause(&format!("{what} ended ({status})")).await;
            let restarted = self.site.leaves[leaf].lattice_nats.restart().await;
            self.report(&what, restarted);
        }
        if let Some(status) = self.site.leaves[leaf].host.process.ended() {
            let what = format!("the host of {name}");
            self.pause(&format!("{what} ended ({status})")).await;
            let restarted = self.site.leaves[leaf].restart_host().await;
            self.report(&what, restarted);
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
            Err(error) => self
                .screen
                .message(&format!("{what} did not start: {error}")),
        }
    }

    /// Stops it all, in an order in which nothing loses what it needs: first the field, then the
    /// providers drain, then nats-server.
    pub(crate) async fn stop(mut self) {
        self.screen.message("stopping");
        for simulator in self.simulators.drain(..) {
            simulator.stop().await;
        }
        self.site.stop().await;
        self.screen.message("stopped");
    }
}
