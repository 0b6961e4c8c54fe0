//! What hand-written assembly of an op may use. The text crate implements these traits; dialects know only them.

use crate::{
    Attr, AttrList, BlockId, Body, Context, Diagnostic, Expr, Loc, Name, OpId, OpState, RegionId, Type, ValueId,
};

/// An error was already reported; parsing of this op stops, the parser recovers at the next one.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Reported;

/// Result of a parsing step.
pub type Parse<T> = Result<T, Reported>;

/// An operand as written, not yet matched with a type.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct OperandName {
    /// Name without `%`.
    pub name: Name,
    /// The number behind `#`, 0 without one.
    pub index: u32,
    /// Where it was written.
    pub loc: Loc,
}

/// Hand-written printer of an op: prints what stands behind the op's name. Results and `=` are printed already.
pub type PrintFn = fn(&mut dyn AsmPrinter, OpId);
/// Hand-written parser of an op: fills operands, attributes, regions and result types.
pub type ParseFn = fn(&mut dyn AsmParser, &mut OpState) -> Parse<()>;

/// Printing.
pub trait AsmPrinter {
    /// The context.
    fn ctx(&self) -> &Context;
    /// The body the op is in.
    fn body(&self) -> &Body;
    /// Prints text as it is.
    fn text(&mut self, text: &str);
    /// `%name` (or `%name#1`).
    fn value(&mut self, value: ValueId);
    /// What [`AsmPrinter::value`] prints, for syntax that puts values into expressions.
    fn value_text(&self, value: ValueId) -> String;
    /// `^bb1`.
    fn successor(&mut self, block: BlockId);
    /// `"text"` with its quotes.
    fn string(&mut self, text: &str);
    /// Operands separated by commas.
    fn values(&mut self, values: &[ValueId]) {
        for (i, &v) in values.iter().enumerate() {
            if i > 0 {
                self.text(", ");
            }
            self.value(v);
        }
    }
    /// A type.
    fn ty(&mut self, ty: Type);
    /// Types separated by commas.
    fn types(&mut self, types: &[Type]) {
        for (i, &t) in types.iter().enumerate() {
            if i > 0 {
                self.text(", ");
            }
            self.ty(t);
        }
    }
    /// An attribute with its type where MLIR prints one.
    fn attr(&mut self, attr: Attr);
    /// A symbolic expression without decoration: `3072*N`. A symbol whose name begins with `%` is printed as it is.
    fn expr(&mut self, expr: Expr);
    /// `@name`, quoted where needed.
    fn symbol(&mut self, name: Name);
    /// ` {a = 1}` of everything not elided; nothing when nothing is left.
    fn attr_dict(&mut self, attrs: &AttrList, elided: &[&str]);
    /// `{ ... }` on lines of its own. `entry_args`: print the header of the entry block when it has arguments.
    /// `terminator`: print the last op even if it is a terminator without operands, results and attributes. Leave it out
    /// only where [`AsmParser::region`] puts it back: for `<dialect>.yield` in an op with `StructuredControlFlow`.
    fn region(&mut self, region: RegionId, entry_args: bool, terminator: bool);
    /// As [`AsmPrinter::region`], of an isolated op: region `index` of its nested body.
    fn nested_region(&mut self, op: OpId, index: usize, entry_args: bool, terminator: bool);
    /// Names of the entry arguments of an isolated op's region, with their types: `%x: tensor<4xf32>, ...`.
    fn nested_args(&mut self, op: OpId, index: usize);
    /// A new line at the current indentation plus one step.
    fn newline(&mut self);
    /// A new line at the current indentation.
    fn line(&mut self);
    /// From here to [`AsmPrinter::unindent`] all is indented by one more step, regions too.
    fn indent(&mut self);
    /// Ends what [`AsmPrinter::indent`] began.
    fn unindent(&mut self);
}

