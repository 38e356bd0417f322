//! How long files may be, and where they lie.

use super::{
    imports::{Token, production, tokens},
    tree::is_test_file,
};

/// Most lines of a source file, without its tests.
const LONGEST: usize = 400;

/// What is wrong with a Rust file as a file.
pub(crate) fn problems(path: &str, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if path == "mod.rs" || path.ends_with("/mod.rs") {
        problems.push(format!(
            "{path}: name the file after its module, beside its folder"
        ));
    }
    let is_source = path.starts_with("src/") || path.starts_with("actors/src/");
    let lines = production(text).lines().count();
    if is_source && !is_test_file(path) && lines > LONGEST {
        problems.push(format!("{path}: {lines} lines, of {LONGEST} at most"));
    }
    if allows_a_lint(text) {
        problems.push(format!("{path}: `expect` the lint, with a reason"));
    }
    problems
}

fn allows_a_lint(text: &str) -> bool {
    let name = |name: &str| Token::Name(name.to_owned());
    let plain = [Token::Other('['), name("allow"), Token::Other('(')];
    tokens(text).windows(3).any(|window| window == plain)
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, problems};

    #[test]
    fn long_files_misplaced_modules_and_silenced_lints_are_found() {
        let long = "fn f() {}\n".repeat(LONGEST + 1);
        for (path, text) in [
            ("src/long.rs", long.as_str()),
            ("actors/src/long.rs", long.as_str()),
            ("src/http/mod.rs", ""),
            ("src/a.rs", "#[allow(dead_code)]\nfn f() {}"),
            ("tests/a.rs", "#![allow(dead_code)]"),
        ] {
            assert_eq!(problems(path, text).len(), 1, "{path}");
        }
    }

    #[test]
    fn tests_do_not_count() {
        let long = "fn f() {}\n".repeat(LONGEST + 1);
        let tail = format!("fn f() {{}}\n#[cfg(test)]\nmod tests {{\n{long}}}\n");
        for (path, text) in [
            ("src/a.rs", tail.as_str()),
            ("src/a/tests.rs", long.as_str()),
            ("src/a/tests/faults.rs", long.as_str()),
            ("tests/a.rs", long.as_str()),
            ("src/a.rs", "// #[allow(dead_code)]\n#[expect(dead_code)]"),
        ] {
            assert_eq!(problems(path, text), Vec::<String>::new(), "{path}");
        }
    }
}
