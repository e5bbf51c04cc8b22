//! Polls on their way into a mesh.

use std::sync::Arc;

use super::{ACKNOWLEDGED_WITHIN, ATTEMPTS, Arrival, Event, Mesh};

/// A poll on its way from a gateway to a node. Routers know the ways to gateways only, so it carries
/// the way that a reading of the node came, backwards (as RPL's non-storing mode, RFC 6550).
#[derive(Debug, Clone)]
pub(super) struct Poll {
    number: u32,
    /// From the gateway to the node.
    route: Arc<[u16]>,
    /// How far along the route it is.
    at: usize,
    /// Times that it was sent over the present link.
    attempts: u32,
}

impl Mesh {
    /// A gateway sends a poll to a node, along a route that begins with the gateway; its number.
    pub(in crate::mesh) fn poll(&mut self, route: Arc<[u16]>) -> u32 {
        let number = self.number();
        let poll = Poll {
            number,
            route,
            at: 0,
            attempts: 0,
        };
        self.pass_on(poll);
        number
    }

    /// Sends a poll over the next link of its route.
    fn pass_on(&mut self, mut poll: Poll) {
        let [from, to, ..] = poll.route[poll.at..] else {
            return;
        };
        if !self.is_alive(from) {
            return;
        }
        poll.attempts += 1;
        let sent = self.transmit(from, to);
        if sent.arrives {
            let arrived = Poll {
                at: poll.at + 1,
                attempts: 0,
                ..poll.clone()
            };
            self.schedule(self.now + sent.delay_ms, Event::PollArrives(arrived));
        }
        if !sent.is_acknowledged {
            let time = self.now + 2 * sent.delay_ms + ACKNOWLEDGED_WITHIN;
            self.schedule(time, Event::PollUnacknowledged(poll));
        }
    }

    /// No acknowledgement came over the link.
    pub(super) fn pass_on_again(&mut self, poll: Poll) {
        if poll.attempts < ATTEMPTS {
            self.pass_on(poll);
        }
    }

    /// A poll arrives at a node of its route.
    pub(super) fn take_poll(&mut self, poll: Poll) {
        match self.under_way.get_mut(&poll.number) {
            Some(furthest) if *furthest < poll.at => *furthest = poll.at,
            // A copy, of a frame whose acknowledgement was lost.
            _ => {
                self.report.duplicates += 1;
                return;
            }
        }
        if poll.at + 1 < poll.route.len() {
            self.pass_on(poll);
            return;
        }
        let Poll {
            number, route, at, ..
        } = poll;
        let node = route[at];
        // It may have died while the frame was in the air.
        if self.is_alive(node) {
            self.under_way.remove(&number);
            self.arrivals.push(Arrival::AtNode { number, node });
        }
    }
}
