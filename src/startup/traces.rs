//! Where traces go, from the configuration.

use std::{sync::Arc, time::Duration};

use postroom_actors::{domain::trace_context::Sampling, ports::traces::Traces};

use super::StartError;
use crate::{
    adapters::otlp::{self, ExportPace, OtlpExport},
    settings::TelemetrySettings,
};

/// How long the end of the service waits for a collector.
const FLUSH: Duration = Duration::from_secs(2);

/// Starts the export, where there is a collector.
///
/// # Errors
/// [`StartError::Traces`].
pub(super) fn start(settings: &TelemetrySettings) -> Result<Option<Arc<OtlpExport>>, StartError> {
    let Some(endpoint) = &settings.otlp_endpoint else {
        return Ok(None);
    };
    let export = OtlpExport::start(endpoint, ExportPace::default())?;
    Ok(Some(Arc::new(export)))
}

/// What everybody records with.
pub(super) fn traces(settings: &TelemetrySettings, export: Option<&Arc<OtlpExport>>) -> Traces {
    let sampling = Sampling::percent(settings.sampling_percent);
    Traces::new(export.map(otlp::sink), sampling)
}

/// Sends what waits, as far as the collector takes it in time.
pub(super) async fn close(export: Option<Arc<OtlpExport>>) {
    if let Some(export) = export {
        export.close(FLUSH).await;
    }
}
