//! Cuts a rule into tokens, each with the column where it starts.
//!
//! It knows no tag and no grammar.

use crate::failure::Failure;

/// The longest rule, in bytes.
const MAX_LENGTH: usize = 16 * 1024;

/// A piece of a rule.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Open,
    Close,
    Not,
    Minus,
    /// `==`, `!=`, `<`, `<=`, `>`, `>=`, `=~` or `!~`.
    Operator(&'static str),
    /// Letters, digits and what else stands outside quotes.
    Word(String),
    /// What stood in quotes, without backslashes.
    Quoted(String),
    End,
}

impl std::fmt::Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Open => f.write_str("`(`"),
            Self::Close => f.write_str("`)`"),
            Self::Not => f.write_str("`!`"),
            Self::Minus => f.write_str("`-`"),
            Self::Operator(operator) => write!(f, "`{operator}`"),
            Self::Word(word) => write!(f, "`{word}`"),
            Self::Quoted(text) => write!(f, "\"{text}\""),
            Self::End => f.write_str("the end of the rule"),
        }
    }
}

/// A refusal that names the column, counted in characters from 1.
pub(super) fn wrong(column: usize, expected: &str, found: &dyn std::fmt::Display) -> Failure {
    Failure::invalid(format!("rule, column {column}: expected {expected}, found {found}"))
}

/// The tokens of a rule with their columns; the last one is `End`.
pub(super) fn tokens(rule: &str) -> Result<Vec<(usize, Token)>, Failure> {
    if rule.len() > MAX_LENGTH {
        let words = format!("the rule is {} bytes long; the longest allowed is {MAX_LENGTH}", rule.len());
        return Err(Failure::invalid(words));
    }
    let characters: Vec<char> = rule.chars().collect();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(&character) = characters.get(at) {
        let start = at;
        let next = characters.get(at + 1);
        let (token, length) = match (character, next) {
            (space, _) if space.is_whitespace() => {
                at += 1;
                continue;
            }
            ('(', _) => (Token::Open, 1),
            (')', _) => (Token::Close, 1),
            ('=', Some('=')) => (Token::Operator("=="), 2),
            ('=', Some('~')) => (Token::Operator("=~"), 2),
            ('!', Some('=')) => (Token::Operator("!="), 2),
            ('!', Some('~')) => (Token::Operator("!~"), 2),
            ('!', _) => (Token::Not, 1),
            ('<', Some('=')) => (Token::Operator("<="), 2),
            ('>', Some('=')) => (Token::Operator(">="), 2),
            ('<', _) => (Token::Operator("<"), 1),
            ('>', _) => (Token::Operator(">"), 1),
            ('-', _) => (Token::Minus, 1),
            ('"' | '\'', _) => quoted(&characters, at)?,
            (letter, _) if is_word(letter) => {
                let word: String =
                    characters[at..].iter().take_while(|&&letter| is_word(letter) || letter == '-').collect();
                let length = word.chars().count();
                (Token::Word(word), length)
            }
            (other, _) => return Err(wrong(start + 1, "a tag, a value or a bracket", &format!("`{other}`"))),
        };
        found.push((start + 1, token));
        at += length;
    }
    found.push((characters.len() + 1, Token::End));
    Ok(found)
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || matches!(letter, '_' | '.' | ':' | '+')
}

/// The quoted text that starts at `start`, and its length with quotes and backslashes.
fn quoted(characters: &[char], start: usize) -> Result<(Token, usize), Failure> {
    let quote = characters[start];
    let mut text = String::new();
    let mut rest = characters[start + 1..].iter();
    let mut length = 1;
    while let Some(&character) = rest.next() {
        length += 1;
        match character {
            '\\' => {
                let escaped = rest
                    .next()
                    .ok_or_else(|| wrong(start + length + 1, "a character after `\\`", &Token::End))?;
                text.push(*escaped);
                length += 1;
            }
            end if end == quote => return Ok((Token::Quoted(text), length)),
            other => text.push(other),
        }
    }
    Err(wrong(characters.len() + 1, &format!("a closing {quote} for column {}", start + 1), &Token::End))
}
