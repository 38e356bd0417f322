//! Log lines for people and for `grep`: `<time> <LEVEL> <words> name=value …`, as the predecessor's.

use std::fmt::{self, Write};

use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::Writer,
        time::{ChronoLocal, FormatTime},
    },
    registry::LookupSpan,
};

/// One line an event.
#[derive(Debug)]
pub(super) struct TextFormat {
    timer: ChronoLocal,
}

impl Default for TextFormat {
    fn default() -> Self {
        Self {
            timer: ChronoLocal::new("%Y-%m-%d %H:%M:%S,%3f".to_owned()),
        }
    }
}

impl<S, N> FormatEvent<S, N> for TextFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        self.timer.format_time(&mut writer)?;
        let mut fields = Fields::default();
        event.record(&mut fields);
        let level = event.metadata().level();
        writeln!(writer, " {level} {}{}", fields.message, fields.others)
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    others: String,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = escape(&format!("{value:?}"));
        // Writing to a string does not fail.
        let written = match field.name() {
            "message" => write!(self.message, "{text}"),
            name => write!(self.others, " {name}={text}"),
        };
        written.ok();
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let text = escape(value);
        write!(self.others, " {}={text}", field.name()).ok();
    }
}

/// One event is one line, whatever a sender wrote.
fn escape(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let escaped = c.is_control().then(|| c.escape_default());
            let plain = (!c.is_control()).then_some(c);
            escaped.into_iter().flatten().chain(plain)
        })
        .collect()
}
