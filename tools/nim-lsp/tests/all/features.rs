//! Each thing that an editor may ask for, on a small text.

use crate::client::{Client, at, edited, place, text_of};
use serde_json::{Value, json};

const URI: &str = "file:///net.nir";
const NET: &str = "\
// RUN: nim-opt %s --graph-simplify
func.func @layer(%x: tensor<[N]x4xf32>, %w: tensor<4x3xf32>) -> tensor<[N]x3xf32> {
  %h = graph.matmul %x, %w : (tensor<[N]x4xf32>, tensor<4x3xf32>) -> tensor<[N]x3xf32>
  %y = graph.relu %h : (tensor<[N]x3xf32>) -> tensor<[N]x3xf32>
  return %y : tensor<[N]x3xf32>
}

func.func @main(%x: tensor<[M]x4xf32>, %w: tensor<4x3xf32>, %c: i1) -> tensor<[M]x3xf32> {
  %r:2 = call @twice(%c) : (i1) -> (i1, i1)
  cf.cond_br %r#1, ^then, ^then
^then:
  %y = call @layer(%x, %w) : (tensor<[M]x4xf32>, tensor<4x3xf32>) -> tensor<[M]x3xf32>
  return %y : tensor<[M]x3xf32>
}

func.func private @twice(i1) -> (i1, i1)
";

fn client() -> Client {
    let mut client = Client::start();
    let found = client.open(URI, NET);
    assert_eq!(found, Vec::<Value>::new(), "the text is fine");
    client
}

fn hover(client: &mut Client, what: &str, n: usize) -> String {
    let answer = client.ask("textDocument/hover", at(URI, place(NET, what, n, 1)));
    answer["contents"]["value"].as_str().unwrap_or_else(|| panic!("nothing about `{what}`")).to_owned()
}

/// The texts of the lines, with their numbers from 1, that places are on.
fn lines(places: &Value) -> Vec<u64> {
    let list = places.as_array().expect("places");
    list.iter().map(|p| p["range"]["start"]["line"].as_u64().expect("a line") + 1).collect()
}

#[test]
fn diagnostics_while_typing() {
    let mut client = Client::start();
    // Two mistakes in two ops, both told; names that are known are proposed.
    let broken = NET.replace("graph.relu %h", "graph.rellu %h").replace("call @layer(%x, %w)", "call @layer(%x, %v)");
    let found = client.open(URI, &broken);
    let told: Vec<_> = found.iter().map(|d| (d["code"].as_str().unwrap(), text_of(&broken, &d["range"]))).collect();
    assert_eq!(told, [("N0106", "graph.rellu"), ("N0201", "%v")]);
    let message = found[0]["message"].as_str().unwrap();
    assert!(
        message.contains("there is no op `graph.rellu`") && message.contains("did you mean `graph.relu`?"),
        "{message}"
    );
    // The middle of a word: everything else is still read.
    let found =
        client.change(URI, 2, &NET.replace("graph.relu %h : (tensor<[N]x3xf32>) -> tensor<[N]x3xf32>", "graph."));
    assert!(!found.is_empty() && found.iter().all(|d| d["range"]["start"]["line"] == 3), "{found:?}");
    // Fine again; then something that only the verifier sees, with a second place.
    assert_eq!(client.change(URI, 3, NET), Vec::<Value>::new());
    let twice = NET.replace("@main", "@layer");
    let found = client.change(URI, 4, &twice);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0]["code"].as_str(), found[0]["source"].as_str()), (Some("N0311"), Some("nim")));
    assert!(found[0]["relatedInformation"][0]["location"]["range"]["start"]["line"] == 1, "{found:?}");
    client.tell("textDocument/didClose", json!({ "textDocument": { "uri": URI } }));
    assert_eq!(client.diagnostics(URI), Vec::<Value>::new(), "a closed text has none");
    client.stop();
}

#[test]
fn hover_tells_ops_shapes_passes() {
    let mut client = client();
    let op = hover(&mut client, "graph.matmul", 0);
    assert!(op.contains("### `graph.matmul`") && op.contains("NumPy") && op.contains("| `x` | a tensor |"), "{op}");
    let value = hover(&mut client, "%y", 1);
    assert!(value.contains("%y : tensor<[N]x3xf32>"), "{value}");
    assert!(value.contains("dimension 0 of %y is `N`"), "{value}");
    assert!(value.contains("`graph.relu` makes it of dimension 0 of %h (line 4)"), "{value}");
    assert!(
        value.contains("dimension 0 of %x: it is an argument, so this is where the size is said (line 2)"),
        "{value}"
    );
    let result = hover(&mut client, "%r#1", 0);
    assert!(result.contains("i1"), "{result}");
    let callee = hover(&mut client, "@layer", 1);
    assert!(callee.contains("func.func @layer(%x: tensor<[N]x4xf32>"), "{callee}");
    let dim = hover(&mut client, "[M]", 0);
    assert!(dim.contains("dimension `M`: 5 places") && dim.contains("@main"), "{dim}");
    let pass = hover(&mut client, "graph-simplify", 0);
    assert!(pass.contains("### `graph-simplify`") && pass.contains("say nothing"), "{pass}");
    let word = hover(&mut client, "return", 0);
    assert!(word.contains("func.return"), "{word}");
    let nothing = client.ask("textDocument/hover", at(URI, json!({ "line": 6, "character": 0 })));
    assert_eq!(nothing, Value::Null);
    client.stop();
}

