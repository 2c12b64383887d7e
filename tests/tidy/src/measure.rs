//! Sizes of files and functions, without what is compiled for tests alone. Pure.

use crate::scan::{block_end, code_only, line_of};
use std::ops::Range;

/// A function and its size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// The line that it starts in, from 1.
    pub line: usize,
    /// From `fn` to the closing brace.
    pub lines: usize,
}

/// What was measured of one file.
#[derive(Debug, Clone)]
pub struct Measured {
    /// Lines outside of test modules.
    pub lines: usize,
    /// Functions outside of test modules.
    pub functions: Vec<Function>,
    /// The code alone, test modules blanked out too; as many lines and bytes as the source.
    pub code: String,
}

/// Measures one file.
#[must_use]
pub fn measure(source: &str) -> Measured {
    let mut code = code_only(source);
    let tests = test_modules(&code);
    let test_lines: usize = tests.iter().map(|range| source[range.clone()].matches('\n').count()).sum();
    for range in tests {
        let blank: String = code[range.clone()].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
        // Only ASCII is left where code is; anything longer would shift what follows.
        if blank.len() == range.len() {
            code.replace_range(range, &blank);
        }
    }
    let functions = functions(&code);
    Measured { lines: source.lines().count() - test_lines, functions, code }
}

/// Where modules and items that are compiled for tests alone stand.
fn test_modules(code: &str) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for (at, _) in code.match_indices("#[cfg(test)]") {
        let within = ranges.last().is_some_and(|range| range.contains(&at));
        if let (false, Some(end)) = (within, block_end(code, at)) {
            ranges.push(at..end);
        }
    }
    ranges
}

fn functions(code: &str) -> Vec<Function> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let name: String = code[at + 3..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if let (false, Some(end)) = (name.is_empty(), block_end(code, at)) {
            let lines = code[at..end].matches('\n').count() + 1;
            found.push(Function { name, line: line_of(code, at), lines });
        }
    }
    found
}

/// The value that 95 of 100 do not exceed; 0 without values.
#[must_use]
pub fn percentile_95(values: &[usize]) -> usize {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() * 95).div_ceil(100);
    rank.checked_sub(1).and_then(|index| sorted.get(index)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_do_not_count() {
        let source =
            "fn a() {\n  1;\n}\n#[cfg(test)]\nmod tests {\n  fn b() {\n  }\n}\nfn c() { fn d() {} }\n";
        let measured = measure(source);
        let names: Vec<_> = measured.functions.iter().map(|f| (f.name.as_str(), f.line, f.lines)).collect();
        assert_eq!(names, [("a", 1, 3), ("c", 9, 1), ("d", 9, 1)]);
        assert_eq!(measured.lines, 5);
        assert_eq!(measured.code.len(), source.len());
    }

    #[test]
    fn percentiles_are_values_that_occur() {
        assert_eq!(percentile_95(&[]), 0);
        assert_eq!(percentile_95(&[7]), 7);
        assert_eq!(percentile_95(&(1..=100).collect::<Vec<_>>()), 95);
    }
}
