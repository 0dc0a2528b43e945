//! Protocol code is handed time, bytes and randomness: it never fetches them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::command::{Outcome, read};

use super::mask::{code, is_word, line, without_tests, words};
use super::workspace::{LAYERS, Layer, Workspace, files};
use super::{Finding, Rule};

/// Names that protocol code must not contain, with what to do instead.
const FORBIDDEN: [(Rule, &[&str], &str); 6] = [
    (
        Rule::Async,
        &["tokio", "async", "await", "futures"],
        "a protocol is polled by its owner: async code lives in the runtime",
    ),
    (
        Rule::Socket,
        &[
            "UdpSocket",
            "TcpStream",
            "TcpListener",
            "TcpSocket",
            "UnixStream",
            "UnixListener",
            "UnixDatagram",
            "socket2",
            "quinn",
        ],
        "give out Transmit and take handle_datagram: sockets live in the runtime",
    ),
    (
        Rule::Clock,
        &["Instant", "SystemTime", "UNIX_EPOCH"],
        "take `now: Time`: clocks live in the runtime",
    ),
    (
        Rule::Randomness,
        &["rand", "thread_rng", "getrandom", "OsRng", "SysRng", "SystemRandom", "RandomState"],
        "draw from the `Rng` that was handed in",
    ),
    (Rule::Thread, &["thread", "rayon"], "give out Io work: threads live in the runtime"),
    (
        Rule::Surroundings,
        &["fs", "env", "process"],
        "give out Io work or take a value: files and environment live in the runtime",
    ),
];

/// Words that are forbidden only as part of a path (`fs::read`, `std::env`), because they are names elsewhere.
const ONLY_IN_PATHS: [&str; 6] = ["fs", "env", "process", "thread", "rand", "futures"];

/// Calls that visit a collection in its own order.
const VISITS: [&str; 16] = [
    "iter",
    "iter_mut",
    "into_iter",
    "keys",
    "into_keys",
    "values",
    "values_mut",
    "into_values",
    "drain",
    "retain",
    "extract_if",
    "union",
    "intersection",
    "difference",
    "symmetric_difference",
    "par_iter",
];

/// Checks the protocol of every layer.
pub(super) fn check(workspace: &Workspace) -> Outcome<Vec<Finding>> {
    let mut findings = Vec::new();
    for layer in LAYERS {
        let Some(member) = workspace.member(layer.name) else { continue };
        let source = member.folder.join("src");
        let files: Vec<_> = files(&workspace.root, &source)
            .into_iter()
            .filter(|(place, path)| place.ends_with(".rs") && in_protocol(&layer, &source, path))
            .collect();
        let tests = test_files(&files)?;
        for (place, path) in files.iter().filter(|(_, path)| !is_test(path, &tests)) {
            findings.extend(check_text(place, &read(path)?));
        }
    }
    Ok(findings)
}

fn in_protocol(layer: &Layer, source: &Path, path: &Path) -> bool {
    let Ok(relative) = path.strip_prefix(source) else { return false };
    let first = relative.components().next().map(|part| part.as_os_str().to_string_lossy());
    first.is_some_and(|name| !layer.outside_protocol.contains(&name.trim_end_matches(".rs")))
}

/// The files and folders of modules that are compiled for tests only.
fn test_files(files: &[(String, PathBuf)]) -> Outcome<BTreeSet<PathBuf>> {
    let mut tests = BTreeSet::new();
    for (_, path) in files {
        let text = read(path)?;
        let (_, modules) = without_tests(&code(&text), &text);
        let Some(folder) = path.parent() else { continue };
        let stem = path.file_stem().unwrap_or_default();
        for name in modules {
            if name.ends_with(".rs") {
                tests.insert(folder.join(name));
                continue;
            }
            // In `mod.rs` and `lib.rs` modules lie beside, in `x.rs` they lie in `x/`.
            let own = if stem == "mod" || stem == "lib" {
                folder.to_path_buf()
            } else {
                folder.join(stem)
            };
            tests.insert(own.join(format!("{name}.rs")));
            tests.insert(own.join(name));
        }
    }
    Ok(tests)
}

fn is_test(path: &Path, tests: &BTreeSet<PathBuf>) -> bool {
    path.ancestors().any(|part| tests.contains(part))
}

/// Checks the text of one protocol file.
pub(super) fn check_text(place: &str, text: &str) -> Vec<Finding> {
    let (code, _) = without_tests(&code(text), text);
    let mut findings = Vec::new();
    for (rule, names, advice) in FORBIDDEN {
        for name in names {
            for at in words(&code, name).filter(|at| counts(&code, *at, name)) {
                let message = format!("`{name}` in protocol code: {advice}");
                findings.push(Finding {
                    rule,
                    place: format!("{place}:{}", line(&code, at)),
                    message,
                });
            }
        }
    }
    findings.extend(hash_iteration(place, &code));
    findings
}

