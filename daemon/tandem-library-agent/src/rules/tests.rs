//! Rules: what they mean, how they are refused, and that no text breaks the parser or reaches SQL.
//!
//! What they find in a library is shown by the tests of the whole agent.

use super::*;
use proptest::prelude::*;

fn refusal(rule: &str) -> String {
    parse(rule).expect_err(rule).to_string()
}

#[test]
fn the_documented_examples_are_read() {
    let jazz = Expression::Text(TextTag::Genre, TextOperator::Equal, "Jazz".into());
    assert_eq!(parse(r#"(genre == "Jazz")"#).unwrap(), Rule { expression: jazz, sort: None, limit: None });
    let rule = parse("((stars >= 4) AND (added-since 30d)) sort -added limit 2 GB").unwrap();
    assert_eq!(rule.limit, Some(Limit::Bytes(2_000_000_000)));
    assert_eq!(rule.sort, Some(Sort { by: SortKey::Time(TimeTag::Added), descending: true }));
    let parts = [
        Expression::Number(NumberTag::Stars, NumberOperator::GreaterOrEqual, 4.0),
        Expression::Since(TimeTag::Added, Time::Ago(30 * 86400)),
    ];
    assert_eq!(rule.expression, Expression::And(parts.to_vec()));
    let skip = Expression::Text(TextTag::Comment, TextOperator::Contains, "skip".into());
    assert_eq!(parse(r#"(!(comment contains "skip"))"#).unwrap().expression, Expression::Not(Box::new(skip)));
}

#[test]
fn values_quotes_and_units() {
    let text = |rule: &str| match parse(rule).unwrap().expression {
        Expression::Text(_, _, value) => value,
        other => panic!("{other:?}"),
    };
    assert_eq!(text(r#"(title == 'it\'s "so" \\')"#), r#"it's "so" \"#);
    assert_eq!(text(r#"(date == "1959-08-17")"#), "1959-08-17");
    let year = |rule: &str| {
        matches!(parse(rule).unwrap().expression, Expression::Number(NumberTag::Year, _, 1959.0))
    };
    assert!(year("(date == 1959)") && year("(date >= '1959')"));
    let time = |text: &str| match parse(&format!("(played-since {text})")).unwrap().expression {
        Expression::Since(TimeTag::Played, time) => time,
        other => panic!("{other:?}"),
    };
    assert_eq!(time("'2001-09-09T01:46:40Z'"), Time::At(1_000_000_000));
    assert_eq!(time("2001-09-09T01:46:40Z"), Time::At(1_000_000_000));
    assert_eq!((time("12"), time("2w")), (Time::At(12), Time::Ago(14 * 86400)));
    assert_eq!(parse("(size > 1) limit 1.5 hours").unwrap().limit, Some(Limit::Milliseconds(5_400_000)));
    assert_eq!(parse("(size > 1) limit 7 items").unwrap().limit, Some(Limit::Items(7)));
    assert_eq!(parse("(((size > 1)))").unwrap(), parse("(size > 1)").unwrap());
}

#[test]
fn tags_and_words_of_mpd_are_taken_in_capitals_too() {
    for (capitals, small) in [
        ("(Artist == 'x')", "(artist == 'x')"),
        ("(GENRE Contains 'x')", "(genre contains 'x')"),
        ("(AlbumArtist STARTS_WITH 'x')", "(albumartist starts_with 'x')"),
        ("(Date >= 1990) sort -Date limit 2 items", "(date >= 1990) sort -date limit 2 items"),
        ("((Track == 1) AND (Base 'x'))", "((track == 1) AND (base 'x'))"),
        ("(Added-Since 3d) sort Random", "(added-since 3d) sort random"),
    ] {
        assert_eq!(parse(capitals).unwrap(), parse(small).unwrap(), "{capitals}");
    }
    assert_eq!(parse("(size > 1) limit 2.0 items").unwrap().limit, Some(Limit::Items(2)));
}

#[test]
fn refusals_name_the_column_and_what_was_expected() {
    for (rule, column, expected) in [
        ("", 1, "`(`"),
        ("artist == 'x'", 1, "`(`"),
        ("(artsit == 'x')", 2, "a tag"),
        ("(artist = 'x')", 9, "a tag, a value"),
        ("(artist < 'x')", 9, "contains"),
        ("(artist == x)", 12, "in quotes"),
        ("(artist == 'x'", 15, "`)`"),
        ("(artist == 'x", 14, "a closing '"),
        ("(title =~ '[')", 11, "a regular expression"),
        ("(stars == 6)", 11, "0 to 5"),
        ("(rating > 100)", 11, "0 to 99"),
        ("(size > -1)", 9, "a number"),
        ("(size > 1e3)", 9, "a number"),
        ("((size > 1) AND (size > 2) OR (size > 3))", 28, "don't mix"),
        ("((size > 1) (size > 2))", 13, "AND or OR"),
        ("(added-since yesterday)", 14, "an age such as"),
        ("(size > 1) sort colour", 17, "random"),
        ("(size > 1) limit 0 GB", 18, "greater than 0"),
        ("(size > 1) limit 2 TB", 20, "hours"),
        ("(size > 1) limit 1.5 items", 18, "a whole number of items"),
        ("(size > 1) limit 0.5 items", 18, "a whole number of items"),
        ("(size > 1) limit 2 GB x", 23, "the end"),
        ("(ä == 'x')", 2, "a tag"),
        ("(base music)", 7, "a folder in quotes"),
    ] {
        let words = refusal(rule);
        assert!(words.contains(&format!("column {column}:")) && words.contains(expected), "{rule}: {words}");
    }
}

#[test]
fn depth_and_length_are_bounded() {
    let nested = |depth: usize| format!("{}(size > 1){}", "(".repeat(depth), ")".repeat(depth));
    assert!(parse(&nested(60)).is_ok());
    assert!(refusal(&nested(5000)).contains("64"));
    assert!(refusal(&format!("(title == '{}')", "x".repeat(20_000))).contains("longest"));
}

#[test]
fn no_text_of_a_rule_reaches_sql() {
    let query = compile(&parse(r#"(title == "'; DROP TABLE track; --")"#).unwrap(), 0, 0);
    assert!(!query.matches.contains("DROP") && query.parameters.len() == 1, "{}", query.matches);
}

fn expressions() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        (
            prop_oneof!["artist", "title", "file"],
            prop_oneof!["==", "!=", "contains", "starts_with", "=~"],
            "[a-zA-Zäß .%_]{0,8}"
        )
            .prop_map(|(tag, operator, value)| format!("({tag} {operator} \"{value}\")")),
        (prop_oneof!["track", "date", "stars", "size"], prop_oneof!["==", "<", ">="], 0..5u32)
            .prop_map(|(tag, operator, value)| format!("({tag} {operator} {value})")),
        (1..99u32).prop_map(|days| format!("(modified-since {days}d)")),
        Just("(base 'x/y')".to_owned()),
    ];
    leaf.prop_recursive(4, 16, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|expression| format!("(!{expression})")),
            prop::collection::vec(inner.clone(), 1..3).prop_map(|parts| format!("({})", parts.join(" AND "))),
            prop::collection::vec(inner, 1..3).prop_map(|parts| format!("({})", parts.join(" OR "))),
        ]
    })
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_with_a_column(text in "\\PC{0,80}") {
        if let Err(error) = parse(&text) {
            prop_assert!(error.to_string().contains("column"));
        }
    }

    #[test]
    fn near_rules_are_read_or_refused(text in "(\\(|\\)|!|-| |artist|==|<|'x'|\"|AND|OR|sort|limit|2|GB|30d|base){0,20}") {
        let _ = parse(&text);
    }

    #[test]
    fn every_rule_is_a_question_that_sqlite_takes(expression in expressions(), sort in prop_oneof!["artist", "-played", "random", "size"]) {
        let rule = parse(&format!("{expression} sort {sort} limit 3 items")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let index = crate::index::Index::open(folder.path(), crate::index::Folders::default()).unwrap();
        let query = compile(&rule, 1_000_000, 7);
        index.read(|connection| {
            let mut statement = connection.prepare(&format!("SELECT t.id {} {}", query.matches, query.order))?;
            let mut rows = statement.query(rusqlite::params_from_iter(&query.parameters))?;
            while rows.next()?.is_some() {}
            Ok(())
        }).unwrap();
    }
}
