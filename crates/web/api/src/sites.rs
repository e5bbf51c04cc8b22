//! Several sites, asked as one: each has a polling provider of its own, and a site that is cut off
//! takes nothing away from what the others say.

use std::cmp::Reverse;
use std::collections::HashMap;

use fieldledger_contract::Error;
use fieldledger_contract::calls::Plant;
use fieldledger_contract::field::{PollingStatus, Refusal, SensorState};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Sensors that a site gives at one time.
const PAGE: u32 = 10_000;

/// A site whose polling provider does not answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SiteAway {
    /// The site.
    #[schema(example = "north")]
    pub site: String,
    /// What is wrong.
    pub problem: String,
}

/// What the sites that answer say, and those that do not. At least one does.
#[derive(Debug)]
pub(crate) struct Answers<T> {
    pub(crate) of: Vec<(String, T)>,
    pub(crate) away: Vec<SiteAway>,
}

/// Asks every site. The error is the first site's, where none answers.
fn ask_all<T>(
    plant: &dyn Plant,
    ask: impl Fn(&str) -> Result<T, Error>,
) -> Result<Answers<T>, Error> {
    let mut answers = Answers {
        of: Vec::new(),
        away: Vec::new(),
    };
    let mut first = None;
    for site in plant.sites()? {
        match ask(&site) {
            Ok(answer) => answers.of.push((site, answer)),
            Err(Error::Unavailable(problem)) => {
                first.get_or_insert_with(|| Error::Unavailable(problem.clone()));
                answers.away.push(SiteAway { site, problem });
            }
            Err(error) => return Err(error),
        }
    }
    match first {
        Some(error) if answers.of.is_empty() => Err(error),
        _ => Ok(answers),
    }
}

/// A sensor, and the site that it is at.
pub(crate) type Located = (String, SensorState);

/// Sensors of all sites in order of alias, then id, and the sites that do not answer.
pub(crate) fn sensors(
    plant: &dyn Plant,
    offset: u32,
    limit: u32,
) -> Result<(Vec<Located>, Vec<SiteAway>), Error> {
    let sites = plant.sites()?;
    if let [site] = &sites[..] {
        let states = plant.sensors(site, offset, limit)?;
        let located = states.into_iter().map(|state| (site.clone(), state));
        return Ok((located.collect(), Vec::new()));
    }
    let wanted = offset.saturating_add(limit);
    let Answers { of, away } = ask_all(plant, |site| first_of(plant, site, wanted))?;
    let mut newest: HashMap<String, Located> = HashMap::new();
    for (site, states) in of {
        for state in states {
            // A sensor that was moved is where it was heard last.
            let known = newest
                .get(&state.profile.id)
                .map(|(_, known)| known.last_heartbeat);
            if known < Some(state.last_heartbeat) {
                newest.insert(state.profile.id.clone(), (site.clone(), state));
            }
        }
    }
    let mut all: Vec<Located> = newest.into_values().collect();
    all.sort_by(|(_, one), (_, other)| {
        (&one.profile.alias, &one.profile.id).cmp(&(&other.profile.alias, &other.profile.id))
    });
    let page = all.into_iter().skip(offset as usize).take(limit as usize);
    Ok((page.collect(), away))
}

/// The first `wanted` sensors of a site.
fn first_of(plant: &dyn Plant, site: &str, wanted: u32) -> Result<Vec<SensorState>, Error> {
    let mut states: Vec<SensorState> = Vec::new();
    loop {
        let have = u32::try_from(states.len()).unwrap_or(u32::MAX);
        let limit = wanted.saturating_sub(have).min(PAGE);
        let page = plant.sensors(site, have, limit)?;
        let ended = page.len() < limit as usize;
        states.extend(page);
        if ended || states.len() >= wanted as usize {
            return Ok(states);
        }
    }
}

/// One sensor, where it was heard last; none if no site that answers knows it, and all do.
pub(crate) fn sensor(plant: &dyn Plant, id: &str) -> Result<Option<Located>, Error> {
    let Answers { of, away } = ask_all(plant, |site| plant.sensor(site, id))?;
    let known = of.into_iter();
    let mut known: Vec<Located> = known
        .filter_map(|(site, state)| Some((site, state?)))
        .collect();
    known.sort_by_key(|(_, state)| Reverse(state.last_heartbeat));
    match (known.into_iter().next(), away.into_iter().next()) {
        (Some(located), _) => Ok(Some(located)),
        (None, None) => Ok(None),
        // It may be one of theirs.
        (None, Some(away)) => Err(Error::Unavailable(format!(
            "of site {}: {}",
            away.site, away.problem
        ))),
    }
}

/// What was refused, and the site where.
pub(crate) type LocatedRefusal = (String, Refusal);

/// What was refused at all sites, the newest first, and the sites that do not answer.
pub(crate) fn refusals(
    plant: &dyn Plant,
    sensor: Option<&str>,
    limit: u32,
) -> Result<(Vec<LocatedRefusal>, Vec<SiteAway>), Error> {
    let Answers { of, away } = ask_all(plant, |site| plant.refusals(site, sensor, limit))?;
    let of_site = |(site, refusals): (String, Vec<Refusal>)| {
        refusals
            .into_iter()
            .map(move |refusal| (site.clone(), refusal))
    };
    let mut all: Vec<LocatedRefusal> = of.into_iter().flat_map(of_site).collect();
    all.sort_by_key(|(_, refusal)| Reverse(refusal.last_at));
    all.truncate(limit as usize);
    Ok((all, away))
}

/// Decides about a sensor's key at the site where it was heard last.
pub(crate) fn decide(
    plant: &dyn Plant,
    id: &str,
    decide: impl FnOnce(&str) -> Result<String, Error>,
) -> Result<String, Error> {
    let sites = plant.sites()?;
    let site = match &sites[..] {
        [site] => site.clone(),
        _ => match sensor(plant, id)? {
            Some((site, _)) => site,
            None => {
                let problem = format!("no site knows a sensor {id}");
                return Err(Error::NotFound(problem));
            }
        },
    };
    decide(&site)
}

/// How polling does at each site.
pub(crate) fn polling(plant: &dyn Plant) -> Result<Answers<PollingStatus>, Error> {
    ask_all(plant, |site| plant.polling_status(site))
}

impl Answers<PollingStatus> {
    /// All of them as one, see [`PollingStatus::add`].
    pub(crate) fn sum(&self) -> PollingStatus {
        let mut statuses = self.of.iter().map(|(_, status)| status);
        let mut sum = statuses.next().cloned().unwrap_or_default();
        statuses.for_each(|status| sum.add(status));
        sum
    }
}
