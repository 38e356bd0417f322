//! The JSON schema of `postroom.toml`, made from [`super::raw`].

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use super::raw::RawConfig;

/// The schema as a JSON value.
pub fn schema() -> Value {
    let generator = SchemaSettings::draft2020_12().with(|s| s.inline_subschemas = true);
    let mut schema = Value::from(
        generator
            .into_generator()
            .into_root_schema_for::<RawConfig>(),
    );
    drop_nulls(&mut schema);
    if let Some(object) = schema.as_object_mut() {
        object.insert("title".to_owned(), "postroom.toml".into());
    }
    schema
}

/// The schema as the text of `config/postroom.schema.json`.
pub fn schema_text() -> String {
    format!("{:#}\n", schema())
}

/// TOML has no null: an absent key is absent.
fn drop_nulls(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            for (keyword, inner) in object.iter_mut() {
                match inner {
                    // The names in here are keys of ours, not words of JSON schema.
                    Value::Object(keys) if keyword == "properties" => {
                        keys.values_mut().for_each(drop_nulls);
                    }
                    inner => drop_nulls(inner),
                }
            }
            drop_null_type(object);
            drop_null_choice(object);
            object.remove("default");
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

fn drop_null_type(object: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(values)) = object.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
}

fn drop_null_choice(object: &mut Map<String, Value>) {
    let Some(Value::Array(choices)) = object.get_mut("anyOf") else {
        return;
    };
    choices.retain(|choice| choice.get("type") != Some(&Value::from("null")));
    let [Value::Object(only)] = choices.as_slice() else {
        return;
    };
    let only = only.clone();
    object.remove("anyOf");
    for (key, value) in only {
        object.entry(key).or_insert(value);
    }
}
