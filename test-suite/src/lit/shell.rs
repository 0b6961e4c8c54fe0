//! The command language of `RUN:` lines: the part of a shell that tests need, the same on every machine.
//!
//! There: quoting, pipes, `&&` and `;` (both stop at the first failure), `<`, `>`, `>>`, `2>`, `2>>`, `&>`, `2>&1`.
//! Not there: variables, globs, subshells, conditions. A test that wants those is two tests.

/// One program of a pipeline.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Command {
    /// The program and its arguments.
    pub words: Vec<String>,
    /// `<`
    pub stdin: Option<String>,
    /// `>`
    pub stdout: Option<Target>,
    /// `2>`
    pub stderr: Option<Target>,
    /// `2>&1`: messages go where the output goes.
    pub merge: bool,
}

/// A file that is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its name.
    pub path: String,
    /// Whether what is there stays.
    pub append: bool,
}

/// Programs that feed one another.
pub type Pipeline = Vec<Command>;

/// Reads one `RUN:` line. `substitute` is applied to every word.
pub fn parse(line: &str, substitute: &dyn Fn(&str) -> String) -> Result<Vec<Pipeline>, String> {
    let mut pipelines = Vec::new();
    let (mut pipeline, mut command) = (Pipeline::new(), Command::default());
    let mut tokens = tokens(line)?.into_iter();
    let finish = |command: &mut Command, pipeline: &mut Pipeline| match command.words.is_empty() {
        true => Err("a command is missing".to_owned()),
        false => {
            pipeline.push(std::mem::take(command));
            Ok(())
        }
    };
    while let Some(token) = tokens.next() {
        let operator = match token {
            Token::Word(word) => {
                command.words.push(substitute(&word));
                continue;
            }
            Token::Operator(operator) => operator,
        };
        match operator {
            "|" => finish(&mut command, &mut pipeline)?,
            "&&" | ";" => {
                finish(&mut command, &mut pipeline)?;
                pipelines.push(std::mem::take(&mut pipeline));
            }
            "2>&1" => command.merge = true,
            _ => {
                let Some(Token::Word(path)) = tokens.next() else {
                    return Err(format!("a file name is missing after `{operator}`"));
                };
                let path = substitute(&path);
                let append = operator.ends_with(">>");
                match operator {
                    "<" => command.stdin = Some(path),
                    ">" | ">>" => command.stdout = Some(Target { path, append }),
                    "2>" | "2>>" => command.stderr = Some(Target { path, append }),
                    _ => {
                        command.stdout = Some(Target { path, append });
                        command.merge = true;
                    }
                }
            }
        }
    }
    // a `;` may end the line
    if !command.words.is_empty() || !pipeline.is_empty() || pipelines.is_empty() {
        finish(&mut command, &mut pipeline)?;
        pipelines.push(pipeline);
    }
    Ok(pipelines)
}

#[derive(Debug)]
enum Token {
    Word(String),
    Operator(&'static str),
}

/// Longer ones first.
const OPERATORS: [&str; 11] = ["2>&1", "2>>", "2>", "&>", "&&", ">>", ">", "<", "|", ";", "&"];

fn tokens(line: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut word: Option<String> = None;
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        // a `2` begins an operator only where a word does not go on
        let operator = OPERATORS.iter().find(|op| rest.starts_with(**op) && (!op.starts_with('2') || word.is_none()));
        if let Some(operator) = operator {
            if *operator == "&" {
                return Err("`&` is not supported here: a test waits for what it starts".into());
            }
            tokens.extend(word.take().map(Token::Word));
            tokens.push(Token::Operator(operator));
            rest = &rest[operator.len()..];
            continue;
        }
        rest = &rest[c.len_utf8()..];
        match c {
            ' ' | '\t' => tokens.extend(word.take().map(Token::Word)),
            '\'' => {
                let end = rest.find('\'').ok_or("a ' is not closed")?;
                word.get_or_insert_default().push_str(&rest[..end]);
                rest = &rest[end + 1..];
            }
            '"' => rest = double_quoted(rest, word.get_or_insert_default())?,
            '\\' => {
                let escaped = rest.chars().next().ok_or("the line ends in `\\`")?;
                word.get_or_insert_default().push(escaped);
                rest = &rest[escaped.len_utf8()..];
            }
            '$' | '`' | '*' | '(' | ')' => {
                return Err(format!(
                    "`{c}` is not supported outside quotes: RUN lines know no variables, globs or subshells"
                ));
            }
            _ => word.get_or_insert_default().push(c),
        }
    }
    tokens.extend(word.map(Token::Word));
    Ok(tokens)
}

/// Reads to the closing quote; what stands after it.
fn double_quoted<'a>(text: &'a str, word: &mut String) -> Result<&'a str, String> {
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return Ok(&text[at + 1..]),
            '\\' => match characters.next() {
                Some((_, escaped @ ('"' | '\\' | '$' | '`'))) => word.push(escaped),
                Some((_, other)) => word.extend(['\\', other]),
                None => break,
            },
            _ => word.push(c),
        }
    }
    Err("a \" is not closed".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Result<Vec<Vec<Vec<String>>>, String> {
        let parsed = parse(line, &str::to_owned)?;
        Ok(parsed.into_iter().map(|p| p.into_iter().map(|c| c.words).collect()).collect())
    }

    #[test]
    fn splits_words_as_a_shell_does() {
        assert_eq!(words(r#"a 'b c'd "e \"f\" \n" \| ''"#).unwrap(), [[["a", "b cd", "e \"f\" \\n", "|", ""]]]);
        assert_eq!(words("a|b && c; d;").unwrap(), [vec![vec!["a"], vec!["b"]], vec![vec!["c"]], vec![vec!["d"]]]);
        assert_eq!(words("a x2>o").unwrap(), [[["a", "x2"]]], "no number stands inside a word");
    }

    #[test]
    fn reads_redirections() {
        let parsed = parse("a <i >>o 2>&1 | b 2>e", &str::to_owned).unwrap();
        let [a, b] = &parsed[0][..] else { panic!("{parsed:?}") };
        assert_eq!((a.stdin.as_deref(), a.merge), (Some("i"), true));
        assert_eq!(a.stdout, Some(Target { path: "o".into(), append: true }));
        assert_eq!(b.stderr, Some(Target { path: "e".into(), append: false }));
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        for line in ["", "a |", "| a", "a && && b", "a $x", "a *.nir", "a &", "a >", "'a", "(a)"] {
            assert!(words(line).is_err(), "{line}");
        }
    }
}
