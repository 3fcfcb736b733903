//! Reads a source as tokens and finds the paths that it names. It knows nothing of modules.

use std::collections::BTreeMap;

/// The text with every comment and every string and character literal turned into spaces; lines stay where they are.
pub fn without_comments_and_literals(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut blanked = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let follows_word = at > 0 && is_of_word(bytes[at - 1]);
        let end = match &bytes[at..] {
            [b'/', b'/', ..] => at + bytes[at..].iter().position(|&byte| byte == b'\n').unwrap_or(bytes.len() - at),
            [b'/', b'*', ..] => end_of_block_comment(bytes, at),
            [b'"', ..] => end_of_quoted(bytes, at, b'"'),
            [b'\'', rest @ ..] if is_character(rest) => end_of_quoted(bytes, at, b'\''),
            [b'r', ..] | [b'b' | b'c', b'r', ..] if !follows_word => end_of_raw_string(bytes, at).unwrap_or(at),
            _ => at,
        };
        for byte in blanked[at..end].iter_mut().filter(|byte| **byte != b'\n') {
            *byte = b' ';
        }
        at = end.max(at + 1);
    }
    String::from_utf8_lossy(&blanked).into_owned()
}

fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// Tells a character literal from a lifetime by what follows the quote.
fn is_character(rest: &[u8]) -> bool {
    match rest {
        [b'\\', ..] => true,
        [first, ..] if *first >= 0x80 => rest.iter().take(5).any(|&byte| byte == b'\''),
        [_, b'\'', ..] => true,
        _ => false,
    }
}

fn end_of_quoted(bytes: &[u8], start: usize, quote: u8) -> usize {
    let mut at = start + 1;
    while at < bytes.len() && bytes[at] != quote {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

fn end_of_block_comment(bytes: &[u8], start: usize) -> usize {
    let mut depth = 0;
    let mut at = start;
    while at < bytes.len() {
        match &bytes[at..] {
            [b'/', b'*', ..] => {
                depth += 1;
                at += 2;
            }
            [b'*', b'/', ..] => {
                depth -= 1;
                at += 2;
            }
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    bytes.len()
}

/// `None` when no raw string begins here, as in `r#type` or `result`.
fn end_of_raw_string(bytes: &[u8], start: usize) -> Option<usize> {
    let hashes_from = start + if bytes[start] == b'r' { 1 } else { 2 };
    let hashes = bytes[hashes_from..].iter().take_while(|&&byte| byte == b'#').count();
    let opening = hashes_from + hashes;
    if bytes.get(opening) != Some(&b'"') {
        return None;
    }
    let closing: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
    let inside = bytes[opening + 1..].windows(closing.len()).position(|window| window == closing);
    Some(inside.map_or(bytes.len(), |inside| opening + 1 + inside + closing.len()))
}

/// A word, `::`, or one other character.
#[derive(Clone, Copy)]
pub struct Token<'a> {
    pub text: &'a str,
    pub line: usize,
}

pub fn tokens(text: &str) -> Vec<Token<'_>> {
    let bytes = text.as_bytes();
    let mut tokens = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < bytes.len() {
        let length = match &bytes[at..] {
            [b':', b':', ..] => 2,
            [byte, ..] if is_of_word(*byte) => bytes[at..].iter().take_while(|&&byte| is_of_word(byte)).count(),
            _ => 1,
        };
        line += usize::from(bytes[at] == b'\n');
        if !bytes[at].is_ascii_whitespace() {
            tokens.push(Token { text: &text[at..at + length], line });
        }
        at += length;
    }
    tokens
}

/// The index of the bracket that closes the one at `open`, or the last index.
pub fn closing(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0;
    for (index, token) in tokens.iter().enumerate().skip(open) {
        match token.text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return index;
        }
    }
    tokens.len().saturating_sub(1)
}

/// A file without its test items.
pub struct Untested<'a> {
    pub tokens: Vec<Token<'a>>,
    /// The names of the test modules that have a file of their own.
    pub test_modules: Vec<String>,
}

/// Drops every item under `#[cfg(test)]` or `#[cfg(all(test, ...))]`.
pub fn without_test_items<'a>(all: &[Token<'a>]) -> Untested<'a> {
    let mut kept = Vec::new();
    let mut test_modules = Vec::new();
    let mut at = 0;
    while at < all.len() {
        if !is_test_attribute(&all[at..]) {
            kept.push(all[at]);
            at += 1;
            continue;
        }
        while all.get(at).is_some_and(|token| token.text == "#") {
            at = closing(all, at + 1) + 1;
        }
        let item = at;
        while at < all.len() && all[at].text != ";" && all[at].text != "{" {
            let opens = ["(", "["].contains(&all[at].text);
            at = if opens { closing(all, at) + 1 } else { at + 1 };
        }
        match all.get(at) {
            Some(token) if token.text == "{" => at = closing(all, at) + 1,
            _ => {
                let declares = at >= item + 2 && at <= all.len() && all[at - 2].text == "mod";
                test_modules.extend(declares.then(|| all[at - 1].text.to_owned()));
                at += 1;
            }
        }
    }
    Untested { tokens: kept, test_modules }
}

fn is_test_attribute(tokens: &[Token]) -> bool {
    let begins = |words: &[&str]| words.iter().enumerate().all(|(index, word)| text_at(tokens, index) == *word);
    begins(&["#", "[", "cfg", "(", "test", ")"]) || begins(&["#", "[", "cfg", "(", "all", "(", "test", ","])
}

fn text_at<'a>(tokens: &[Token<'a>], index: usize) -> &'a str {
    tokens.get(index).map_or("", |token| token.text)
}

