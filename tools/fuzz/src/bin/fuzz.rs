//! The libFuzzer program: one binary, the target chosen by `FUZZ_TARGET`.
#![no_main]

use std::sync::OnceLock;

use toktok_fuzz::{Body, TARGETS, target};

static BODY: OnceLock<Body> = OnceLock::new();

/// The chosen body; says what there is to choose and ends the program when the choice is unknown.
fn choose() -> Body {
    let wanted = std::env::var("FUZZ_TARGET").unwrap_or_default();
    target(&wanted).unwrap_or_else(|| {
        let names: Vec<_> = TARGETS.iter().map(|(name, _)| *name).collect();
        eprintln!("FUZZ_TARGET={wanted:?} is unknown; set it to one of: {}", names.join(", "));
        std::process::exit(2)
    })
}

libfuzzer_sys::fuzz_target!(init: { BODY.get_or_init(choose); }, |data: &[u8]| {
    BODY.get_or_init(choose)(data)
});
