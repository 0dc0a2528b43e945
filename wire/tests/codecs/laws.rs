//! The laws. Macros and not functions, for a borrowed packet's type depends on the lifetime of the
//! bytes that it is decoded from.

/// Checks what holds for every kind: the length is foretold, and the encoding decodes to the value.
macro_rules! assert_round_trip {
    ($kind:ty, $value:expr) => {{
        let value: &$kind = &$value;
        let bytes = value.to_bytes();
        prop_assert_eq!(bytes.len(), value.encoded_len());
        let decoded = <$kind>::from_bytes(&bytes);
        prop_assert_eq!(decoded.as_ref(), Ok(value));
        bytes
    }};
}

/// For kinds that know their own end: every strict prefix is refused, and so is any more.
macro_rules! assert_exact {
    ($kind:ty, $value:expr) => {{
        let mut bytes = assert_round_trip!($kind, $value);
        for len in 0..bytes.len() {
            prop_assert!(<$kind>::from_bytes(&bytes[..len]).is_err(), "prefix of {} bytes", len);
        }
        bytes.push(0);
        prop_assert!(<$kind>::from_bytes(&bytes).is_err(), "one byte more");
    }};
}

/// For kinds that end where their packet ends: every prefix shorter than `least` is refused, and a
/// longer one is another value with its own encoding, or refused.
macro_rules! assert_open_ended {
    ($kind:ty, $value:expr, $least:expr) => {{
        let bytes = assert_round_trip!($kind, $value);
        let least: usize = $least;
        for len in 0..bytes.len() {
            let prefix = &bytes[..len];
            if let Ok(value) = <$kind>::from_bytes(prefix) {
                prop_assert!(len >= least, "prefix of {} bytes", len);
                prop_assert_eq!(value.to_bytes(), prefix);
            }
        }
    }};
}

/// If `bytes` are accepted, they re-encode to themselves.
macro_rules! assert_canonical {
    ($kind:ty, $bytes:expr) => {
        if let Ok(value) = <$kind>::from_bytes($bytes) {
            prop_assert_eq!(value.to_bytes(), $bytes);
        }
    };
}
