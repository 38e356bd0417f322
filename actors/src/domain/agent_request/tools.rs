//! `tools` and `tool_choice`.

use serde_json::Value;

use super::{
    RequestFault,
    fields::{Fields, Path},
};

/// How a function tool is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Its name stands in `function`.
    Chat,
    /// Its name stands in the tool itself.
    Response,
}

const NAME: &str = "a name of 1 to 64 of a-z, A-Z, 0-9, `_` and `-`";

/// Checks that tools can be read. Tools that are no functions are fine as long as they have a type.
pub(super) fn check(fields: Fields<'_>, form: Form) -> Result<(), RequestFault> {
    let tools = fields
        .array("tools")?
        .map(Vec::as_slice)
        .unwrap_or_default();
    let mut names = Vec::new();
    for (index, tool) in tools.iter().enumerate() {
        let tool = Fields::at(Path::Element("tools", index), tool)?;
        match tool.string("type")? {
            Some("function") => names.push(check_function(tool, form)?),
            Some(_) => {}
            None => return Err(tool.missing("type", "a string, as `function`")),
        }
    }
    check_choice(fields, !tools.is_empty(), &names, form)
}

fn check_function(tool: Fields<'_>, form: Form) -> Result<&str, RequestFault> {
    let function = match form {
        Form::Response => tool,
        Form::Chat => tool
            .object("function")?
            .ok_or_else(|| tool.missing("function", "an object with the function's name"))?,
    };
    function.object("parameters")?;
    match function.get("name") {
        Some(Value::String(name)) if is_name(name) => Ok(name),
        Some(other) => Err(function.wrong("name", NAME, other)),
        None => Err(function.missing("name", NAME)),
    }
}

fn is_name(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (1..=64).contains(&name.len()) && name.bytes().all(is_allowed)
}

fn check_choice(
    fields: Fields<'_>,
    has_tools: bool,
    names: &[&str],
    form: Form,
) -> Result<(), RequestFault> {
    let expected = "`none`, `auto`, `required`, or an object that names a tool";
    match fields.get("tool_choice") {
        None => Ok(()),
        Some(Value::String(choice)) => match choice.as_str() {
            "none" | "auto" => Ok(()),
            "required" if has_tools => Ok(()),
            "required" => Err(RequestFault::invalid(
                "tool_choice",
                "`none` or `auto` where no `tools` are given",
                "`required`",
            )),
            _ => Err(fields.wrong("tool_choice", expected, &Value::String(choice.clone()))),
        },
        Some(Value::Object(_)) => check_named(fields, names, form),
        Some(other) => Err(fields.wrong("tool_choice", expected, other)),
    }
}

fn check_named(fields: Fields<'_>, names: &[&str], form: Form) -> Result<(), RequestFault> {
    let Some(choice) = fields.object("tool_choice")? else {
        return Ok(());
    };
    match choice.string("type")? {
        Some("function") => {}
        Some(_) => return Ok(()),
        None => return Err(choice.missing("type", "a string, as `function`")),
    }
    let wanted = match form {
        Form::Response => choice.get("name"),
        Form::Chat => choice
            .get("function")
            .and_then(|function| function.get("name")),
    };
    match wanted.and_then(Value::as_str) {
        Some(name) if names.contains(&name) => Ok(()),
        _ => {
            let came = wanted.unwrap_or(&Value::Null);
            Err(fields.wrong("tool_choice", "a function that is among `tools`", came))
        }
    }
}
