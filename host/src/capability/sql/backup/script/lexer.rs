//! Where a statement ends, as psql's own lexer (`psqlscan.l`) has it.

/// What goes on where a piece of the text ends.
#[derive(Debug, Default)]
pub(super) struct Lexer {
    inside: Inside,
    parentheses: u32,
    /// Of a function's body in SQL (`BEGIN ATOMIC … END`), where semicolons end nothing.
    begins: u32,
    /// The statement's first words, in lower case.
    words: Vec<String>,
    /// `standard_conforming_strings` is off.
    pub(super) has_escapes_everywhere: bool,
}

#[derive(Debug, Default, PartialEq)]
enum Inside {
    #[default]
    Statement,
    Text {
        has_escapes: bool,
    },
    Name,
    /// With its tag, dollars included.
    Dollars(Vec<u8>),
    Comment {
        depth: u32,
    },
}

/// What a token was.
pub(super) enum Found {
    Nothing,
    /// A word or a sign of the statement, here.
    Word(usize),
    /// The statement's end.
    End,
    /// A backslash where no SQL has one.
    Order(usize),
}

impl Lexer {
    /// Whether a text, a name or a comment goes on.
    pub(super) fn is_inside(&self) -> bool {
        self.inside != Inside::Statement
    }

    /// Goes on by one token of `text` at least.
    pub(super) fn advance(&mut self, text: &[u8], at: &mut usize) -> Found {
        let here = *at;
        let rest = &text[here..];
        let next = rest.get(1).copied();
        *at += 1;
        match &mut self.inside {
            Inside::Statement => {}
            Inside::Text { has_escapes } => {
                match (rest[0], next) {
                    (b'\\', Some(_)) if *has_escapes => *at += 1,
                    (b'\'', Some(b'\'')) => *at += 1,
                    (b'\'', _) => self.inside = Inside::Statement,
                    _ => {}
                }
                return Found::Nothing;
            }
            Inside::Name => {
                match (rest[0], next) {
                    (b'"', Some(b'"')) => *at += 1,
                    (b'"', _) => self.inside = Inside::Statement,
                    _ => {}
                }
                return Found::Nothing;
            }
            Inside::Dollars(tag) => {
                if rest.starts_with(tag) {
                    *at = here + tag.len();
                    self.inside = Inside::Statement;
                }
                return Found::Nothing;
            }
            Inside::Comment { depth } => {
                match (rest[0], next) {
                    (b'/', Some(b'*')) => (*depth, *at) = (*depth + 1, here + 2),
                    (b'*', Some(b'/')) if *depth > 1 => (*depth, *at) = (*depth - 1, here + 2),
                    (b'*', Some(b'/')) => (self.inside, *at) = (Inside::Statement, here + 2),
                    _ => {}
                }
                return Found::Nothing;
            }
        }
        match (rest[0], next) {
            (byte, _) if byte.is_ascii_whitespace() => return Found::Nothing,
            (b'-', Some(b'-')) => {
                *at = here + rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
                return Found::Nothing;
            }
            (b'/', Some(b'*')) => {
                (self.inside, *at) = (Inside::Comment { depth: 1 }, here + 2);
                return Found::Nothing;
            }
            (b'\\', _) => return Found::Order(here),
            (b';', _) if self.parentheses == 0 && self.begins == 0 => {
                self.words.clear();
                return Found::End;
            }
            (b'\'', _) => self.inside = Inside::Text { has_escapes: self.has_escapes_everywhere },
            (b'e' | b'E', Some(b'\'')) => (self.inside, *at) = (Inside::Text { has_escapes: true }, here + 2),
            (b'"', _) => self.inside = Inside::Name,
            (b'(', _) => self.parentheses += 1,
            (b')', _) => self.parentheses = self.parentheses.saturating_sub(1),
            (b'$', _) => {
                if let Some(tag) = dollar_tag(rest) {
                    *at = here + tag.len();
                    self.inside = Inside::Dollars(tag.to_owned());
                }
            }
            (byte, _) if begins_word(byte) => {
                let length = rest.iter().position(|&byte| !continues_word(byte)).unwrap_or(rest.len());
                *at = here + length;
                self.word(&rest[..length]);
            }
            _ => {}
        }
        Found::Word(here)
    }

    fn word(&mut self, word: &[u8]) {
        let word = String::from_utf8_lossy(word).to_ascii_lowercase();
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        let creates_routine = match words.as_slice() {
            ["create", "or", "replace", kind, ..] | ["create", kind, ..] => matches!(*kind, "function" | "procedure"),
            _ => false,
        };
        if creates_routine && self.parentheses == 0 {
            match word.as_str() {
                "begin" => self.begins += 1,
                "case" if self.begins > 0 => self.begins += 1,
                "end" => self.begins = self.begins.saturating_sub(1),
                _ => {}
            }
        }
        if self.words.len() < 4 {
            self.words.push(word);
        }
    }
}

fn begins_word(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn continues_word(byte: u8) -> bool {
    begins_word(byte) || byte.is_ascii_digit() || byte == b'$'
}

/// `$$` or `$tag$` at the beginning of a text.
fn dollar_tag(text: &[u8]) -> Option<&[u8]> {
    let end = text.iter().skip(1).position(|&byte| byte == b'$' || !continues_word(byte))? + 1;
    let is_tag = text[end] == b'$' && !text[1].is_ascii_digit();
    is_tag.then(|| &text[..=end])
}
