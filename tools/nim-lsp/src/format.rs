//! Formatting: lines are indented by the brackets around them, white space at their ends goes. Comments and the breaks
//! between lines are the author's; what the text means cannot change.

use nim_text::lexer::{Kind, Token, Tokens};

/// Spaces for each level.
const STEP: usize = 2;

/// The text, formatted.
pub fn format(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut depth, mut empty) = (0usize, true);
    let mut tokens = Tokens::new(text).peekable();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let end = start + line.len();
        let mine: Vec<Token> = std::iter::from_fn(|| tokens.next_if(|t| (t.start as usize) < end)).collect();
        let content = line.trim();
        start = end;
        if content.is_empty() {
            // One empty line says as much as two; none stands at the beginning.
            if !empty {
                out.push('\n');
            }
            empty = true;
            continue;
        }
        empty = false;
        let word = |token: &Token| &text[token.range()];
        let opens = |token: &Token| token.kind == Kind::Punctuation && matches!(word(token), "{" | "(" | "[" | "{-#");
        let closes = |token: &Token| token.kind == Kind::Punctuation && matches!(word(token), "}" | ")" | "]" | "#-}");
        let leading = mine.iter().take_while(|t| closes(t)).count();
        // Labels of blocks stand one level further left than their ops.
        let label = mine.first().is_some_and(|t| t.kind == Kind::CaretId);
        // Several brackets that open on one line are one level: they close together.
        let level = depth.saturating_sub(leading.min(1)).saturating_sub(usize::from(label));
        out.push_str(&" ".repeat(level * STEP));
        out.push_str(content);
        out.push('\n');
        let (mut open, mut closed) = (0usize, 0usize);
        for token in &mine {
            if opens(token) {
                open += 1;
            } else if closes(token) {
                if open > 0 { open -= 1 } else { closed += 1 }
            }
        }
        depth = depth.saturating_sub(closed.min(1)) + open.min(1);
    }
    while out.ends_with("\n\n") {
        out.pop();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::format;

    #[test]
    fn indents_and_keeps_comments() {
        let text = "\n\n// a note  \nfunc.func @f(%x: i32,\n%y: i32) {\n%z = \"t.if\"(%x) ({ // {\n^bb0:\n\"t.a\"() : () -> ()\n}, {\n \
                    }) : (i32) -> i32\t\n\n\nreturn\n}\n\n";
        let wanted = "// a note\nfunc.func @f(%x: i32,\n  %y: i32) {\n  %z = \"t.if\"(%x) ({ // {\n  ^bb0:\n    \"t.a\"() : () -> ()\n  }, {\n  \
                      }) : (i32) -> i32\n\n  return\n}\n";
        assert_eq!(format(text), wanted);
        assert_eq!(format(wanted), wanted, "a second time changes nothing");
    }
}
