//! Which paths a source file names, in `use` lines and in its code.

/// A piece of code: a name, `::`, or one other character.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    /// An identifier or keyword.
    Name(String),
    /// `::`
    Path,
    /// Anything else.
    Other(char),
}

/// What is compiled into the program: the text without its `#[cfg(test)]` modules.
pub(crate) fn production(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let mut kept = Vec::new();
    let mut lines = lines.iter().peekable();
    while let Some(line) = lines.next() {
        let is_test_module = *line == "#[cfg(test)]"
            && lines
                .peek()
                .is_some_and(|next| next.trim_start_matches("pub ").starts_with("mod "));
        if !is_test_module {
            kept.push(*line);
            continue;
        }
        if lines.next().is_some_and(|module| !module.ends_with(';')) {
            // A module at the margin ends with a brace at the margin.
            lines.by_ref().take_while(|line| **line != "}").count();
        }
    }
    kept.join("\n")
}

/// The tokens of a source text; comments are left out, literals become one character.
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = length_of_next(rest, first);
        let (piece, after) = rest.split_at(length);
        if first.is_alphabetic() || first == '_' {
            if piece.contains('"') {
                found.push(Token::Other('"'));
            } else {
                found.push(Token::Name(piece.to_owned()));
            }
        } else if piece == "::" {
            found.push(Token::Path);
        } else if !first.is_whitespace() && !is_comment(piece) {
            found.push(Token::Other(first));
        }
        rest = after;
    }
    found
}

/// Every path that a module names, relative ones resolved against `module` (`crate::http::auth`).
pub(crate) fn paths(module: &str, text: &str) -> Vec<String> {
    let tokens = tokens(&production(text));
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        match token {
            Token::Name(name) if name == "use" => {
                at = expand(&tokens, at + 1, "", &mut found);
            }
            Token::Name(_) => {
                let (path, after) = plain_path(&tokens, at);
                if path.contains("::") {
                    found.push(path);
                }
                at = after;
            }
            _ => at += 1,
        }
    }
    let mut resolved: Vec<String> = found.iter().map(|path| resolve(module, path)).collect();
    resolved.sort();
    resolved.dedup();
    resolved
}

/// The module that a file of a package is, by its path below `src/`.
pub(crate) fn module_of(below_src: &str) -> String {
    let name = below_src.trim_end_matches(".rs").replace('/', "::");
    match name.as_str() {
        "lib" | "main" => "crate".to_owned(),
        name => format!("crate::{name}"),
    }
}

/// Reads one branch of a `use` tree; returns the place after it.
fn expand(tokens: &[Token], mut at: usize, prefix: &str, found: &mut Vec<String>) -> usize {
    let mut path = prefix.to_owned();
    loop {
        match tokens.get(at) {
            Some(Token::Name(name)) if name == "as" => at += 2,
            Some(Token::Name(name)) => {
                append(&mut path, name);
                at += 1;
            }
            Some(Token::Other('*')) => {
                append(&mut path, "*");
                at += 1;
            }
            Some(Token::Path) => at += 1,
            Some(Token::Other('{')) => {
                at += 1;
                while !matches!(tokens.get(at), Some(Token::Other('}')) | None) {
                    at = expand(tokens, at, &path, found);
                    if tokens.get(at) == Some(&Token::Other(',')) {
                        at += 1;
                    }
                }
                return at + 1;
            }
            _ => {
                if path != prefix {
                    found.push(path);
                }
                return at;
            }
        }
    }
}

fn append(path: &mut String, name: &str) {
    if !path.is_empty() {
        path.push_str("::");
    }
    path.push_str(name);
}

fn plain_path(tokens: &[Token], mut at: usize) -> (String, usize) {
    let mut path = String::new();
    while let Some(Token::Name(name)) = tokens.get(at) {
        append(&mut path, name);
        at += 1;
        if tokens.get(at) != Some(&Token::Path) {
            break;
        }
        at += 1;
    }
    (path, at)
}

fn resolve(module: &str, path: &str) -> String {
    let mut base: Vec<&str> = module.split("::").collect();
    let mut names = path.split("::").peekable();
    let mut relative = false;
    while let Some(name) = names.peek().copied() {
        match name {
            "self" => {}
            "super" => {
                base.pop();
            }
            _ => break,
        }
        relative = true;
        names.next();
    }
    let names: Vec<&str> = names.collect();
    match (relative, names.first()) {
        (true, _) => [base, names].concat().join("::"),
        // The binary sees the library under its own name.
        (false, Some(&"postroom")) => path.replacen("postroom", "crate", 1),
        (false, _) => path.to_owned(),
    }
}

