//! `GET /api/dead-letters`, and what becomes of them: what could not be recorded in any form, at every site.
//!
//! Retrying and dropping is for tokens with the scope `admin`. Who asked for it, why, and what was dropped is
//! in the log before it is done, and another entry says how it ended.
// The expansion of `#[utoipa::path]` spells out names that are in scope.
#![allow(unused_qualifications)]

use axum::Json;
use axum::extract::State;
use fieldledger_contract::audit::EventColumns;
use fieldledger_contract::field::DeadLetter;
use fieldledger_contract::{Error, limits};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::extract::{INT32, JsonBody, PathParameter, QueryString, whole_number};
use crate::life::Admin;
use crate::parts::{Parts, Shared};
use crate::problem::{Problem, excerpt};
use crate::sites::{self, SiteAway};

/// Most in one answer, and as many unless asked otherwise.
const MOST_LETTERS: u32 = 100;

/// `action` of the entries about one that is delivered once more.
const RETRY: &str = "DEAD_LETTER_RETRY";

/// `action` of the entries about one that is given up for good.
const DROP: &str = "DEAD_LETTER_DROP";

/// Which ones.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct LettersQuery {
    /// Dead letters to skip.
    #[param(value_type = Option<u32>, default = 0)]
    offset: Option<String>,
    /// Dead letters at most.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 100)]
    limit: Option<String>,
}

/// Of which site.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SiteQuery {
    /// Its site; needed where two sites have one of that id.
    site: Option<String>,
}

/// What is to become of one, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LetterParams {
    /// Its site; needed where two sites have one of that id.
    site: Option<String>,
    /// Why; it stays in the log.
    #[schema(min_length = 1, max_length = 1000)]
    reason: String,
}

/// A dead letter, and where it is.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SiteLetter {
    /// The site.
    #[schema(example = "main")]
    pub site: String,
    /// What could not be recorded.
    #[serde(flatten)]
    pub letter: DeadLetter,
}

/// Dead letters, oldest first at each site.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct LetterList {
    /// How many there are at all sites that answer.
    pub total: u64,
    /// The dead letters.
    pub dead_letters: Vec<SiteLetter>,
    /// The `offset` that continues the list; absent where it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_offset: Option<u32>,
    /// Sites that do not answer; absent if there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sites_away: Vec<SiteAway>,
}

/// What has become of one.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct DecidedLetter {
    /// The site.
    pub site: String,
    /// Its id.
    pub id: String,
    /// The entry of the log that says so; null where that is not known.
    pub entry: Option<u64>,
}

