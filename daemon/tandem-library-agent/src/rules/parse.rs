//! Reads a rule. Every error names the column and what was expected there.
//!
//! The grammar is in the documentation of auto playlists; nesting is bounded.

use super::lexer::{Token, tokens, wrong};
use super::{
    Expression, Limit, NumberOperator, NumberTag, Rule, Sort, SortKey, TextOperator, TextTag, Time, TimeTag,
    regular_expression,
};
use crate::failure::Failure;

/// The deepest nesting of brackets.
const MAX_DEPTH: usize = 64;

const TAGS: &str = "a tag (artist, albumartist, album, title, track, disc, genre, date, composer, comment, label, \
                    rating, stars, playcount, duration, bitrate, size, format, file), added-since, modified-since, \
                    played-since, base, `!` or `(`";

type Outcome<T> = Result<T, Failure>;

/// Reads a rule.
pub(crate) fn parse(rule: &str) -> Outcome<Rule> {
    let mut parser = Parser { tokens: tokens(rule)?, at: 0, depth: 0 };
    let expression = parser.expression()?;
    let sort = if parser.takes_word("sort") { Some(parser.sort()?) } else { None };
    let limit = if parser.takes_word("limit") { Some(parser.limit()?) } else { None };
    match parser.peek() {
        Token::End => Ok(Rule { expression, sort, limit }),
        _ if limit.is_some() => Err(parser.wrong("the end of the rule")),
        _ if sort.is_some() => Err(parser.wrong("`limit` or the end of the rule")),
        _ => Err(parser.wrong("`sort`, `limit` or the end of the rule")),
    }
}

struct Parser {
    tokens: Vec<(usize, Token)>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> &Token {
        &self.tokens[self.at].1
    }