/// Whether a forbidden word at `at` means the forbidden thing.
fn counts(code: &str, at: usize, name: &str) -> bool {
    if !ONLY_IN_PATHS.contains(&name) {
        return true;
    }
    let before = code[..at].trim_end();
    let after = code[at + name.len()..].trim_start();
    // A module of our own is reached by `crate::`, `self::` or `super::`, and is not the foreign one.
    let own = ["crate::", "self::", "super::"].iter().any(|start| before.ends_with(start));
    !own && (after.starts_with("::") || before.ends_with("std::"))
}

fn hash_iteration(place: &str, code: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for name in hash_names(code) {
        for at in words(code, &name).filter(|at| visits(code, *at, &name)) {
            findings.push(Finding {
                rule: Rule::HashIteration,
                place: format!("{place}:{}", line(code, at)),
                message: format!("`{name}` is visited in hash order, which differs from run to run: use a BTreeMap or BTreeSet, or sort"),
            });
        }
    }
    findings
}

/// The fields, variables and functions of a file whose type begins with a hash collection.
fn hash_names(code: &str) -> BTreeSet<String> {
    let mut types: BTreeSet<String> = ["HashMap", "HashSet"].map(str::to_owned).into();
    let mut names = BTreeSet::new();
    loop {
        let before = types.len();
        for kind in types.clone() {
            for at in words(code, &kind) {
                match declared_before(&code[..at]) {
                    Some(Declared::Alias(name)) => drop(types.insert(name)),
                    Some(Declared::Value(name)) => drop(names.insert(name)),
                    None => {}
                }
            }
        }
        if types.len() == before {
            return names;
        }
    }
}

enum Declared {
    Alias(String),
    Value(String),
}

/// What the text before a type declares with it: `name: &mut std::…::`, `let name =`, `fn name(…) ->`, `type name =`.
fn declared_before(text: &str) -> Option<Declared> {
    let mut before = text.trim_end();
    // The path that leads to the type, and the wrappers that are looked through.
    loop {
        let shorter = before
            .trim_end_matches(|letter: char| is_word(letter) && before.ends_with("::"))
            .trim_end_matches("::")
            .trim_end();
        let shorter = ["Option<", "Box<", "&mut", "&", "mut", "collections", "std"]
            .iter()
            .find_map(|wrapper| shorter.strip_suffix(wrapper))
            .unwrap_or(shorter)
            .trim_end();
        let shorter = strip_lifetime(shorter);
        if shorter.len() == before.len() {
            break;
        }
        before = shorter;
    }
    if let Some(rest) = before.strip_suffix("->") {
        let opened = rest.rfind("fn ")?;
        return Some(Declared::Value(leading_word(&rest[opened + 3..])?));
    }
    if let Some(rest) = before.strip_suffix(':') {
        return Some(Declared::Value(trailing_word(rest)?));
    }
    let rest = before.strip_suffix('=')?.trim_end();
    // `type Name<…> =` or `let name =`.
    let statement = &rest[rest.rfind(['{', ';', '}']).map_or(0, |at| at + 1)..];
    if let Some(at) = words(statement, "type").next() {
        return Some(Declared::Alias(leading_word(statement[at + 4..].trim_start())?));
    }
    Some(Declared::Value(trailing_word(rest)?))
}

fn strip_lifetime(text: &str) -> &str {
    let shorter = text.trim_end_matches(is_word);
    shorter.strip_suffix('\'').map_or(text, str::trim_end)
}

fn leading_word(text: &str) -> Option<String> {
    let end = text.find(|letter| !is_word(letter)).unwrap_or(text.len());
    (end > 0).then(|| text[..end].to_owned())
}

fn trailing_word(text: &str) -> Option<String> {
    let text = text.trim_end();
    let start = text.rfind(|letter| !is_word(letter)).map_or(0, |at| at + 1);
    (start < text.len()).then(|| text[start..].to_owned())
}

/// Whether the collection `name` at `at` is visited: `name.iter()`, `name().keys()`, `for x in &name {`.
fn visits(code: &str, at: usize, name: &str) -> bool {
    let mut after = code[at + name.len()..].trim_start();
    if after.starts_with('(') {
        after = code[super::mask::closing(code, code.len() - after.len())..].trim_start();
    }
    if let Some(call) = after.strip_prefix('.') {
        let call = call.trim_start();
        return leading_word(call).is_some_and(|word| VISITS.contains(&word.as_str()));
    }
    if !after.starts_with('{') {
        return false;
    }
    let owner = code[..at].trim_end_matches(|letter: char| is_word(letter) || letter == '.');
    let head = owner.trim_end_matches(['&', ' ']);
    let head = head.strip_suffix("&mut").unwrap_or(head).trim_end();
    head.ends_with(" in") || head.ends_with("\tin")
}
