//! Texts of all dialects read, verify, and come back the same, in pretty and in generic form.

use nim_ir::{Context, Diagnostic, Module, verifier::verify_module};
use nim_text::{ParseOptions, PrintOptions, RenderOptions, parse_module, print_module, render_all};

fn read(ctx: &Context, name: &str, text: &str) -> Module {
    let source = ctx.add_source(name, text);
    let (module, mut found) = parse_module(ctx, source, &ParseOptions::default());
    found.extend(verify_module(ctx, &module));
    let errors: Vec<Diagnostic> = found.into_iter().filter(Diagnostic::is_error).collect();
    assert!(errors.is_empty(), "{name}:\n{}", render_all(ctx, &errors, &RenderOptions::default()));
    module
}

fn round_trip(name: &str, text: &str) {
    let ctx = Context::new(&nim_opt::dialects());
    let pretty = |m: &Module| print_module(&ctx, m, &PrintOptions::default());
    let generic = |m: &Module| print_module(&ctx, m, &PrintOptions { generic: true, ..PrintOptions::default() });
    let first = read(&ctx, name, text);
    let printed = pretty(&first);
    assert_eq!(pretty(&read(&ctx, "printed", &printed)), printed, "{name}");
    let from_generic = read(&ctx, "generic", &generic(&first));
    assert_eq!(generic(&from_generic), generic(&first), "{name}");
    assert_eq!(pretty(&from_generic), printed, "{name}");
}

macro_rules! texts {
    ($($name:ident)*) => { $(
        #[test]
        fn $name() {
            round_trip(stringify!($name), include_str!(concat!("texts/", stringify!($name), ".nir")));
        }
    )* };
}
texts! { upstream dataflow loops dyn_host }