#[test]
fn definitions_and_references() {
    let mut client = client();
    // what, which of them, the line of its definition, the lines of all places
    let cases: [(&str, usize, u64, &[u64]); 6] = [
        ("%h", 1, 3, &[3, 4]),
        ("%x", 1, 2, &[2, 3]),
        ("%r#1", 0, 9, &[9, 10]),
        ("^then", 0, 11, &[10, 10, 11]),
        ("@layer", 1, 2, &[2, 12]),
        ("[N]", 3, 2, &[2, 2, 3, 3, 4, 4, 5]),
    ];
    for (what, n, defined, all) in cases {
        let position = place(NET, what, n, 1);
        let definition = client.ask("textDocument/definition", at(URI, position.clone()));
        assert_eq!(definition["range"]["start"]["line"], defined - 1, "{what}: {definition}");
        let mut asked = at(URI, position);
        asked["context"] = json!({ "includeDeclaration": true });
        assert_eq!(lines(&client.ask("textDocument/references", asked.clone())), all, "{what}");
        let lit = client.ask("textDocument/documentHighlight", asked.clone());
        assert_eq!(lines(&lit), all, "{what}");
        asked["context"] = json!({ "includeDeclaration": false });
        assert_eq!(lines(&client.ask("textDocument/references", asked)).len(), all.len() - 1, "{what}");
    }
    client.stop();
}

#[test]
fn rename() {
    let mut client = client();
    let mut rename = |what: &str, n: usize, new: &str| {
        let mut asked = at(URI, place(NET, what, n, 1));
        asked["newName"] = json!(new);
        client
            .try_ask("textDocument/rename", asked)
            .map(|edit| edited(NET, edit["changes"][URI].as_array().expect("edits")))
    };
    let value = rename("%h", 1, "hidden").expect("a value");
    assert_eq!(value, NET.replace("%h", "%hidden"));
    let block = rename("^then", 0, "^end").expect("a block");
    assert_eq!(block, NET.replace("^then", "^end"));
    let symbol = rename("@layer", 1, "dense").expect("a symbol");
    assert_eq!(symbol, NET.replace("@layer", "@dense"));
    let dim = rename("[M]", 0, "batch").expect("a dimension");
    assert_eq!(dim, NET.replace("[M]", "[batch]"));
    // Only in its own function, and to nothing that is there already or that is no name.
    let other = rename("%x", 0, "%input").expect("a value");
    assert_eq!(other.matches("%input").count(), 2, "{other}");
    assert_eq!(rename("%h", 0, "y"), Err("`%y` is a name already".into()));
    assert_eq!(rename("@layer", 0, "main"), Err("`@main` is a name already".into()));
    assert_eq!(rename("[N]", 0, "a b"), Err("`a b` is no name".into()));
    assert!(rename("func.func", 0, "x").is_err());
    let range = client.ask("textDocument/prepareRename", at(URI, place(NET, "%h", 1, 1)));
    assert_eq!(text_of(NET, &range), "%h");
    client.stop();
}

