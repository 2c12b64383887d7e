//! Turns a rule into a parameterised query over `track` (as `t`) and `lib.media` (as `m`).
//!
//! No text of a rule ever becomes part of the SQL; values are parameters.

use super::{
    Expression, Limit, NumberOperator, NumberTag, Rule, Sort, SortKey, TextOperator, TextTag, Time, TimeTag,
};
use crate::text::{BETWEEN_VALUES, fold};
use rusqlite::types::Value;
use std::fmt::Write;

/// A rule as SQL.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Query {
    /// From `FROM` to the end of the condition.
    pub(crate) matches: String,
    /// `ORDER BY`, which may need parameters of its own behind those of the condition.
    pub(crate) order: String,
    pub(crate) parameters: Vec<Value>,
    /// How many of the parameters are the condition's.
    pub(crate) of_condition: usize,
    pub(crate) limit: Option<Limit>,
}

/// The rule as SQL. `now` is in seconds since 1970; `seed` decides a random order.
pub(crate) fn compile(rule: &Rule, now: u64, seed: i64) -> Query {
    let mut compiler = Compiler { now, media: false, parameters: Vec::new() };
    let condition = compiler.condition(&rule.expression);
    let of_condition = compiler.parameters.len();
    let order = rule.sort.map_or_else(String::new, |sort| compiler.order(sort, seed) + ", ");
    let join = if compiler.media { " LEFT JOIN lib.media AS m ON m.path = t.path" } else { "" };
    let matches = format!("FROM main.track AS t{join} WHERE {condition}");
    let order = format!("ORDER BY {order}t.path");
    Query { matches, order, parameters: compiler.parameters, of_condition, limit: rule.limit }
}

struct Compiler {
    now: u64,
    /// Whether `lib.media` is needed.
    media: bool,
    parameters: Vec<Value>,
}

impl Compiler {
    fn parameter(&mut self, value: impl Into<Value>) -> String {
        self.parameters.push(value.into());
        format!("?{}", self.parameters.len())
    }

    fn condition(&mut self, expression: &Expression) -> String {
        match expression {
            Expression::Text(tag, operator, value) => self.text_condition(*tag, *operator, value),
            Expression::Number(tag, operator, value) => {
                let column = self.number(*tag);
                let is_less = matches!(operator, NumberOperator::Less | NumberOperator::LessOrEqual);
                let operator = match operator {
                    NumberOperator::Equal => "=",
                    NumberOperator::NotEqual => "<>",
                    NumberOperator::Less => "<",
                    NumberOperator::LessOrEqual => "<=",
                    NumberOperator::Greater => ">",
                    NumberOperator::GreaterOrEqual => ">=",
                };
                let value = self.parameter(*value);
                // 0 means that the tag isn't there, which is not less than anything
                let optional = is_less && is_optional(*tag);
                let there = if optional { format!("{column} > 0 AND ") } else { String::new() };
                format!("({there}{column} {operator} {value})")
            }
            Expression::Since(tag, time) => {
                let moment = match time {
                    Time::At(moment) => *moment,
                    Time::Ago(age) => self.now.saturating_sub(*age),
                };
                let column = self.time(*tag);
                let moment = self.parameter(i64::try_from(moment).unwrap_or(i64::MAX));
                // a time of 0 means never
                format!("({column} > 0 AND {column} >= {moment})")
            }
            Expression::Base(folder) => {
                let folder = fold(folder.trim_matches('/')).into_owned();
                if folder.is_empty() {
                    return "1".into();
                }
                let prefix = self.parameter(folder + "/");
                format!("(substr(fold(relative(t.path)), 1, length({prefix})) = {prefix})")
            }
            Expression::Not(inner) => format!("(NOT {})", self.condition(inner)),
            Expression::And(parts) => self.combination(parts, " AND "),
            Expression::Or(parts) => self.combination(parts, " OR "),
        }
    }

    fn combination(&mut self, parts: &[Expression], word: &str) -> String {
        let mut sql = String::from("(");
        for (index, part) in parts.iter().enumerate() {
            let condition = self.condition(part);
            let word = if index == 0 { "" } else { word };
            write!(sql, "{word}{condition}").expect("writing to a string does not fail");
        }
        sql + ")"
    }