/// Lists what could not be recorded in any form.
#[utoipa::path(
    get,
    path = "/api/dead-letters",
    params(LettersQuery),
    responses(
        (status = 200, description = "Dead letters, without what they hold", body = LetterList),
        (status = "default", description = "What went wrong", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list_letters(
    State(parts): State<Shared>,
    QueryString(query): QueryString<LettersQuery>,
) -> Result<Json<LetterList>, Problem> {
    let mut problems = Vec::new();
    let offset = query.offset.as_deref();
    let offset = whole_number("offset", offset, 0, 0..=INT32, &mut problems);
    let limit = query.limit.as_deref();
    let limit = whole_number(
        "limit",
        limit,
        MOST_LETTERS,
        1..=MOST_LETTERS,
        &mut problems,
    );
    if !problems.is_empty() {
        return Err(Problem::bad_parameters(problems));
    }
    let plant = parts.plant.as_ref();
    let polling = sites::polling(plant)?;
    let total = polling.sum().dead_letters;
    let mut dead_letters = Vec::new();
    let mut skip = u64::from(offset);
    for (site, status) in &polling.of {
        let wanted = (limit as usize).saturating_sub(dead_letters.len());
        let wanted = u32::try_from(wanted).unwrap_or(limit);
        // All of this site come before those that are wanted.
        if wanted == 0 || skip >= status.dead_letters {
            skip = skip.saturating_sub(status.dead_letters);
            continue;
        }
        let from = u32::try_from(skip).unwrap_or(u32::MAX);
        skip = 0;
        let letters = plant.dead_letters(site, from, wanted)?;
        dead_letters.extend(letters.into_iter().map(|letter| SiteLetter {
            site: site.clone(),
            letter,
        }));
    }
    let shown = u64::from(offset) + dead_letters.len() as u64;
    Ok(Json(LetterList {
        total,
        next_offset: (shown < total && !dead_letters.is_empty())
            .then(|| u32::try_from(shown).unwrap_or(u32::MAX)),
        dead_letters,
        sites_away: polling.away,
    }))
}

/// Shows one, with what it holds.
#[utoipa::path(
    get,
    path = "/api/dead-letters/{id}",
    params(("id" = String, Path, description = "Its id, as the list has it"), SiteQuery),
    responses(
        (status = 200, description = "The dead letter with what it holds", body = SiteLetter),
        (status = 404, description = "No such dead letter", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Two sites have one of that id", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "What went wrong", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show_letter(
    State(parts): State<Shared>,
    PathParameter(id): PathParameter,
    QueryString(query): QueryString<SiteQuery>,
) -> Result<Json<SiteLetter>, Problem> {
    Ok(Json(find(&parts, query.site.as_deref(), &id)?))
}

/// Has one delivered once more, behind what waits in its lane. The log takes each of its results once, however
/// often they come.
#[utoipa::path(
    post,
    path = "/api/dead-letters/{id}/retry",
    params(("id" = String, Path, description = "Its id, as the list has it")),
    request_body = LetterParams,
    responses(
        (status = 200, description = "It is on its way again", body = DecidedLetter),
        (status = 404, description = "No such dead letter", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Two sites have one of that id, or it does not say where it came from", body = Problem, content_type = "application/problem+json"),
        (status = 410, description = "The log has ended, and cannot record it", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "What went wrong", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn retry_letter(
    State(parts): State<Shared>,
    Admin(actor): Admin,
    PathParameter(id): PathParameter,
    JsonBody(params): JsonBody<LetterParams>,
) -> Result<Json<DecidedLetter>, Problem> {
    decide(&parts, RETRY, &actor, &id, &params)
}

/// Gives one up for good. What it held is in the entry that says so, as far as an event has room.
#[utoipa::path(
    post,
    path = "/api/dead-letters/{id}/drop",
    params(("id" = String, Path, description = "Its id, as the list has it")),
    request_body = LetterParams,
    responses(
        (status = 200, description = "It is gone", body = DecidedLetter),
        (status = 404, description = "No such dead letter", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Two sites have one of that id", body = Problem, content_type = "application/problem+json"),
        (status = 410, description = "The log has ended, and cannot record it", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "What went wrong", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn drop_letter(
    State(parts): State<Shared>,
    Admin(actor): Admin,
    PathParameter(id): PathParameter,
    JsonBody(params): JsonBody<LetterParams>,
) -> Result<Json<DecidedLetter>, Problem> {
    decide(&parts, DROP, &actor, &id, &params)
}

/// The dead letter of this id, at this site or the only one that has it.
fn find(parts: &Parts, site: Option<&str>, id: &str) -> Result<SiteLetter, Problem> {
    let plant = parts.plant.as_ref();
    let sites = plant.sites()?;
    if let Some(site) = site {
        if !sites.iter().any(|known| known == site) {
            let problem = format!("{:?} is no site", excerpt(site));
            return Err(Problem::bad_parameter("site", problem));
        }
        let letter = plant.dead_letter(site, id)?;
        let site = site.to_owned();
        return Ok(SiteLetter { site, letter });
    }
    let mut found = None;
    let mut silent = None;
    for site in sites {
        match plant.dead_letter(&site, id) {
            Ok(_) if found.is_some() => {
                let problem = "two sites have a dead letter of this id; name one with site";
                return Err(Error::Refused(problem.to_owned()).into());
            }
            Ok(letter) => found = Some(SiteLetter { site, letter }),
            Err(Error::NotFound(_)) => {}
            Err(error) => silent = Some(error),
        }
    }
    match (found, silent) {
        (Some(found), _) => Ok(found),
        // It may be one of theirs.
        (None, Some(error)) => Err(error.into()),
        (None, None) => {
            Err(Error::NotFound(format!("there is no dead letter {:?}", excerpt(id))).into())
        }
    }
}

fn decide(
    parts: &Parts,
    action: &str,
    actor: &str,
    id: &str,
    params: &LetterParams,
) -> Result<Json<DecidedLetter>, Problem> {
    const MAX_REASON_CHARACTERS: usize = 1_000;
    if params.reason.trim().is_empty() || !limits::fits(&params.reason, MAX_REASON_CHARACTERS) {
        let problem = format!("must say something in at most {MAX_REASON_CHARACTERS} characters");
        return Err(Problem::bad_parameter("reason", problem));
    }
    let found = find(parts, params.site.as_deref(), id)?;
    let log = |status: &str, message: String, held: &str| -> Result<Option<u64>, Error> {
        let written = parts.log.write(EventColumns {
            message: vec![limits::cut(&message, limits::TEXT_CHARACTERS)],
            actor: vec![limits::cut(actor, limits::NAME_CHARACTERS)],
            action: vec![action.to_owned()],
            old: vec![held.to_owned()],
            source: vec![limits::cut(&found.site, limits::NAME_CHARACTERS)],
            status: vec![status.to_owned()],
            target: vec![limits::cut(id, limits::NAME_CHARACTERS)],
            ..EventColumns::default()
        })?;
        Ok(written.indices.first().copied().flatten())
    };
    let held = match action {
        DROP => found.letter.content.as_str(),
        _ => "",
    };
    let why = &found.letter.reason;
    let told = format!("{}; it was put aside because: {why}", params.reason);
    log("REQUESTED", told, held)?;
    let done = match action {
        DROP => parts.plant.drop_dead_letter(&found.site, id),
        _ => parts.plant.retry_dead_letter(&found.site, id),
    };
    match done {
        Ok(()) => Ok(Json(DecidedLetter {
            entry: log("SUCCESS", params.reason.clone(), "")?,
            id: id.to_owned(),
            site: found.site,
        })),
        Err(error) => {
            let why = Problem::from(error);
            log("FAILURE", why.detail.clone(), "")?;
            Err(why)
        }
    }
}
