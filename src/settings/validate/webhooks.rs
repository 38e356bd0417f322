//! `keys.NAME.webhook_…`: where the holder of a key hears of background responses that have ended.

use super::Checker;
use crate::{
    settings::{WebhookSettings, raw::RawKey},
    webhook_signature::SigningKey,
};

impl Checker<'_> {
    /// A webhook has both a URL and a secret: whoever gets an event must be able to tell that it is ours.
    pub(super) fn webhook(&mut self, name: &str, raw: &RawKey) -> Option<WebhookSettings> {
        let at = |key: &str| format!("keys.{name}.{key}");
        let allow_private = raw.webhook_allow_private.unwrap_or_default();
        let url = raw.webhook_url.as_deref().filter(|url| !url.is_empty());
        let (url, secret) = match (url, &raw.webhook_secret) {
            (None, None) => return None,
            (Some(url), Some(secret)) => (url, secret),
            (Some(_), None) => {
                self.refuse(
                    &at("webhook_secret"),
                    "is missing; events are signed with it",
                );
                return None;
            }
            (None, Some(_)) => {
                self.refuse(&at("webhook_url"), "is missing; events are posted there");
                return None;
            }
        };
        let url = self.address_to_post_to(&at("webhook_url"), url, allow_private);
        let signing = SigningKey::parse(secret.expose())
            .map_err(|error| self.refuse(&at("webhook_secret"), error.to_string()))
            .ok();
        Some(WebhookSettings {
            url: url?.into(),
            signing: signing?,
            allow_private,
        })
    }
}
