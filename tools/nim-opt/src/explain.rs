//! `--explain CODE`: what a diagnostic means, with an example.
//!
//! The text is the reference page, which is made of the tables of all crates, those of the importer and of the back ends
//! too, and of the tests. A test of the suite keeps it equal to them.

const PAGE: &str = include_str!("../../../docs/reference/diagnostics.md");

/// The section of a code, in upper or lower case: title, explanation, example.
pub fn explain(code: &str) -> Option<String> {
    let code = code.to_ascii_uppercase();
    let sections = PAGE.split("\n## ").skip(1);
    let section = sections.into_iter().find(|s| s.split(':').next() == Some(code.as_str()))?;
    // Fences and the link to the test are for readers of Markdown.
    let lines = section.lines().filter(|l| !l.starts_with("```") && !l.starts_with("(["));
    Some(lines.collect::<Vec<_>>().join("\n").trim_end().to_string())
}

#[cfg(test)]
mod tests {
    use super::explain;

    #[test]
    fn codes_of_every_crate_are_explained() {
        let lost: Vec<_> = crate::codes().iter().map(|c| c.code).filter(|code| explain(code).is_none()).collect();
        assert!(lost.is_empty(), "write the reference pages anew: {lost:?}");
        let text = explain("n0201").expect("a code of the text");
        assert!(text.starts_with("N0201: undefined value\n\nNo op"), "{text}");
        assert!(text.contains("expected-error"), "{text}");
        assert!(explain("N0601").is_some_and(|t| t.contains("operator")), "a code of the importer");
        assert_eq!(explain("N0000"), None);
        assert_eq!(explain("N02"), None);
    }
}