/// Parsing. Every method that fails has reported a diagnostic.
pub trait AsmParser {
    /// The context.
    fn ctx(&self) -> &Context;
    /// Place of the next token.
    fn loc(&self) -> Loc;
    /// Reports an error; returns the token to give up with.
    fn report(&mut self, diagnostic: Diagnostic) -> Reported;
    /// Takes punctuation or a keyword if it is next: `(`, `->`, `combine`.
    fn accept(&mut self, token: &str) -> bool;
    /// Takes punctuation or a keyword, or reports that it was expected.
    fn expect(&mut self, token: &str) -> Parse<()>;
    /// True when this punctuation or keyword is next.
    fn peek(&self, token: &str) -> bool;
    /// Any bare keyword (identifier).
    fn keyword(&mut self) -> Parse<Name>;
    /// `%name`.
    fn operand(&mut self) -> Parse<OperandName>;
    /// True when a `%name` is next.
    fn peek_operand(&self) -> bool;
    /// `%a, %b`, possibly none.
    fn operands(&mut self) -> Parse<Vec<OperandName>> {
        let mut list = vec![];
        if self.peek_operand() {
            list.push(self.operand()?);
            while self.accept(",") {
                list.push(self.operand()?);
            }
        }
        Ok(list)
    }
    /// `loc(...)` if it is next.
    fn location(&mut self) -> Parse<Option<Loc>>;
    /// The value of an operand; its type must be this one. Forward references are allowed.
    fn resolve(&mut self, operand: OperandName, ty: Type) -> Parse<ValueId>;
    /// The value of an operand that must be defined before, whatever its type.
    fn resolve_defined(&mut self, operand: OperandName) -> Parse<ValueId>;
    /// The body that ops are parsed into now.
    fn body(&self) -> &Body;
    /// A type.
    fn ty(&mut self) -> Parse<Type>;
    /// `(types) -> types`, or `type` alone for a result without inputs when `bare` forms are used upstream.
    fn function_type(&mut self) -> Parse<(Vec<Type>, Vec<Type>)>;
    /// Types separated by commas (at least one).
    fn types(&mut self) -> Parse<Vec<Type>> {
        let mut list = vec![self.ty()?];
        while self.accept(",") {
            list.push(self.ty()?);
        }
        Ok(list)
    }
    /// An attribute.
    fn attr(&mut self) -> Parse<Attr>;
    /// `{...}` if it is next, added to the list. Attributes that the op's table calls expressions may be written without
    /// decoration: `{shape = [N, 768]}`.
    fn attr_dict(&mut self, attrs: &mut AttrList) -> Parse<()>;
    /// A symbolic expression, without decoration. A value `%i` in it is read as the symbol named `%i`.
    fn expr(&mut self) -> Parse<Expr>;
    /// `@name`.
    fn symbol(&mut self) -> Parse<Name>;
    /// True when a `@name` is next.
    fn peek_symbol(&self) -> bool;
    /// An integer, possibly negative.
    fn integer(&mut self) -> Parse<i64>;
    /// True when an integer is next.
    fn peek_integer(&self) -> bool;
    /// `"text"`.
    fn string(&mut self) -> Parse<String>;
    /// True when a string is next.
    fn peek_string(&self) -> bool;
    /// `^bb1`, a block of the region that the op stands in.
    fn successor(&mut self) -> Parse<BlockId>;
    /// `{ ... }`, a region whose entry block has these arguments (pushed to the op's regions by the caller; for an
    /// isolated op it goes to the op's nested body). There is always an entry block. In an op with the trait
    /// `StructuredControlFlow` a missing terminator is added if the op's dialect has one named `<dialect>.yield`.
    fn region(&mut self, state: &mut OpState, entry_args: &[(OperandName, Type)]) -> Parse<()>;
    /// A region without blocks, for one that the text leaves out. Not for isolated ops.
    fn empty_region(&mut self, state: &mut OpState);
}
