//! The matcher compared with LLVM's FileCheck on small random check files; cases of its own; the reports.

use super::*;
use std::process::{Command, Stdio};

/// Exit code of FileCheck: 0 passed, 1 a check failed, 2 unusable.
fn code(arguments: &[&str], check_text: &str, input: &str) -> (i32, String) {
    let arguments: Vec<String> = arguments.iter().map(|s| s.to_string()).chain(["x.nir".to_owned()]).collect();
    let options = match Options::parse(&arguments) {
        Ok(options) => options,
        Err(why) => return (2, why),
    };
    match check(&options, check_text, input.as_bytes()) {
        Ok(()) => (0, String::new()),
        Err(error @ Error::Failed(_)) => (1, error.to_string()),
        Err(error @ Error::Malformed(_)) => (2, error.to_string()),
    }
}

fn passes(check_text: &str, input: &str) -> bool {
    code(&[], check_text, input).0 == 0
}

#[test]
fn plain_next_same_not() {
    assert!(passes("CHECK: a\nCHECK-NEXT: b\nCHECK-SAME: c\nCHECK-NOT: d\nCHECK: e", "a\nb c\nx\ne\n"));
    assert!(!passes("CHECK: a\nCHECK-NEXT: b", "a\n\nb\n"));
    assert!(!passes("CHECK: a\nCHECK-SAME: b", "a\nb\n"));
    assert!(!passes("CHECK: a\nCHECK-NOT: d\nCHECK: e", "a\nd\ne\n"));
    assert!(passes("CHECK: a  b", "a \t b\n"), "runs of blanks are one space");
}

#[test]
fn labels_split_the_input_first() {
    let input = "@f\nadd\n@g\nmul\n";
    assert!(passes("CHECK-LABEL: @f\nCHECK: add\nCHECK-LABEL: @g\nCHECK: mul", input));
    assert!(!passes("CHECK-LABEL: @f\nCHECK: mul\nCHECK-LABEL: @g", input));
}

#[test]
fn variables_and_numbers() {
    assert!(passes("CHECK: [[A:%[0-9]+]] = x\nCHECK: use [[A]]{{$}}", "%12 = x\nuse %12\n"));
    assert!(!passes("CHECK: [[A:%[0-9]+]] = x\nCHECK: use [[A]]{{$}}", "%12 = x\nuse %123\n"));
    assert!(passes("CHECK: [[A:[a-z]]][[A]]", "ab bb\n"), "a variable of the same line is a back-reference");
    assert!(passes("CHECK: [[#L:]]\nCHECK-NEXT: [[#L+1]]", "7\n8\n"));
    assert!(passes("CHECK: [[#%.4x,L:]]\nCHECK: [[#mul(L,2)]]", "00ff\n01fe\n"));
    assert!(!passes("CHECK: [[#L:]]\nCHECK-NEXT: [[#L+1]]", "7\n9\n"));
    assert!(passes("CHECK: line [[@LINE+1]]\nCHECK: [[#@LINE]]", "line 2\n2\n"));
}

#[test]
fn longest_of_the_leftmost() {
    assert!(passes("CHECK: {{a|ab}}\nCHECK-SAME: c", "abc\n"));
    assert!(!passes("CHECK: {{a|ab}}\nCHECK-SAME: b", "abc\n"));
}

#[test]
fn counts_empties_and_literals() {
    assert!(passes(
        "CHECK-COUNT-2: a\nCHECK-EMPTY:\nCHECK-NEXT{LITERAL}: dense<[[1, 2]]>",
        "a\na\n\ndense<[[1, 2]]>\n"
    ));
    assert!(!passes("CHECK-COUNT-3: a", "a\na\n"));
}

#[test]
fn malformed_files() {
    for text in ["", "CHECK-NEXT: a", "CHECK:", "CHECK: {{(}}", "CHECK: {{a", "CHECK: [[a b]]", "CHECK_NEXT: a"] {
        assert_eq!(code(&[], text, "a\n").0, 2, "{text:?}");
    }
    assert_eq!(code(&[], "CHECK-NOT: a", "").0, 2);
    assert_eq!(code(&["--allow-empty"], "CHECK-NOT: a", "").0, 0);
}

#[test]
fn misnamed_directives_are_found() {
    let prefixes = ["CHECK".to_owned(), "CHECK-ON".to_owned()];
    let text = "// CHECK-NXT: a\n// CHECK-ON-NEXT: a\n// CHECK-NEXT : a\n// CHECK: CHECK-X: a\n// CHECK-COUNT-2: a\n";
    assert_eq!(unknown_directives(text, &prefixes), [(1, "CHECK-NXT".into()), (3, "CHECK-NEXT".into())]);
}