    /// Takes a token; the end is never passed.
    fn next(&mut self) -> Token {
        let token = self.tokens[self.at].1.clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    fn wrong(&self, expected: &str) -> Failure {
        let (column, token) = &self.tokens[self.at];
        wrong(*column, expected, token)
    }

    fn takes(&mut self, token: &Token) -> bool {
        let found = self.peek() == token;
        if found {
            self.next();
        }
        found
    }

    fn takes_word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Token::Word(found) if found == word);
        if found {
            self.next();
        }
        found
    }

    fn needs(&mut self, token: &Token, expected: &str) -> Outcome<()> {
        if self.takes(token) { Ok(()) } else { Err(self.wrong(expected)) }
    }

    fn expression(&mut self) -> Outcome<Expression> {
        self.needs(&Token::Open, "`(`")?;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.wrong(&format!("no more than {MAX_DEPTH} brackets within each other")));
        }
        let expression = match self.peek().clone() {
            Token::Not => {
                self.next();
                Expression::Not(Box::new(self.expression()?))
            }
            Token::Open => self.combination()?,
            Token::Word(word) => self.condition(&word)?,
            _ => return Err(self.wrong(TAGS)),
        };
        self.needs(&Token::Close, "`)`")?;
        self.depth -= 1;
        Ok(expression)
    }

    fn combination(&mut self) -> Outcome<Expression> {
        let mut parts = vec![self.expression()?];
        let is_or = matches!(self.peek(), Token::Word(word) if word == "OR");
        let combine = if is_or { Expression::Or } else { Expression::And };
        let (word, other) = if is_or { ("OR", "AND") } else { ("AND", "OR") };
        while self.takes_word(word) {
            parts.push(self.expression()?);
        }
        match self.peek() {
            Token::Word(found) if found == other => {
                Err(self
                    .wrong(&format!("{word} or `)`, because AND and OR don't mix in one pair of brackets")))
            }
            Token::Close if parts.len() == 1 => Ok(parts.remove(0)),
            Token::Close => Ok(combine(parts)),
            _ => Err(self.wrong("`)`, AND or OR")),
        }
    }

    fn condition(&mut self, word: &str) -> Outcome<Expression> {
        let since = match &*word.to_ascii_lowercase() {
            "added-since" => Some(TimeTag::Added),
            "modified-since" => Some(TimeTag::Modified),
            "played-since" => Some(TimeTag::Played),
            _ => None,
        };
        if let Some(tag) = since {
            self.next();
            return Ok(Expression::Since(tag, self.time()?));
        }
        if word.eq_ignore_ascii_case("base") {
            self.next();
            return self.text("a folder in quotes").map(Expression::Base);
        }
        let tag = tag(word).ok_or_else(|| self.wrong(TAGS))?;
        self.next();
        match tag {
            SortKey::Number(tag) => self.number_condition(tag),
            SortKey::Text(TextTag::Date) => self.date_condition(),
            SortKey::Text(tag) => self.text_condition(tag),
            SortKey::Time(_) | SortKey::Random => Err(self.wrong("a tag that can be compared")),
        }
    }

    fn text_condition(&mut self, tag: TextTag) -> Outcome<Expression> {
        let operator = match self.peek() {
            Token::Operator("==") => TextOperator::Equal,
            Token::Operator("!=") => TextOperator::NotEqual,
            Token::Operator("=~") => TextOperator::Matches,
            Token::Operator("!~") => TextOperator::MatchesNot,
            Token::Word(word) if word.eq_ignore_ascii_case("contains") => TextOperator::Contains,
            Token::Word(word) if word.eq_ignore_ascii_case("starts_with") => TextOperator::StartsWith,
            _ => return Err(self.wrong("==, !=, contains, starts_with, =~ or !~")),
        };
        self.next();
        let column = self.tokens[self.at].0;
        let value = self.text("a text in quotes")?;
        if matches!(operator, TextOperator::Matches | TextOperator::MatchesNot) {
            regular_expression(&value).map_err(|error| wrong(column, "a regular expression", &error))?;
        }
        Ok(Expression::Text(tag, operator, value))
    }

    /// A date is text, such as `1959-08-17`, and its year a number.
    fn date_condition(&mut self) -> Outcome<Expression> {
        let is_number = matches!(&self.tokens[(self.at + 1).min(self.tokens.len() - 1)].1, Token::Word(_));
        let is_order = matches!(self.peek(), Token::Operator("<" | "<=" | ">" | ">="));
        if is_order || is_number {
            self.number_condition(NumberTag::Year)
        } else {
            self.text_condition(TextTag::Date)
        }
    }

    fn number_condition(&mut self, tag: NumberTag) -> Outcome<Expression> {
        let operator = match self.peek() {
            Token::Operator("==") => NumberOperator::Equal,
            Token::Operator("!=") => NumberOperator::NotEqual,
            Token::Operator("<") => NumberOperator::Less,
            Token::Operator("<=") => NumberOperator::LessOrEqual,
            Token::Operator(">") => NumberOperator::Greater,
            Token::Operator(">=") => NumberOperator::GreaterOrEqual,
            _ => return Err(self.wrong("==, !=, <, <=, > or >=")),
        };
        self.next();
        let (largest, expected) = match tag {
            NumberTag::Stars => (5.0, "a number of stars from 0 to 5"),
            NumberTag::Rating => (99.0, "a rating from 0 to 99"),
            _ => (f64::MAX, "a number"),
        };
        let value = match self.peek() {
            Token::Word(word) | Token::Quoted(word) => number(word).filter(|value| *value <= largest),
            _ => None,
        };
        let value = value.ok_or_else(|| self.wrong(expected))?;
        self.next();
        Ok(Expression::Number(tag, operator, value))
    }

    fn text(&mut self, expected: &str) -> Outcome<String> {
        match self.peek().clone() {
            Token::Quoted(text) => {
                self.next();
                Ok(text)
            }
            _ => Err(self.wrong(expected)),
        }
    }

    fn time(&mut self) -> Outcome<Time> {
        let time = match self.peek() {
            Token::Word(word) | Token::Quoted(word) => time(word),
            _ => None,
        };
        let expected = "a time: RFC 3339, seconds since 1970, or an age such as 30d, 12h, 2w";
        let time = time.ok_or_else(|| self.wrong(expected))?;
        self.next();
        Ok(time)
    }

    fn sort(&mut self) -> Outcome<Sort> {
        let descending = self.takes(&Token::Minus);
        let by = match self.peek() {
            Token::Word(word) => sort_key(word),
            _ => None,
        };
        let by = by.ok_or_else(|| self.wrong("a tag, added, modified, played or random"))?;
        self.next();
        Ok(Sort { by, descending })
    }

    fn limit(&mut self) -> Outcome<Limit> {
        let count = match self.peek() {
            Token::Word(word) => number(word).filter(|count| *count > 0.0),
            _ => None,
        };
        let count = count.ok_or_else(|| self.wrong("a number greater than 0"))?;
        let of_items = self.tokens.get(self.at + 1);
        if count.fract() != 0.0 && of_items.is_some_and(|(_, unit)| *unit == Token::Word("items".into())) {
            return Err(self.wrong("a whole number of items"));
        }
        self.next();
        let limit = match self.peek() {
            Token::Word(unit) => limit(count, unit),
            _ => None,
        };
        let limit = limit.ok_or_else(|| self.wrong("items, MB, GB, minutes or hours"))?;
        self.next();
        Ok(limit)
    }
}

