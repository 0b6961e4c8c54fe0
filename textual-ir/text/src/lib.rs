//! Textual form: lexer, parser, printer, diagnostics rendering.