/// A path that a file names.
pub struct NamedPath {
    /// True when it leads into this crate; `segments` then begins with a module.
    pub is_of_crate: bool,
    pub segments: Vec<String>,
    pub line: usize,
}

/// Collects the paths of a file, from `use` declarations and from expressions and types.
pub struct Paths<'a> {
    tokens: &'a [Token<'a>],
    /// The file's module and the inline modules that are open, each of those with its depth in braces.
    module: Vec<String>,
    inline_depths: Vec<usize>,
    depth: usize,
    /// True in `main.rs`, to which the library is another crate.
    is_binary: bool,
    /// Names that the file itself brings in, and the paths they stand for.
    local: BTreeMap<String, Vec<String>>,
    found: Vec<NamedPath>,
}

impl<'a> Paths<'a> {
    pub fn of(tokens: &'a [Token<'a>], module: Vec<String>, is_binary: bool) -> Vec<NamedPath> {
        let mut paths = Self {
            tokens,
            module,
            inline_depths: Vec::new(),
            depth: 0,
            is_binary,
            local: BTreeMap::new(),
            found: Vec::new(),
        };
        // Twice, for a name may be used above the line that brings it in.
        paths.read();
        paths.found.clear();
        paths.read();
        paths.found
    }

    fn read(&mut self) {
        let mut at = 0;
        while at < self.tokens.len() {
            at = self.step(at);
        }
    }

    /// Reads what begins at `at` and says where to go on.
    fn step(&mut self, at: usize) -> usize {
        match self.text(at) {
            "mod" if is_word(self.text(at + 1)) => {
                self.local.insert(self.text(at + 1).to_owned(), vec!["self".to_owned(), self.text(at + 1).to_owned()]);
                if self.text(at + 2) == "{" {
                    self.module.push(self.text(at + 1).to_owned());
                    self.depth += 1;
                    self.inline_depths.push(self.depth);
                    return at + 3;
                }
                at + 2
            }
            "{" => {
                self.depth += 1;
                at + 1
            }
            "}" => {
                if self.inline_depths.last() == Some(&self.depth) {
                    self.inline_depths.pop();
                    self.module.pop();
                }
                self.depth = self.depth.saturating_sub(1);
                at + 1
            }
            "use" if self.text(at + 1) != "<" => {
                let end = self.use_tree(at + 1, &[]);
                end + usize::from(self.text(end) == ";")
            }
            word if is_word(word) && self.text(at + 1) == "::" && self.begins_a_path(at) => self.path(at),
            _ => at + 1,
        }
    }

    fn text(&self, at: usize) -> &'a str {
        text_at(self.tokens, at)
    }

    /// False in the middle of a path, as `b` in `a::b::c` and in `<T as A>::b::c`.
    fn begins_a_path(&self, at: usize) -> bool {
        let before = |back: usize| at.checked_sub(back).map_or("", |index| self.text(index));
        before(1) != "::" || !(is_word(before(2)) || before(2) == ">")
    }

    fn path(&mut self, start: usize) -> usize {
        let mut segments = vec![self.text(start).to_owned()];
        let mut at = start + 1;
        while self.text(at) == "::" && is_word(self.text(at + 1)) {
            segments.push(self.text(at + 1).to_owned());
            at += 2;
        }
        match self.local.get(&segments[0]) {
            // Bringing in a clock's type is harmless; what is called on it counts.
            Some(stands_for) if stands_for[0] == "std" => {
                segments.splice(0..1, stands_for.clone());
            }
            // Seen where it was brought in.
            Some(_) => return at,
            None => {}
        }
        self.add(segments, self.tokens[start].line);
        at
    }

    /// Reads one branch of a `use` declaration and says where it ends.
    fn use_tree(&mut self, start: usize, prefix: &[String]) -> usize {
        let mut segments = prefix.to_vec();
        let mut at = start + usize::from(self.text(start) == "::");
        let line = self.tokens.get(at).map_or(1, |token| token.line);
        loop {
            match self.text(at) {
                "{" => {
                    let end = closing(self.tokens, at);
                    at += 1;
                    while at < end {
                        at = self.use_tree(at, &segments);
                        at += usize::from(self.text(at) == ",");
                    }
                    return end + 1;
                }
                "*" => segments.push("*".to_owned()),
                "self" if !segments.is_empty() => {}
                word if is_word(word) => segments.push(word.to_owned()),
                // Not a declaration after all.
                _ => return at + 1,
            }
            at += 1;
            if self.text(at) != "::" {
                break;
            }
            at += 1;
        }
        let mut name = segments.last().cloned().unwrap_or_default();
        if self.text(at) == "as" {
            self.text(at + 1).clone_into(&mut name);
            at += 2;
        }
        // `use metrics;` brings in the crate by its own name: its paths still begin with the crate.
        if segments.len() > 1 {
            self.local.insert(name, segments.clone());
        }
        self.add(segments, line);
        at
    }

    /// Makes a path absolute and keeps it.
    fn add(&mut self, mut segments: Vec<String>, line: usize) {
        let mut inside = match segments[0].as_str() {
            "crate" => Some(Vec::new()),
            "tactful" if self.is_binary => Some(Vec::new()),
            "self" => Some(self.module.clone()),
            "super" => Some(self.module[..self.module.len().saturating_sub(1)].to_vec()),
            _ => None,
        };
        if let Some(module) = &mut inside {
            segments.remove(0);
            while segments.first().is_some_and(|segment| segment == "super") {
                segments.remove(0);
                module.pop();
            }
            segments.splice(0..0, module.drain(..));
        }
        self.found.push(NamedPath { is_of_crate: inside.is_some(), segments, line });
    }
}

fn is_word(text: &str) -> bool {
    text.bytes().next().is_some_and(|byte| is_of_word(byte) && !byte.is_ascii_digit())
}
