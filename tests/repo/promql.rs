//! Which metrics a `PromQL` expression asks for.

/// Words that stand between expressions, and before lists of labels.
const OPERATORS: [&str; 7] = ["and", "or", "unless", "offset", "bool", "inf", "nan"];
const BEFORE_LABELS: [&str; 6] = [
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
];

/// The names of the metrics, as they stand there.
pub(crate) fn metrics(expression: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = expression.trim_start();
    while let Some(first) = rest.chars().next() {
        rest = match first {
            '"' | '\'' => after_text(rest, first),
            '{' => after_matchers(rest),
            '[' => rest.split_once(']').map_or("", |(_, after)| after),
            _ if is_part_of_name(first) => {
                let end = rest.find(|c| !is_part_of_name(c)).unwrap_or(rest.len());
                let (name, after) = rest.split_at(end);
                let next = after.trim_start();
                let is_number = first.is_ascii_digit();
                if BEFORE_LABELS.contains(&name) {
                    next.split_once(')').map_or("", |(_, after)| after)
                } else {
                    let is_metric = !is_number
                        && !next.starts_with('(')
                        && !is_before_list(next)
                        && !OPERATORS.contains(&name.to_lowercase().as_str());
                    if is_metric {
                        found.push(name.to_owned());
                    }
                    after
                }
            }
            _ => rest.split_at(first.len_utf8()).1,
        }
        .trim_start();
    }
    found
}

/// `sum by (x) (…)`: the name of an aggregation stands before the list of labels.
fn is_before_list(next: &str) -> bool {
    ["by", "without"].iter().any(|word| {
        next.strip_prefix(word)
            .is_some_and(|after| after.trim_start().starts_with('('))
    }) && !next.is_empty()
}

fn is_part_of_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || "_:.".contains(character)
}

/// What comes after a text in quotes.
fn after_text(rest: &str, quote: char) -> &str {
    let mut escaped = false;
    for (at, character) in rest.char_indices().skip(1) {
        if character == quote && !escaped {
            return rest.split_at(at + 1).1;
        }
        escaped = character == '\\' && !escaped;
    }
    ""
}

/// What comes after `{…}`, in which texts may hold braces.
fn after_matchers(rest: &str) -> &str {
    let mut rest = rest.strip_prefix('{').unwrap_or_default();
    while let Some(first) = rest.chars().next() {
        rest = match first {
            '}' => return rest.split_at(1).1,
            '"' | '\'' => after_text(rest, first),
            _ => rest.split_at(first.len_utf8()).1,
        };
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::metrics;

    #[test]
    fn metrics_are_told_from_functions_labels_texts_and_numbers() {
        for (expression, expected) in [
            ("up", &["up"][..]),
            ("up{job=\"a}b\"} == 0 or absent(up{job='x'})", &["up", "up"]),
            (
                "sum by (le, x) (rate(a_bucket{c=\"d\"}[5m]))",
                &["a_bucket"],
            ),
            ("sum(rate(a[$__rate_interval])) by (x)", &["a"]),
            ("a > 1e9 and on (instance) (b offset 15m)", &["a", "b"]),
            (
                "histogram_quantile(0.99, sum by(le)(c_bucket)) > 0.25",
                &["c_bucket"],
            ),
            ("a / on(x) group_left(y) b unless c", &["a", "b", "c"]),
            (
                "changes(process_start_time_seconds[30m]) > bool 2",
                &["process_start_time_seconds"],
            ),
            ("\"quo\\\"ted\" == a:b", &["a:b"]),
            ("topk by (agent) (3, a)", &["a"]),
        ] {
            assert_eq!(metrics(expression), expected, "{expression}");
        }
    }
}
