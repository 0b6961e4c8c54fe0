//! The header is made from the Rust definitions.

use std::path::Path;

const NOTICE: &str = "\
/* libnim: runs programs that nim-compile made.
 *
 * Made from backends/c-api/src by its tests; not to be edited by hand.
 *
 * Functions that can fail answer with an error object, which the caller frees, or with null for success. No function
 * aborts or unwinds. Programs and values may be used from any number of threads at a time, a session from one at a time.
 * docs/examples/c/recurrent.c shows all of it at work.
 */";

const OPAQUE: &str = "
// A value. It never changes, and any thread may read it.
typedef struct nim_value nim_value;

// A program in machine code that was linked: what `nim-compile --emit=so` and `--emit=obj+h` export.
typedef struct nim_native nim_native;";

/// The header for the definitions as they are.
fn header() -> String {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut builder = cbindgen::Builder::new();
    for file in ["error.rs", "value.rs", "program.rs", "session.rs", "specialise.rs"] {
        builder = builder.with_src(source.join(file));
    }
    let mut config = cbindgen::Config {
        language: cbindgen::Language::C,
        style: cbindgen::Style::Type,
        cpp_compat: true,
        usize_is_size_t: true,
        documentation_style: cbindgen::DocumentationStyle::C99,
        include_guard: Some("NIM_H".into()),
        header: Some(NOTICE.into()),
        sort_by: cbindgen::SortKey::None,
        after_includes: Some(OPAQUE.into()),
        line_length: 120,
        ..cbindgen::Config::default()
    };
    config.export.include = vec!["nim_error_code".into()];
    // Rust knows what is in these, C does not.
    config.export.exclude = vec!["nim_value".into(), "nim_native".into()];
    let mut text = vec![];
    builder.with_config(config).generate().expect("the definitions can be written in C").write(&mut text);
    // What must hold of the arguments is a sentence like any other.
    String::from_utf8(text).expect("UTF-8").lines().filter(|l| l.trim() != "// # Safety").fold(
        String::new(),
        |mut all, line| {
            all.push_str(line);
            all.push('\n');
            all
        },
    )
}

#[test]
fn follows_the_definitions() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("include/nim.h");
    let (made, there) = (header(), std::fs::read_to_string(&path).unwrap_or_default());
    if made != there && std::env::var_os("NIM_BLESS").is_some() {
        std::fs::write(&path, made).expect("the header can be written");
        return;
    }
    assert!(made == there, "include/nim.h is not what the definitions say: NIM_BLESS=1 writes it anew\n{made}");
}

#[test]
fn numbers_of_element_types_are_those_of_files() {
    for (number, dtype) in nim_tensor::DType::ALL.into_iter().enumerate() {
        assert_eq!(usize::from(nim_vm::bytecode::field::dtype_code(dtype)), number);
        let name = format!("{:?}", nim::nim_dtype::ALL[number]);
        assert_eq!(name, format!("NIM_{}", format!("{dtype:?}").to_uppercase()));
        assert_eq!(nim::nim_dtype::ALL[number] as usize, number);
    }
}
