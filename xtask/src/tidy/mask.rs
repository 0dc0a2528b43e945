//! Rust text with comments, strings and test code blanked, so that plain search finds code only.
//!
//! This is a lexer for the few things that matter here, not a parser. Line breaks and all positions stay.

/// Blanks comments and the contents of string and character literals.
pub(super) fn code(text: &str) -> String {
    let mut lexer = Lexer { rest: text, out: String::with_capacity(text.len()), word: false };
    while lexer.step() {}
    lexer.out
}

struct Lexer<'a> {
    rest: &'a str,
    out: String,
    /// Whether what was kept last is part of a word, so that a quote behind it opens no prefix.
    word: bool,
}

impl Lexer<'_> {
    fn step(&mut self) -> bool {
        let Some(first) = self.rest.chars().next() else { return false };
        if self.rest.starts_with("//") {
            self.blank(self.rest.find('\n').unwrap_or(self.rest.len()));
        } else if self.rest.starts_with("/*") {
            self.blank(block_comment(self.rest));
        } else if let Some(length) = (!self.word).then(|| raw_string(self.rest)).flatten() {
            self.blank(length);
        } else if first == '"' {
            self.blank(quoted(self.rest, '"'));
        } else if let Some(length) = character(self.rest) {
            self.blank(length);
        } else {
            self.keep(first);
        }
        true
    }

    fn keep(&mut self, letter: char) {
        self.out.push(letter);
        self.word = is_word(letter);
        self.rest = &self.rest[letter.len_utf8()..];
    }

    fn blank(&mut self, length: usize) {
        let (blanked, rest) = self.rest.split_at(length);
        for letter in blanked.chars() {
            // As many bytes as before, so that positions agree with the original.
            let filler = if letter == '\n' { "\n" } else { " " };
            self.out.push_str(&filler.repeat(letter.len_utf8()));
        }
        self.rest = rest;
        self.word = false;
    }
}

/// Whether a letter can be part of a name.
pub(super) fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(next) = text.get(at..) {
        if next.is_empty() {
            break;
        } else if next.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if next.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += next.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// The length of a raw string at the start of `text`.
fn raw_string(text: &str) -> Option<usize> {
    let prefix = ["br", "cr", "r"].iter().find(|prefix| text.starts_with(**prefix))?;
    let after = &text[prefix.len()..];
    let hashes = after.len() - after.trim_start_matches('#').len();
    let body = after[hashes..].strip_prefix('"')?;
    let closing = format!("\"{}", "#".repeat(hashes));
    let end = body.find(&closing).map_or(body.len(), |at| at + closing.len());
    Some(prefix.len() + hashes + 1 + end)
}

/// The length of a literal that `quote` opens and closes.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, letter) in text.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if letter == '\\' {
            escaped = true;
        } else if letter == quote {
            return at + quote.len_utf8();
        }
    }
    text.len()
}

/// The length of a character literal at the start of `text`; a lifetime is none.
fn character(text: &str) -> Option<usize> {
    let mut letters = text.strip_prefix('\'')?.chars();
    let first = letters.next()?;
    if first == '\\' {
        return Some(quoted(text, '\''));
    }
    (letters.next()? == '\'').then(|| 2 + first.len_utf8())
}

/// The position just behind the bracket that closes the one at `open`, in text without literals.
pub(super) fn closing(code: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, letter) in code[open..].char_indices() {
        match letter {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return open + at + 1;
                }
            }
            _ => {}
        }
    }
    code.len()
}

/// Blanks every item behind `#[cfg(test)]`, and names the modules that it keeps in files of their own.
///
/// `code` has its literals blanked, `text` is the original (for `#[path = "…"]`).
pub(super) fn without_tests(code: &str, text: &str) -> (String, Vec<String>) {
    const MARK: &str = "#[cfg(test)]";
    let mut out = code.to_owned();
    let mut modules = Vec::new();
    let mut from = 0;
    while let Some(found) = code[from..].find(MARK) {
        let start = from + found;
        let item = start + MARK.len();
        let end = item + code[item..].find(['{', ';']).map_or(code.len() - item, |at| at);
        let stop = if code[end..].starts_with('{') { closing(code, end) } else { end };
        if code[end..].starts_with(';') {
            modules.extend(module_name(&code[item..end], &text[item..end]));
        }
        let blanked: String = code[start..stop]
            .chars()
            .map(|letter| if letter == '\n' { '\n' } else { ' ' })
            .collect();
        if blanked.len() == stop - start {
            out.replace_range(start..stop, &blanked);
        }
        from = stop.max(item);
    }
    (out, modules)
}

/// The file that a `mod name;` stands for, without its folder: `name` or what `#[path]` says.
fn module_name(code: &str, text: &str) -> Option<String> {
    let name = code.split("mod ").nth(1)?.trim().to_owned();
    let path = text.split("path = \"").nth(1).and_then(|rest| rest.split('"').next());
    Some(path.map_or(name, str::to_owned))
}

/// The line of a position, counted from one.
pub(super) fn line(text: &str, at: usize) -> usize {
    1 + text[..at].matches('\n').count()
}

/// The positions where `word` stands by itself.
pub(super) fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(word).map(|(at, _)| at).filter(move |at| {
        let before = code[..*at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

#[cfg(test)]
mod tests {
    use super::{code, without_tests, words};

    #[test]
    fn literals_and_comments_are_blanked_and_positions_stay() {
        let text = "a /* b /* c */ d */ e \"f\\\" g\" 'h' '\\'' b\"i\" r#\"j\"k\"# &'l m // n\no";
        let masked = code(text);
        assert_eq!(masked.len(), text.len());
        for kept in ["a", "e", "l", "m", "o"] {
            assert_eq!(words(&masked, kept).count(), 1, "{kept} in {masked}");
        }
        for gone in ["c", "d", "f", "g", "h", "i", "j", "k", "n"] {
            assert_eq!(words(&masked, gone).count(), 0, "{gone} in {masked}");
        }
    }

    #[test]
    fn text_of_many_bytes_a_letter_keeps_its_positions() {
        let text = "let a = \"→ µ\"; // → done\nlet b = 'ä';";
        assert_eq!(code(text).len(), text.len());
        assert!(code(text).ends_with(';'));
    }

    #[test]
    fn tests_are_blanked_and_their_files_named() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests { fn b() {} }\nfn c() {}\n#[cfg(test)]\n#[path = \"d_tests.rs\"]\nmod d;\n#[cfg(test)]\nmod e;\nfn f() {}";
        let (left, modules) = without_tests(&code(text), text);
        assert_eq!(modules, ["d_tests.rs", "e"]);
        assert_eq!(left.matches("fn ").count(), 3, "{left}");
        assert!(left.contains("fn f()"));
    }
}
