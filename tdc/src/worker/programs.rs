//! Programs by capability: fetched once, kept for the next unit.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use crate::config;

#[derive(Debug)]
enum Program {
    Fetching,
    Here(Bytes),
}

/// A few programs; the one that was used longest ago goes first.
#[derive(Debug, Default)]
pub(super) struct Programs {
    programs: BTreeMap<String, Program>,
    used: VecDeque<String>,
}

/// What to do for a program.
pub(super) enum Found {
    /// Here it is.
    Here(Bytes),
    /// Somebody asked for it already.
    Fetching,
    /// It must be fetched; it counts as being fetched from now on.
    Missing,
}

impl Programs {
    pub(super) fn find(&mut self, capability: &str) -> Found {
        match self.programs.get(capability) {
            Some(Program::Fetching) => return Found::Fetching,
            Some(Program::Here(bytes)) => {
                let found = Found::Here(bytes.clone());
                self.used.retain(|other| other != capability);
                self.used.push_back(capability.to_owned());
                return found;
            }
            None => {}
        }
        self.programs.insert(capability.to_owned(), Program::Fetching);
        Found::Missing
    }

    /// It came, or did not.
    pub(super) fn fetched(&mut self, capability: String, bytes: Option<Bytes>) {
        self.programs.remove(&capability);
        let Some(bytes) = bytes else { return };
        while self.used.len() >= config::CACHED_PROGRAMS {
            if let Some(oldest) = self.used.pop_front() {
                self.programs.remove(&oldest);
            }
        }
        self.used.push_back(capability.clone());
        self.programs.insert(capability, Program::Here(bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_fetched_once_and_the_unused_go() {
        let mut programs = Programs::default();
        assert!(matches!(programs.find("0"), Found::Missing));
        assert!(matches!(programs.find("0"), Found::Fetching));
        programs.fetched("0".into(), None);
        for name in 0..=config::CACHED_PROGRAMS {
            assert!(matches!(programs.find(&name.to_string()), Found::Missing));
            programs.fetched(name.to_string(), Some(Bytes::new()));
            assert!(matches!(programs.find("0"), Found::Here(_)), "the used one stays");
        }
        assert!(matches!(programs.find("1"), Found::Missing));
    }
}
