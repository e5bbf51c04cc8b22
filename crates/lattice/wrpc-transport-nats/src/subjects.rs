//! The subjects of wRPC 0.0.1 over NATS.

/// Where calls of a function are taken: `<prefix>.wrpc.0.0.1.<instance>.<function>`, without what is empty.
pub(crate) fn of_function(prefix: &str, instance: &str, function: &str) -> String {
    let parts = [prefix, "wrpc.0.0.1", instance, function];
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join(".")
}

/// Where the parameters of a call go, below the inbox of whoever serves it.
pub(crate) fn of_parameters(inbox: &str) -> String {
    format!("{inbox}.params")
}

/// Where the results of a call go, below the inbox of whoever makes it.
pub(crate) fn of_results(inbox: &str) -> String {
    format!("{inbox}.results")
}

/// Where the bytes of an asynchronous value go: its path in the parameters or results below theirs.
pub(crate) fn at(subject: &str, path: &[usize]) -> String {
    let mut at = subject.to_owned();
    for index in path {
        at.push('.');
        at.push_str(&index.to_string());
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_those_of_the_protocol() {
        assert_eq!(
            of_function("default.thing", "a:b/c", "d"),
            "default.thing.wrpc.0.0.1.a:b/c.d"
        );
        assert_eq!(of_function("", "", "d"), "wrpc.0.0.1.d");
        assert_eq!(of_parameters("_INBOX.1"), "_INBOX.1.params");
        assert_eq!(
            at(&of_results("_INBOX.1"), &[0, 12]),
            "_INBOX.1.results.0.12"
        );
    }
}
