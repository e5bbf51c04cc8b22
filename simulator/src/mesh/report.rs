use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

/// What came of a mesh's readings.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct MeshReport {
    /// Nodes at the start.
    pub nodes: u16,
    /// Gateways at the start.
    pub gateways: u16,
    /// Links, each counted once.
    pub links: usize,
    /// Nodes that died.
    pub deaths: u16,
    /// Readings of living nodes.
    pub readings: u64,
    /// Those for which there was no path of living nodes to a living gateway when they were taken.
    pub cut_off: u64,
    /// Readings that arrived at a gateway.
    pub delivered: u64,
    /// Copies that were recognised: of a reading whose acknowledgement was lost.
    pub duplicates: u64,
    /// Readings, or copies, that were dropped because no route was known.
    pub without_route: u64,
    /// Readings, or copies, that had been sent on too often.
    pub over_hop_limit: u64,
    /// Readings, or copies, that were waiting at a node when it died.
    pub died_with_node: u64,
    /// Frames of readings, repetitions included.
    pub frames: u64,
    /// Frames of routing.
    pub control_frames: u64,
    /// Readings by the links that they went over.
    pub hops: BTreeMap<u32, u64>,
    /// The longest time from a node to a gateway, in milliseconds.
    pub slowest_ms: u64,
    /// What came of polls, where a site polled it; its readings are heartbeats and answers then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub polls: Option<MeshPolls>,
}

/// What came of the polls of a site.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct MeshPolls {
    /// Those that the gateways heard.
    pub heard: u64,
    /// Those whose answer arrived at a gateway, and was published.
    pub answered: u64,
    /// Those that got lost in the mesh, or whose answers did.
    pub lost: u64,
}

impl MeshReport {
    /// Delivered readings among those that had a path; 1 where none had.
    #[must_use]
    pub fn delivery_rate(&self) -> f64 {
        match self.readings.saturating_sub(self.cut_off) {
            0 => 1.0,
            possible => self.delivered as f64 / possible as f64,
        }
    }

    /// Hops of a delivered reading, on average.
    #[must_use]
    pub fn mean_hops(&self) -> f64 {
        let sum: u64 = self
            .hops
            .iter()
            .map(|(hops, count)| u64::from(*hops) * count)
            .sum();
        sum as f64 / self.delivered.max(1) as f64
    }
}

impl fmt::Display for MeshReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            nodes,
            gateways,
            links,
            deaths,
            ..
        } = self;
        writeln!(
            formatter,
            "{nodes} simulated radios, {gateways} of them gateways, {links} links, {deaths} deaths"
        )?;
        writeln!(
            formatter,
            "{} readings, {} of them cut off; {} delivered: {:.2} % of the others",
            self.readings,
            self.cut_off,
            self.delivered,
            100.0 * self.delivery_rate()
        )?;
        writeln!(
            formatter,
            "dropped: {} without a route, {} over the hop limit, {} with a node that died, {} copies",
            self.without_route, self.over_hop_limit, self.died_with_node, self.duplicates
        )?;
        writeln!(
            formatter,
            "{} frames of readings, {} of routing; the slowest reading took {} ms",
            self.frames, self.control_frames, self.slowest_ms
        )?;
        write!(formatter, "hops: {:.2} on average;", self.mean_hops())?;
        for (hops, count) in &self.hops {
            write!(formatter, " {hops}: {count}")?;
        }
        if let Some(MeshPolls {
            heard,
            answered,
            lost,
        }) = self.polls
        {
            write!(
                formatter,
                "\n{heard} polls heard, {answered} answered, {lost} lost in the mesh"
            )?;
        }
        Ok(())
    }
}
