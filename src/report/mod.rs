//! Facts for eyes.

/// One line for the run log about one record.
#[must_use]
pub fn line(record: &crate::model::Record, _zone: &jiff::tz::TimeZone) -> Option<String> {
    Some(format!("{:?}", record.event))
}
