//! Published roots in the shape of Arweave, where SDKs look for them: a search by tags, and a
//! document for each root. Open to all, as that place is: roots are for everybody.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use fieldledger_contract::Error;
use serde::{Deserialize, Serialize};

use super::call::base_url;
use super::shapes::RootShape;
use crate::extract::{JsonBody, PathParameter};
use crate::parts::Shared;
use crate::problem::Problem;

/// Roots that one answer names at most.
const MOST_ROOTS: usize = 4_096;

/// A query in GraphQL.
#[derive(Deserialize)]
pub(super) struct GraphQl {
    query: String,
}

#[derive(Serialize)]
pub(super) struct Answer {
    data: Data,
}

#[derive(Serialize)]
struct Data {
    transactions: Transactions,
}

#[derive(Serialize)]
struct Transactions {
    edges: Vec<Edge>,
}

#[derive(Serialize)]
struct Edge {
    node: Node,
}

#[derive(Serialize)]
struct Node {
    id: String,
    tags: [Tag; 2],
}

#[derive(Serialize)]
struct Tag {
    name: &'static str,
    value: String,
}

/// `POST /arweave/graphql`: which roots of these sizes of this tree were published. Sizes and trees
/// that there are not are left out, as are those of which there are too many.
pub(super) async fn find_roots(
    State(parts): State<Shared>,
    JsonBody(body): JsonBody<GraphQl>,
) -> Result<Json<Answer>, Problem> {
    let newest = match parts.pangea.pangea_root(None) {
        Ok(root) => Some(root),
        Err(Error::NotFound(_)) => None,
        Err(error) => return Err(error.into()),
    };
    let mut edges = Vec::new();
    if let Some(newest) = newest
        && tag_values(&body.query, "tree_name").contains(&newest.tree_name)
    {
        let sizes = tag_values(&body.query, "tree_size");
        let sizes = sizes.iter().filter_map(|size| size.parse::<u64>().ok());
        let published = sizes.filter(|&size| 0 < size && size <= newest.size);
        edges.extend(published.take(MOST_ROOTS).map(|size| Edge {
            node: Node {
                id: size.to_string(),
                tags: [
                    Tag {
                        name: "tree_size",
                        value: size.to_string(),
                    },
                    Tag {
                        name: "tree_name",
                        value: newest.tree_name.clone(),
                    },
                ],
            },
        }));
    }
    Ok(Json(Answer {
        data: Data {
            transactions: Transactions { edges },
        },
    }))
}

/// `GET /arweave/{size}/`: a published root, with the proof that it continues the one before it.
pub(super) async fn show_root(
    State(parts): State<Shared>,
    PathParameter(size): PathParameter,
    request: Request,
) -> Result<Response, Problem> {
    let size: u64 = size
        .parse()
        .map_err(|_| Problem::bad_parameter("size", "is not the size of a tree"))?;
    let root = parts.pangea.pangea_root(Some(size))?;
    let base_url = base_url(request.headers(), request.uri());
    let body = serde_json::to_string(&RootShape::new(&root, &base_url))
        .expect("texts, numbers and times have a JSON form, and a String takes it");
    Ok(([(CONTENT_TYPE, "application/json")], body).into_response())
}

/// The values of the tag `name` in a query: the strings in the list that follows `name: "<name>"`.
/// That much of GraphQL is read, which is what SDKs write.
fn tag_values(query: &str, name: &str) -> Vec<String> {
    let mut tokens = Tokens(query);
    let mut named = false;
    let mut inside = false;
    let mut values = Vec::new();
    while let Some(token) = tokens.next() {
        match token {
            Token::Text(text) if inside => values.push(text),
            Token::Text(text) => named = text == name,
            Token::Mark('[') => inside = named,
            Token::Mark(']') if inside => return values,
            Token::Mark(_) => {}
        }
    }
    Vec::new()
}

enum Token {
    /// A string.
    Text(String),
    /// Any other character.
    Mark(char),
}

struct Tokens<'a>(&'a str);

impl Tokens<'_> {
    fn next(&mut self) -> Option<Token> {
        let mut letters = self.0.chars();
        let first = letters.next()?;
        if first != '"' {
            self.0 = letters.as_str();
            return Some(Token::Mark(first));
        }
        let mut text = String::new();
        while let Some(letter) = letters.next() {
            match letter {
                '"' => break,
                '\\' => text.extend(letters.next()),
                letter => text.push(letter),
            }
        }
        self.0 = letters.as_str();
        Some(Token::Text(text))
    }
}

#[cfg(test)]
mod tests {
    use fieldledger_chance::proptest_config;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tags_are_found_as_sdks_write_them() {
        let query = r#"{
            transactions(
              tags: [
                    { name: "tree_size" values: ["3", "4"] },
                    { name: "tree_name" values: ["site/a"] }
                ]
            ) { edges { node { id tags { name value } } } }
        }"#;
        assert_eq!(tag_values(query, "tree_size"), ["3", "4"]);
        assert_eq!(tag_values(query, "tree_name"), ["site/a"]);
        assert!(tag_values(query, "colour").is_empty());
    }

    #[test]
    fn what_is_cut_off_has_no_values() {
        for query in ["", "tree_size", r#"name: "tree_size" values: ["3""#, "\""] {
            assert!(tag_values(query, "tree_size").is_empty(), "{query}");
        }
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn any_text_is_read(query: String) {
            let _ = tag_values(&query, "tree_size");
        }
    }
}