fn is_comment(piece: &str) -> bool {
    piece.starts_with("//") || piece.starts_with("/*")
}

fn length_of_next(rest: &str, first: char) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return rest.find("*/").map_or(rest.len(), |end| end + 2);
    }
    if rest.starts_with("::") {
        return 2;
    }
    if let Some(length) = string_length(rest) {
        return length;
    }
    if first == '\'' {
        return character_length(rest);
    }
    if first.is_alphabetic() || first == '_' {
        return rest
            .find(|next: char| !next.is_alphanumeric() && next != '_')
            .unwrap_or(rest.len());
    }
    first.len_utf8()
}

fn string_length(rest: &str) -> Option<usize> {
    let unprefixed = rest.strip_prefix('b').unwrap_or(rest);
    let prefix = rest.len() - unprefixed.len();
    if let Some(raw) = unprefixed.strip_prefix('r') {
        let fences = raw.len() - raw.trim_start_matches('#').len();
        let inside = raw.trim_start_matches('#').strip_prefix('"')?;
        let end = format!("\"{}", "#".repeat(fences));
        let length = inside.find(&end).map_or(inside.len(), |at| at + end.len());
        return Some(prefix + 1 + fences + 1 + length);
    }
    let inside = unprefixed.strip_prefix('"')?;
    let mut escaped = false;
    for (at, character) in inside.char_indices() {
        match character {
            '"' if !escaped => return Some(prefix + 1 + at + 1),
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    Some(rest.len())
}

/// A character literal ends with its quote; a lifetime is the quote alone.
fn character_length(rest: &str) -> usize {
    let inside = rest.trim_start_matches('\'');
    let longest = if inside.starts_with('\\') { 12 } else { 1 };
    let end = rest
        .char_indices()
        .skip(if inside.starts_with('\\') { 3 } else { 2 })
        .take(longest)
        .find(|(_, character)| *character == '\'');
    end.map_or(1, |(at, _)| at + 1)
}

#[cfg(test)]
mod tests {
    use super::{module_of, paths, production, tokens};

    #[test]
    fn use_trees_are_spread_out() {
        let text =
            "use crate::{http::{auth, error::ApiError as Refusal}, settings::*};\nuse std::fs;";
        assert_eq!(
            paths("crate::startup", text),
            [
                "crate::http::auth",
                "crate::http::error::ApiError",
                "crate::settings::*",
                "std::fs"
            ]
        );
    }

    #[test]
    fn relative_paths_are_resolved_and_paths_in_code_are_seen() {
        let text = "use super::keys;\nuse self::{attempts::Attempts};\nfn f() { let x = super::super::adapters::open(std::fs::read); }";
        assert_eq!(
            paths("crate::http::auth", text),
            [
                "crate::adapters::open",
                "crate::http::auth::attempts::Attempts",
                "crate::http::keys",
                "std::fs::read"
            ]
        );
        assert_eq!(paths("crate", "use postroom::cli;"), ["crate::cli"]);
    }

    #[test]
    fn comments_and_literals_name_nothing() {
        let text = r##"
            // std::fs::read
            /* std::net::x */
            const A: &str = "std::fs::\" a::b";
            const B: &str = r#"x::y " z::w"#;
            fn f<'a>(c: char) -> bool { c == '"' || c == '\'' || c == '\u{7f}' }
            fn g() -> real::Path {}
        "##;
        assert_eq!(paths("crate", text), ["real::Path"]);
        assert!(tokens("'a' 'b").len() > 1);
    }

    #[test]
    fn test_modules_are_no_production() {
        let text = "use a::b;\n#[cfg(test)]\nmod tests;\nuse c::d;\n#[cfg(test)]\nmod more {\n    use e::f;\n}\nuse g::h;";
        assert_eq!(paths("crate", text), ["a::b", "c::d", "g::h"]);
        assert_eq!(production("a\n#[cfg(test)]\nmod tests {\n}\n"), "a");
    }

    #[test]
    fn files_are_modules() {
        assert_eq!(module_of("http/auth/keys.rs"), "crate::http::auth::keys");
        assert_eq!(module_of("lib.rs"), "crate");
    }
}