#[test]
fn the_report_shows_the_nearest_line() {
    let input = "func.func @main\n  %0 = graph.abs %x : f32\n  return\n";
    let (code, report) = code(&[], "CHECK: @main\nCHECK: %0 = graph.relu %x : f32", input);
    assert_eq!(code, 1);
    let wanted = "\
x.nir:2: error: CHECK: not found in lines 1 to 3 of the output
  CHECK: %0 = graph.relu %x : f32
   >    1 | func.func @main
   ?    2 |  %0 = graph.abs %x : f32
        3 |  return
  (> the search begins here, ? the nearest line)
  - %0 = graph.relu %x : f32
  + %0 = graph.abs %x : f32
";
    assert_eq!(report, wanted);
}

/// xorshift64*: the cases are the same on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % n
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

const WORDS: [&str; 12] = ["a", "b", "ab", "abc", "%0", "%1", "=", "7", "8", "0x1f", "add", "<[N]x4>"];

fn random_input(random: &mut Random) -> Vec<String> {
    (0..1 + random.below(7))
        .map(|_| {
            let words: Vec<_> = (0..random.below(5)).map(|_| random.one(&WORDS)).collect();
            words.join(random.one(&[" ", " ", "  ", "", "\t"]))
        })
        .collect()
}

/// Something to match one word, mostly. Few of the `wild` ones are legal.
fn random_piece(random: &mut Random, word: &str, wild: bool) -> String {
    let name = random.one(&["X", "Y", "$Z"]);
    let number = random.one(&["N", "M"]);
    match random.below(if wild { 26 } else { 20 }) {
        0..=9 => word.to_owned(),
        10 => "{{.*}}".into(),
        11 => "{{[a-z]+}}".into(),
        12 => format!(
            "{{{{{}}}}}",
            random.one(&[
                "a|ab",
                "(a|ab)(c|bcd)*",
                "a?b*",
                "[^ ]+",
                "%[0-9]",
                "(b|ab|abc)",
                "^",
                "$",
                "[]a]",
                "x{0}",
                "a{1,2}",
                "[[:space:]]",
                ".",
                "(a*)*b",
                "(a)\\1"
            ])
        ),
        13 | 14 => format!("[[{name}:{}]]", random.one(&["[a-z]+", "%[0-9]+", "a|ab", ".*", "[^ ]*", "(a|b)+"])),
        15 | 16 => format!("[[{name}]]"),
        17 => format!("[[#{number}:]]"),
        18 => format!("[[#{number}]]"),
        19 => format!("[[#{number}{}1]]", random.one(&["+", "-", " + "])),
        20 => format!("[[#{},{number}:]]", random.one(&["%x", "%#x", "%d", "%.2u", "%X", "%.1x", "%q"])),
        21 => format!(
            "[[{}]]",
            random.one(&[
                "#@LINE",
                "@LINE",
                "@LINE+1",
                "#@LINE-2",
                "#",
                "#%x,",
                "#mul(N,2)",
                "#max(N, 8)",
                "# N - (1)",
                "#7",
                "#==8",
                "",
                "#add(N)",
                "#N:M+1",
                "#%u,M: 7"
            ])
        ),
        22 => random.one(&WORDS).to_owned(),
        23 => format!("{{{{{}}}}}", regex_noise(random)),
        24 => format!("[[{name}:{}]]", regex_noise(random)),
        _ => random.one(&["{{", "[[", "}}", "]]", "{{}}", "[[X:]]", "[[X Y]]", "|"]).to_owned(),
    }
}

fn regex_noise(random: &mut Random) -> String {
    (0..1 + random.below(5))
        .map(|_| {
            random.one(&[
                "a", "b", "ab", ".", "*", "+", "?", "|", "(", ")", "[ab]", "[^a]", "\\", "0", "%", " ", "{2}", "-",
                "]", "^",
            ])
        })
        .collect()
}