/// A tag by its name, in capitals or not.
fn tag(word: &str) -> Option<SortKey> {
    let word = word.to_ascii_lowercase();
    let text = match &*word {
        "artist" => TextTag::Artist,
        "albumartist" => TextTag::AlbumArtist,
        "album" => TextTag::Album,
        "title" => TextTag::Title,
        "genre" => TextTag::Genre,
        "date" => TextTag::Date,
        "composer" => TextTag::Composer,
        "comment" => TextTag::Comment,
        "label" => TextTag::Label,
        "format" => TextTag::Format,
        "file" => TextTag::File,
        _ => return number_tag(&word).map(SortKey::Number),
    };
    Some(SortKey::Text(text))
}

fn number_tag(word: &str) -> Option<NumberTag> {
    Some(match word {
        "track" => NumberTag::Track,
        "disc" => NumberTag::Disc,
        "rating" => NumberTag::Rating,
        "stars" => NumberTag::Stars,
        "playcount" => NumberTag::PlayCount,
        "duration" => NumberTag::Duration,
        "bitrate" => NumberTag::Bitrate,
        "size" => NumberTag::Size,
        _ => return None,
    })
}

fn sort_key(word: &str) -> Option<SortKey> {
    match &*word.to_ascii_lowercase() {
        "added" => Some(SortKey::Time(TimeTag::Added)),
        "modified" => Some(SortKey::Time(TimeTag::Modified)),
        "played" => Some(SortKey::Time(TimeTag::Played)),
        "random" => Some(SortKey::Random),
        _ => tag(word),
    }
}

/// Digits, with a fraction perhaps; nothing else that `f64` would take.
fn number(word: &str) -> Option<f64> {
    let plain = word.starts_with(|first: char| first.is_ascii_digit())
        && word.len() <= 18
        && word.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if plain { word.parse().ok() } else { None }
}

fn time(word: &str) -> Option<Time> {
    if let Ok(seconds) = word.parse::<u64>() {
        return i64::try_from(seconds).is_ok().then_some(Time::At(seconds));
    }
    if let Ok(timestamp) = word.parse::<jiff::Timestamp>() {
        return Some(Time::At(u64::try_from(timestamp.as_second()).unwrap_or(0)));
    }
    let unit = word.chars().last()?;
    let seconds = match unit {
        's' => 1,
        'h' => 3600,
        'd' => 24 * 3600,
        'w' => 7 * 24 * 3600,
        'y' => 365 * 24 * 3600,
        _ => return None,
    };
    let count: u64 = word.strip_suffix(unit)?.parse().ok()?;
    count.checked_mul(seconds).map(Time::Ago)
}

/// The limit in its smallest unit; a MB is a million bytes, as players' makers count.
fn limit(count: f64, unit: &str) -> Option<Limit> {
    // numbers were bounded when they were read, and a fraction of a byte doesn't matter
    let times = |factor: f64| (count * factor).round() as u64;
    Some(match unit {
        "items" => Limit::Items(times(1.0)),
        "MB" => Limit::Bytes(times(1e6)),
        "GB" => Limit::Bytes(times(1e9)),
        "minutes" => Limit::Milliseconds(times(60e3)),
        "hours" => Limit::Milliseconds(times(3600e3)),
        _ => return None,
    })
}
