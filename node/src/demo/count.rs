//! The plain word count: what the distributed one must agree with.

use std::collections::BTreeMap;

/// How often each word occurs. A word is a run of ASCII letters and digits, in lower case: the same
/// definition as the guest program's (`tdc/guest/wordcount`).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Words(BTreeMap<String, u64>);

impl Words {
    /// Counts the words of a text.
    pub(super) fn of(text: &[u8]) -> Self {
        let mut counts: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
        let mut lower = Vec::new();
        for word in text.split(|byte| !byte.is_ascii_alphanumeric()) {
            if word.is_empty() {
                continue;
            }
            lower.clear();
            lower.extend(word.iter().map(u8::to_ascii_lowercase));
            if let Some(count) = counts.get_mut(&lower) {
                *count += 1;
            } else {
                counts.insert(lower.clone(), 1);
            }
        }
        let words = counts.into_iter();
        Self(words.map(|(word, n)| (String::from_utf8_lossy(&word).into_owned(), n)).collect())
    }

    /// Reads the program's output: lines of a word and its count.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut counts = BTreeMap::new();
        for line in text.lines() {
            let parts = line.split_once(' ').and_then(|(word, n)| Some((word, n.parse().ok()?)));
            let (word, n) = parts.ok_or_else(|| format!("not a word and its count: {line:?}"))?;
            if counts.insert(word.to_owned(), n).is_some() {
                return Err(format!("the word {word:?} is counted twice"));
            }
        }
        Ok(Self(counts))
    }

    /// Words in all.
    pub(super) fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// Different words.
    pub(super) fn distinct(&self) -> usize {
        self.0.len()
    }

    /// The `most` most frequent words, the most frequent first.
    pub(super) fn top(&self, most: usize) -> Vec<(&str, u64)> {
        let mut words: Vec<_> = self.0.iter().map(|(word, &n)| (word.as_str(), n)).collect();
        words.sort_by_key(|&(word, n)| (std::cmp::Reverse(n), word));
        words.truncate(most);
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_runs_of_letters_and_digits_in_lower_case() {
        let words = Words::of("To be, or not to be: 2B!\n\u{e9}t\u{e9}".as_bytes());
        assert_eq!(words.total(), 8);
        assert_eq!(words.top(2), [("be", 2), ("to", 2)]);
        assert_eq!(Words::parse("2b 1\nbe 2\nnot 1\nor 1\nt 1\nto 2\n"), Ok(words));
    }

    #[test]
    fn output_that_is_no_count_is_refused() {
        assert!(Words::parse("be").is_err());
        assert!(Words::parse("be two").is_err());
        assert!(Words::parse("be 1\nbe 1").is_err());
    }
}
