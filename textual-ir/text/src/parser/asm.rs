//! What dialects' own syntax sees of the parser.

use super::Parser;
use crate::lexer::Kind;
use nim_ir::{
    Attr, AttrList, BlockId, Body, Context, Diagnostic, Expr, Loc, Name, OpState, Type, ValueId,
    syntax::{AsmParser, OperandName, Parse, Reported},
};

impl AsmParser for Parser<'_> {
    fn ctx(&self) -> &Context {
        self.ctx
    }
    fn loc(&self) -> Loc {
        self.loc_of(self.tokens.peek())
    }
    fn report(&mut self, diagnostic: Diagnostic) -> Reported {
        self.emit(diagnostic)
    }
    fn accept(&mut self, token: &str) -> bool {
        self.accept_token(token)
    }
    fn expect(&mut self, token: &str) -> Parse<()> {
        self.expect_token(token)
    }
    fn peek(&self, token: &str) -> bool {
        self.peek_is(token)
    }
    fn keyword(&mut self) -> Parse<Name> {
        match self.accept_kind(Kind::BareId) {
            Some(text) => Ok(self.ctx.name(text)),
            None => Err(self.unexpected("a word")),
        }
    }
    fn operand(&mut self) -> Parse<OperandName> {
        self.operand_name()
    }
    fn peek_operand(&self) -> bool {
        self.peek_kind() == Kind::PercentId
    }
    fn resolve(&mut self, operand: OperandName, ty: Type) -> Parse<ValueId> {
        Ok(self.lookup(operand, Some(ty)))
    }
    fn resolve_defined(&mut self, operand: OperandName) -> Parse<ValueId> {
        Ok(self.lookup(operand, None))
    }
    fn body(&self) -> &Body {
        self.bodies.last().expect("the module's body is there from the start")
    }
    fn ty(&mut self) -> Parse<Type> {
        Parser::ty(self)
    }
    fn function_type(&mut self) -> Parse<(Vec<Type>, Vec<Type>)> {
        if self.peek_is("(") { self.function_signature() } else { Ok((vec![], vec![Parser::ty(self)?])) }
    }
    fn attr(&mut self) -> Parse<Attr> {
        self.attribute(true)
    }
    fn attr_dict(&mut self, attrs: &mut AttrList) -> Parse<()> {
        if self.peek_is("{") { self.dictionary(attrs, true) } else { Ok(()) }
    }
    fn expr(&mut self) -> Parse<Expr> {
        self.expr_prefix()
    }
    fn symbol(&mut self) -> Parse<Name> {
        self.symbol_name()
    }
    fn peek_symbol(&self) -> bool {
        self.peek_kind() == Kind::AtId
    }
    fn integer(&mut self) -> Parse<i64> {
        let negative = self.accept_token("-");
        let token = self.tokens.peek();
        if !matches!(token.kind, Kind::Integer | Kind::HexInteger) {
            return Err(self.unexpected("an integer"));
        }
        self.tokens.bump();
        super::attrs::integer_value(token.kind, negative, self.tokens.text(token))
            .and_then(|v| i64::try_from(v).map_err(|_| format!("{v} does not fit in 64 bits")))
            .map_err(|message| self.error(crate::codes::BAD_NUMBER, token, message))
    }
    fn peek_integer(&self) -> bool {
        let digits = |n| matches!(self.tokens.peek_at(n).kind, Kind::Integer | Kind::HexInteger);
        digits(0) || (self.peek_is("-") && digits(1))
    }
    fn string(&mut self) -> Parse<String> {
        self.string_literal()
    }
    fn peek_string(&self) -> bool {
        self.peek_kind() == Kind::String
    }
    fn successor(&mut self) -> Parse<BlockId> {
        self.successor_name()
    }
    fn location(&mut self) -> Parse<Option<Loc>> {
        self.trailing_location()
    }
    fn region(&mut self, state: &mut OpState, entry_args: &[(OperandName, Type)]) -> Parse<()> {
        self.region_of(state, Some(entry_args))
    }
    fn empty_region(&mut self, state: &mut OpState) {
        let region = self.body_now().add_detached_region();
        state.regions.push(region);
    }
}