    /// As in MPD, a track's tag is so where one of its values is, and isn't where none is.
    fn text_condition(&mut self, tag: TextTag, operator: TextOperator, value: &str) -> String {
        let column = text_column(tag);
        let has_many = !matches!(tag, TextTag::Format | TextTag::File);
        let is_pattern = matches!(operator, TextOperator::Matches | TextOperator::MatchesNot);
        let value = if is_pattern { value.to_owned() } else { fold(value).into_owned() };
        let value = self.parameter(value);
        let between = format!("char({})", u32::from(BETWEEN_VALUES));
        let not = match operator {
            TextOperator::NotEqual | TextOperator::MatchesNot => "NOT ",
            _ => "",
        };
        match operator {
            TextOperator::Equal | TextOperator::NotEqual if has_many => format!(
                "({not}instr({between} || fold({column}) || {between}, {between} || {value} || {between}) > 0)"
            ),
            TextOperator::Equal | TextOperator::NotEqual => format!("({not}fold({column}) = {value})"),
            TextOperator::StartsWith if has_many => {
                format!("(instr({between} || fold({column}), {between} || {value}) > 0)")
            }
            TextOperator::StartsWith => format!("(substr(fold({column}), 1, length({value})) = {value})"),
            TextOperator::Contains => format!("(instr(fold({column}), {value}) > 0)"),
            TextOperator::Matches | TextOperator::MatchesNot => {
                let matches = if has_many { "matches_any" } else { "matches" };
                format!("({not}{matches}({value}, {column}))")
            }
        }
    }

    fn number(&mut self, tag: NumberTag) -> String {
        match tag {
            NumberTag::Track => "t.track_number".into(),
            NumberTag::Disc => "t.disc_number".into(),
            NumberTag::Year => "CAST(substr(t.date, 1, 4) AS INTEGER)".into(),
            NumberTag::Duration => "(t.duration_ms / 1000.0)".into(),
            NumberTag::Bitrate => "t.bitrate".into(),
            NumberTag::Size => "t.size".into(),
            NumberTag::Rating => self.media("ifnull(m.rating, 0)"),
            NumberTag::PlayCount => self.media("ifnull(m.play_count, 0)"),
            // WMP's ranges for one to five stars
            NumberTag::Stars => self.media(
                "(CASE WHEN ifnull(m.rating, 0) = 0 THEN 0 WHEN m.rating <= 12 THEN 1 WHEN m.rating <= 37 THEN 2 \
                 WHEN m.rating <= 62 THEN 3 WHEN m.rating <= 86 THEN 4 ELSE 5 END)",
            ),
        }
    }

    fn time(&mut self, tag: TimeTag) -> String {
        match tag {
            TimeTag::Added => "t.added".into(),
            TimeTag::Modified => "(t.modified_ns / 1000000000)".into(),
            TimeTag::Played => self.media("ifnull(m.last_played, 0)"),
        }
    }

    fn media(&mut self, sql: &str) -> String {
        self.media = true;
        sql.into()
    }

    fn order(&mut self, sort: Sort, seed: i64) -> String {
        let key = match sort.by {
            SortKey::Text(tag) => format!("fold({})", text_column(tag)),
            SortKey::Number(tag) => self.number(tag),
            SortKey::Time(tag) => self.time(tag),
            SortKey::Random => {
                let seed = self.parameter(seed);
                format!("shuffle({seed}, t.id)")
            }
        };
        key + if sort.descending { " DESC" } else { "" }
    }
}

/// Whether tracks may lack this number.
fn is_optional(tag: NumberTag) -> bool {
    matches!(
        tag,
        NumberTag::Track | NumberTag::Disc | NumberTag::Year | NumberTag::Duration | NumberTag::Bitrate
    )
}

fn text_column(tag: TextTag) -> &'static str {
    match tag {
        TextTag::Artist => "t.artist",
        // as in MPD, who made the album made its tracks where nothing else is said
        TextTag::AlbumArtist => "iif(t.album_artist = '', t.artist, t.album_artist)",
        TextTag::Album => "t.album",
        TextTag::Title => "t.title",
        TextTag::Genre => "t.genre",
        TextTag::Date => "t.date",
        TextTag::Composer => "t.composer",
        TextTag::Comment => "t.comment",
        TextTag::Label => "t.label",
        TextTag::Format => "format_word(t.mime)",
        TextTag::File => "relative(t.path)",
    }
}
