//! Auto playlist rules: what they can say, and their way from text to a question to the index.
//!
//! Everything here is pure; the index is asked by `playlists`.

mod compile;
mod lexer;
mod parse;

pub(crate) use compile::{Query, compile};
pub(crate) use parse::parse;

/// A whole rule.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rule {
    pub(crate) expression: Expression,
    pub(crate) sort: Option<Sort>,
    pub(crate) limit: Option<Limit>,
}

/// A condition on a track.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Expression {
    Text(TextTag, TextOperator, String),
    Number(NumberTag, NumberOperator, f64),
    Since(TimeTag, Time),
    Base(String),
    Not(Box<Expression>),
    And(Vec<Expression>),
    Or(Vec<Expression>),
}

/// Tags that hold text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextTag {
    Artist,
    AlbumArtist,
    Album,
    Title,
    Genre,
    Date,
    Composer,
    Comment,
    Label,
    Format,
    File,
}

/// Tags that hold numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NumberTag {
    Track,
    Disc,
    Year,
    Rating,
    Stars,
    PlayCount,
    Duration,
    Bitrate,
    Size,
}

/// Tags that hold times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimeTag {
    Added,
    Modified,
    Played,
}

/// Comparisons of text, all without regard to case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextOperator {
    Equal,
    NotEqual,
    Contains,
    StartsWith,
    Matches,
    MatchesNot,
}

/// Comparisons of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NumberOperator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A moment, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Time {
    /// Since 1970.
    At(u64),
    /// Before now.
    Ago(u64),
}

/// The order of the tracks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sort {
    pub(crate) by: SortKey,
    pub(crate) descending: bool,
}

/// What tracks are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SortKey {
    Text(TextTag),
    Number(NumberTag),
    Time(TimeTag),
    Random,
}

/// How much of the sorted tracks is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    Items(u64),
    Bytes(u64),
    Milliseconds(u64),
}

/// A regular expression as rules use it: without regard to case, and bounded in size.
pub(crate) fn regular_expression(pattern: &str) -> Result<regex::Regex, regex::Error> {
    regex::RegexBuilder::new(pattern)
        .case_insensitive(true)
        .size_limit(1 << 20)
        .dfa_size_limit(1 << 20)
        .build()
}

#[cfg(test)]
mod tests;