/// A check file that follows the input, mostly: each line takes up some words of a line near the one before.
fn random_check_file(random: &mut Random, input: &[String], prefixes: &[&str]) -> String {
    const WILD: [&str; 11] = [
        "",
        "-NEXT",
        "-EMPTY",
        "_NEXT",
        "-COUNT-0",
        "-DAG-NOT",
        "-FOO",
        "-COUNT-1",
        "{LITERAL}",
        "{ LITERAL ,LITERAL }",
        "{FOO}",
    ];
    const FIRST: [&str; 5] = ["", "", "-DAG", "-NOT", "-LABEL"];
    const LATER: [&str; 12] =
        ["", "", "", "-NEXT", "-NEXT", "-SAME", "-DAG", "-DAG", "-NOT", "-LABEL", "-COUNT-2", "-NEXT{LITERAL}"];
    let (mut text, mut at, mut any_positive, wild) = (String::new(), 0, false, random.chance(20));
    for _ in 0..1 + random.below(6) {
        let kind = random.one(if wild {
            &WILD
        } else if any_positive {
            &LATER
        } else {
            &FIRST
        });
        any_positive |= !matches!(kind, "-DAG" | "-NOT");
        let follows = at < input.len() && kind != "-NOT" && random.chance(95);
        let line = if follows { input[at].as_str() } else { random.one(&WORDS) };
        at = (at + usize::from(kind != "-DAG" || random.chance(50))).min(input.len());
        let mut words: Vec<&str> = line.split([' ', '\t']).filter(|w| !w.is_empty()).collect();
        let is_empty = words.is_empty();
        if is_empty {
            words.push(random.one(&WORDS));
        }
        let from = random.below(words.len());
        let count = (words.len() - from).min(1 + random.below(3));
        let pieces: Vec<_> = words[from..from + count].iter().map(|word| random_piece(random, word, wild)).collect();
        let (kind, body) = match kind {
            "-LABEL" => (kind, line.trim().to_owned()),
            "-NEXT" if is_empty && !wild => ("-EMPTY", String::new()),
            _ => (kind, pieces.join(random.one(&[" ", " ", " ", " ", " ", "", "  "]))),
        };
        let odd = random.one(&["", "# ", "COM: ", "x"]);
        let lead = if random.chance(90) { "// " } else { odd };
        text += &format!("{lead}{}{kind}:{}{body}\n", random.one(prefixes), random.one(&[" ", "  ", ""]));
    }
    text
}

/// Compares with FileCheck-22 where it is installed. `NIM_FILECHECK_CASES` sets how many cases, `NIM_FILECHECK_SEED` which.
#[test]
fn agrees_with_llvm() {
    let setting = |name: &str, default| std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default);
    let llvm = "FileCheck-22";
    if Command::new(llvm).arg("--version").stdout(Stdio::null()).status().is_err() {
        eprintln!("skipped: {llvm} is not installed");
        return;
    }
    let folder = std::env::temp_dir().join(format!("nim-filecheck-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("temporary folder");
    let (check_path, input_path) = (folder.join("check"), folder.join("input"));
    let mut random = Random(setting("NIM_FILECHECK_SEED", 0x9e37_79b9_7f4a_7c15));
    let (mut differences, mut tally) = (Vec::new(), [0; 3]);
    for _ in 0..setting("NIM_FILECHECK_CASES", 250) {
        let mut arguments = Vec::new();
        for (percent, option) in [
            (8, "--strict-whitespace"),
            (8, "--match-full-lines"),
            (6, "--ignore-case"),
            (6, "--enable-var-scope"),
            (8, "--implicit-check-not=add"),
            (5, "--allow-empty"),
            (5, "-DX=ab"),
            (5, "-D#N=7"),
        ] {
            arguments.extend(random.chance(percent).then_some(option));
        }
        let several = random.chance(15);
        let prefixes: &[&str] = if several { &["CHECK", "CHECK-B", "B"] } else { &["CHECK"] };
        if several {
            arguments.push("--check-prefixes=CHECK,CHECK-B,B");
            arguments.extend(random.chance(70).then_some("--allow-unused-prefixes"));
        }
        let lines = random_input(&mut random);
        let check_text = random_check_file(&mut random, &lines, prefixes);
        let input = if random.chance(4) { String::new() } else { lines.join("\n") + random.one(&["\n", "\n", ""]) };
        std::fs::write(&check_path, &check_text).expect("write");
        std::fs::write(&input_path, &input).expect("write");
        let theirs = Command::new(llvm)
            .args(&arguments)
            .arg(&check_path)
            .arg("--dump-input=never")
            .stdin(std::fs::File::open(&input_path).expect("open"))
            .output()
            .expect("FileCheck runs");
        let (ours, message) = code(&arguments, &check_text, &input);
        let said = String::from_utf8_lossy(&theirs.stderr);
        // the one malformed pattern that LLVM's tool leaves with another exit code
        let unusable = said.contains("missing closing \"]\"");
        let their_code = if unusable { 2 } else { theirs.status.code().unwrap_or(-1) };
        tally[ours as usize] += 1;
        // ours refuses `[[#N:]] [[#N]]` always, LLVM's only when N is new: its second N is then the old value
        let stricter = message.contains("defined earlier in the same CHECK directive");
        if ours != their_code && !stricter {
            differences.push(format!(
                "-- ours {ours}, LLVM's {their_code}: {arguments:?}\n{check_text}-- input\n{input}\n-- ours\n{message}\n-- LLVM's\n{said}\n"
            ));
        }
    }
    std::fs::remove_dir_all(&folder).expect("remove");
    println!("passed {}, failed {}, malformed {}", tally[0], tally[1], tally[2]);
    let shown: String = differences.iter().take(6).map(String::as_str).collect();
    assert!(differences.is_empty(), "{} differences, the first:\n{shown}", differences.len());
}
