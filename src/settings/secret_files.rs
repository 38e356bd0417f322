//! `x_file` beside each secret `x`: the secret is read from that file.

use std::{
    fs::File,
    io::Read,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use toml::Value;

use super::{
    check::check,
    layers::{KeyPath, Layers, Leaf},
    problem::Problem,
    shape::{Shape, TableShape},
};

const LARGEST: u64 = 64 * 1024;

/// Puts the contents of secret files in the place of their names; gives problems and warnings.
pub(super) fn read(
    shape: &TableShape,
    layers: &mut Layers,
    path_of: impl Fn(&str) -> Result<PathBuf, String>,
) -> (Vec<Problem>, Vec<String>) {
    let (mut problems, mut warnings) = (Vec::new(), Vec::new());
    for (secret_path, file_path, shape) in named_files(shape, layers) {
        let Some(file) = layers.get(&file_path).cloned() else {
            continue;
        };
        if let Some(secret) = layers.get(&secret_path) {
            if secret.source.layer == file.source.layer {
                let both = format!(
                    "`{}` and `{}` are both set; keep one",
                    secret_path.join("."),
                    file_path.join(".")
                );
                problems.push(Problem::new(file.source.place.clone(), both));
            }
            if secret.source.layer >= file.source.layer {
                continue;
            }
        }
        let name = file.value.as_str().unwrap_or_default();
        let text = path_of(name).and_then(|path| {
            warnings.extend(open_to_others(&path));
            secret_in(&path)
        });
        let value = text
            .map(Value::String)
            .and_then(|value| check(shape, &value).map(|()| value));
        match value {
            Ok(value) => layers.set(
                secret_path,
                Leaf {
                    value,
                    source: file.source,
                    secret: true,
                },
            ),
            Err(error) => {
                let text = format!("`{}`: {error}", file_path.join("."));
                problems.push(Problem::new(file.source.place, text));
            }
        }
    }
    (problems, warnings)
}

/// The files that hold secrets and are named by keys that end in `_file`.
pub(super) fn files(shape: &TableShape, layers: &Layers) -> Vec<String> {
    let keys = named_files(shape, layers).into_iter();
    let files = keys.filter_map(|(_, file, _)| {
        let name = layers.get(&file)?.value.as_str()?;
        Some(name.to_owned())
    });
    files.filter(|name| !name.is_empty()).collect()
}

fn named_files<'a>(root: &'a TableShape, layers: &Layers) -> Vec<(KeyPath, KeyPath, &'a Shape)> {
    let file_keys = layers.iter().filter_map(|(path, _)| {
        let (last, parents) = path.split_last()?;
        let secret_name = last.strip_suffix("_file")?;
        let mut secret_path = parents.to_vec();
        secret_path.push(secret_name.to_owned());
        let shape = root.find(&secret_path).filter(|shape| shape.secret)?;
        Some((secret_path, path.clone(), shape))
    });
    file_keys.collect()
}

fn secret_in(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let unreadable = |error| format!("cannot read `{shown}`: {error}");
    let file = File::open(path).map_err(unreadable)?;
    let mut text = String::new();
    file.take(LARGEST + 1)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    if text.len() > usize::try_from(LARGEST).unwrap_or(usize::MAX) {
        return Err(format!("`{shown}` is larger than 64 KiB"));
    }
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// A warning where others than the owner may read a file that holds a secret.
pub fn open_to_others(path: &Path) -> Option<String> {
    let mode = path.metadata().ok()?.permissions().mode() & 0o777;
    (mode & 0o077 != 0).then(|| {
        format!(
            "`{}` holds a secret and has mode {mode:04o}: others can reach it; use 0600",
            path.display()
        )
    })
}
