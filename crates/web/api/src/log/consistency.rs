//! `GET /api/consistency`: that a tree continues an older one.
// The expansion of `#[utoipa::path]` spells out names that are in scope.
#![allow(unused_qualifications)]

use axum::Json;
use axum::extract::State;
use fieldledger_contract::Error;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::extract::{QueryString, parse_whole};
use crate::parts::Shared;
use crate::problem::{FieldProblem, Problem, excerpt};

/// Two sizes of the log.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Sizes {
    /// Entries in the older tree, 1 or more.
    #[param(value_type = u64, minimum = 1, required = true)]
    old: Option<String>,
    /// Entries in the newer tree; the newest signed one unless given.
    #[param(value_type = Option<u64>, minimum = 1)]
    new: Option<String>,
}

/// Proof that the newer tree begins with the older one. Hashes are in base64.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Consistency {
    /// Entries in the older tree.
    old_size: u64,
    /// Entries in the newer tree.
    new_size: u64,
    /// RFC 6962 consistency proof.
    consistency_proof: Vec<String>,
    /// The signed note, C2SP tlog-checkpoint, of the newer tree; absent where that is not the newest.
    #[serde(skip_serializing_if = "Option::is_none")]
    checkpoint: Option<String>,
}

/// Proves that the log only grew from one size to another.
#[utoipa::path(
    get,
    path = "/api/consistency",
    params(Sizes),
    responses(
        (status = 200, description = "The proof", body = Consistency),
        (status = 404, description = "The log has not reached such a size", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "What went wrong", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn prove_consistency(
    State(parts): State<Shared>,
    QueryString(sizes): QueryString<Sizes>,
) -> Result<Json<Consistency>, Problem> {
    let mut problems = Vec::new();
    let old_size = match sizes.old.as_deref() {
        Some(text) => size("old", text, &mut problems),
        None => {
            problems.push(FieldProblem::new(
                "old",
                "is missing; give a size of the log",
            ));
            None
        }
    };
    let asked = sizes.new.as_deref();
    let asked = asked.and_then(|text| size("new", text, &mut problems));
    let (Some(old_size), []) = (old_size, problems.as_slice()) else {
        return Err(Problem::bad_parameters(problems));
    };

    let head = parts.tree.head()?;
    let new_size = asked.unwrap_or(head.tree_size);
    let proof = parts.tree.consistency(old_size, new_size);
    Ok(Json(Consistency {
        old_size,
        new_size,
        consistency_proof: proof.map_err(in_our_words)?,
        checkpoint: (new_size == head.tree_size).then_some(head.note),
    }))
}

fn size(field: &str, text: &str, problems: &mut Vec<FieldProblem>) -> Option<u64> {
    let size = parse_whole(text).filter(|size| *size > 0);
    if size.is_none() {
        let given = excerpt(text);
        let problem = format!("{given:?} will not do; give a size of the log, 1 or more");
        problems.push(FieldProblem::new(field, problem));
    }
    size
}

/// The ledger's names for the sizes are not the query's.
fn in_our_words(error: Error) -> Problem {
    let Error::Invalid(mut fields) = error else {
        return error.into();
    };
    for field in &mut fields {
        if let Some(name) = field.field.strip_suffix("_size") {
            field.field = name.to_owned();
        }
    }
    Error::Invalid(fields).into()
}
