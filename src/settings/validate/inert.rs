//! What a file for the whole product may say and this version does not act on.

use super::Checker;
use crate::settings::layers::Layer;

/// Beginnings of keys without effect, and how the warning names them.
const WITHOUT_EFFECT: [(&[&str], &str); 13] = [
    (&["agents"], "[agents]"),
    (&["peers"], "[peers]"),
    (&["bridge"], "[bridge]"),
    (&["upstream_proxy"], "[upstream_proxy]"),
    (&["embeddings"], "[embeddings]"),
    (&["models", "list_agents"], "models.list_agents"),
    (&["store", "url"], "store.url"),
    (&["store", "credentials"], "store.credentials"),
    (&["store", "replicas"], "store.replicas"),
    (&["store", "durability"], "store.durability"),
    (&["limits", "hops"], "limits.hops"),
    (&["limits", "embeddings_body"], "limits.embeddings_body"),
    (&["telemetry", "otlp_endpoint"], "telemetry.otlp_endpoint"),
];
impl Checker<'_> {
    /// One warning for each section or key that is set and does nothing.
    pub(super) fn warn_of_what_has_no_effect(&mut self) {
        for (start, name) in WITHOUT_EFFECT {
            let told = self.layers.iter().any(|(path, leaf)| {
                leaf.source.layer > Layer::Default
                    && path
                        .iter()
                        .map(String::as_str)
                        .take(start.len())
                        .eq(start.iter().copied())
            });
            if told {
                self.warnings.push(format!(
                    "`{name}` is set but this version does not act on it"
                ));
            }
        }
    }
}
