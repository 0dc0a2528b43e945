//! Tox IDs, as bytes and as the text that people paste.

use toktok_wire::ToxId;

use crate::check::canonical;

/// The 38 bytes, and the text form in either case.
pub fn tox_id(data: &[u8]) {
    if let Some(id) = canonical::<ToxId>(data) {
        assert_eq!(id.to_string().parse(), Ok(id));
    }
    if let Ok(text) = core::str::from_utf8(data)
        && let Ok(id) = text.parse::<ToxId>()
    {
        assert_eq!(id.to_string(), text.to_uppercase());
    }
}
