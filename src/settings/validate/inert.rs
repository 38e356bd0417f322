//! What a file for the whole product may say and this version does not act on.

use super::Checker;
use crate::settings::layers::Layer;

/// Beginnings of keys without effect, and how the warning names them.
const WITHOUT_EFFECT: [(&[&str], &str); 4] = [
    (&["store", "url"], "store.url"),
    (&["store", "credentials"], "store.credentials"),
    (&["store", "replicas"], "store.replicas"),
    (&["store", "durability"], "store.durability"),
];

impl Checker<'_> {
    /// One warning for each section or key that is set and does nothing.
    pub(super) fn warn_of_what_has_no_effect(&mut self) {
        for (start, name) in WITHOUT_EFFECT {
            let told = self.layers.iter().any(|(path, leaf)| {
                leaf.source.layer > Layer::Default
                    && path.len() >= start.len()
                    && path.iter().zip(start).all(|(key, known)| key == known)
            });
            if told {
                self.warnings.push(format!(
                    "`{name}` is set but this version does not act on it"
                ));
            }
        }
    }
}