#[test]
fn completion() {
    let mut client = Client::start();
    // The text up to the place `|`, and some of what is offered there, and what is not.
    let cases: [(&str, &[&str], &[&str]); 9] = [
        ("  %z = graph.ma|\n", &["graph.matmul", "graph.max", "arith.addi"], &["cse"]),
        ("  graph.|\n", &["graph.guard"], &[]),
        ("  %z = graph.relu %|\n", &["%x", "%c", "%y"], &["%w", "%missing"]),
        ("  cf.br ^|\n", &["^here"], &["^then"]),
        ("  %z = call @|\n", &["@main", "@f"], &["@x"]),
        (
            "  %z = graph.reduce %x {ki|} : (tensor<[N]xf32>) -> tensor<[N]xf32>\n",
            &["kind", "axes", "keepdims"],
            &["graph.add"],
        ),
        (
            "  %z = graph.reduce %x {kind = |} : (tensor<[N]xf32>) -> tensor<[N]xf32>\n",
            &["\"sum\"", "\"max\""],
            &["axes"],
        ),
        ("  %z = graph.relu %x : |\n", &["tensor", "f32", "!graph.string"], &["graph.add"]),
        ("  // RUN: nim-opt %s --dataflow-f|\n", &["dataflow-fuse", "cse"], &["graph.add"]),
    ];
    let around = |line: &str| {
        format!(
            "func.func @main(%w: i1) {{\n^then:\n  return\n}}\nfunc.func @f(%x: tensor<[N]xf32>, %c: i1) {{\n  %y = graph.relu %x : \
             (tensor<[N]xf32>) -> tensor<[N]xf32>\n  cf.br ^here\n^here:\n{line}  return\n}}\n"
        )
    };
    for (line, wanted, unwanted) in cases {
        let marked = around(line);
        let text = marked.replace('|', "");
        client.open(URI, &text);
        let answer = client.ask("textDocument/completion", at(URI, place(&marked, "|", 0, 0)));
        let items = answer.as_array().expect("a list");
        let labels: Vec<&str> = items.iter().map(|i| i["label"].as_str().unwrap()).collect();
        for word in wanted {
            assert!(labels.contains(word), "{line}: no `{word}` in {labels:?}");
        }
        for word in unwanted {
            assert!(!labels.contains(word), "{line}: `{word}` is offered");
        }
        // What is put in replaces what was typed.
        let first = items.iter().find(|i| i["label"] == wanted[0]).expect("it is there");
        let after = edited(&text, &[first["textEdit"].clone()]);
        let typed = line[..line.find('|').unwrap()]
            .rsplit(|c: char| !c.is_alphanumeric() && !"%^@._-".contains(c))
            .next()
            .unwrap();
        let typed = typed.trim_start_matches("--");
        assert_eq!(
            after,
            text.replacen(&line.replace('|', ""), &line.replace(&format!("{typed}|"), wanted[0]), 1),
            "{line}"
        );
    }
    client.stop();
}

#[test]
fn outline() {
    let mut client = Client::start();
    let text = "module @outer {\n  func.func @f(%c: i1) {\n    cf.br ^end\n  ^end:\n    return\n  }\n  func.func private @g(i1)\n}\n";
    assert_eq!(client.open(URI, text), Vec::<Value>::new());
    let answer = client.ask("textDocument/documentSymbol", json!({ "textDocument": { "uri": URI } }));
    let outer = &answer[0];
    assert_eq!((&outer["name"], &outer["detail"]), (&json!("@outer"), &json!("module")), "{answer:#}");
    let names = |of: &Value| -> Vec<String> {
        of["children"].as_array().into_iter().flatten().map(|c| c["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(outer), ["@f", "@g"]);
    assert_eq!(names(&outer["children"][0]), ["^end"]);
    assert_eq!(text_of(text, &outer["children"][0]["selectionRange"]), "@f");
    client.stop();
}

#[test]
fn formatting() {
    let mut client = Client::start();
    let text =
        "func.func @f(%x: i32) -> i32 {\n      // a note\n%y = arith.addi %x, %x : i32   \n\n\n\n return %y : i32\n}";
    client.open(URI, text);
    let asked = json!({ "textDocument": { "uri": URI }, "options": { "tabSize": 2, "insertSpaces": true } });
    let edits = client.ask("textDocument/formatting", asked.clone());
    let after = edited(text, edits.as_array().unwrap());
    assert_eq!(
        after,
        "func.func @f(%x: i32) -> i32 {\n  // a note\n  %y = arith.addi %x, %x : i32\n\n  return %y : i32\n}\n"
    );
    client.change(URI, 2, &after);
    assert_eq!(client.ask("textDocument/formatting", asked), json!([]), "a second time changes nothing");
    client.stop();
}

#[test]
fn a_diagnostic_is_expected() {
    let mut client = Client::start();
    let text = "func.func @f(%x: i32) -> f32 {\n  return %x : i32\n}\n";
    let found = client.open(URI, text);
    assert_eq!(found.len(), 1, "{found:?}");
    let asked =
        json!({ "textDocument": { "uri": URI }, "range": found[0]["range"], "context": { "diagnostics": found } });
    let actions = client.ask("textDocument/codeAction", asked);
    let action = &actions[0];
    assert_eq!(action["kind"], "quickfix");
    let after = edited(text, action["edit"]["changes"][URI].as_array().unwrap());
    let comment = after.lines().nth(1).unwrap();
    assert!(comment.starts_with("  // expected-error@+1 {{N0362 ") && comment.ends_with("}}"), "{comment}");
    // It is the comment that the driver understands.
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("expected.nir");
    std::fs::write(&path, &after).unwrap();
    let mut registry = nim_pass::Registry::new();
    nim_opt::register_passes(&mut registry);
    let arguments = ["nim-opt".into(), path.into_os_string(), "--verify-diagnostics".into()];
    let code = nim_opt::main_from(registry, &nim_opt::dialects(), arguments);
    assert_eq!(format!("{code:?}"), format!("{:?}", std::process::ExitCode::SUCCESS), "{after}");
    client.stop();
}
