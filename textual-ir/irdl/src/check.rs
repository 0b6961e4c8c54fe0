//! A module against the definitions: every op, and every type and attribute of a dialect that is defined here.

use crate::{
    CONSTRAINT, COUNT, FOREIGN, UNKNOWN,
    constraint::{Assignment, parts},
    define::{Definition, Definitions, Field, Variadicity},
};
use nim_ir::{
    Attr, AttrData, Body, Context, Diagnostic, Loc, Module, OpId, Type, TypeData, ValueId, diagnostics::did_you_mean,
};
use rustc_hash::FxHashMap;

impl Definitions {
    /// Names of the dialects that are defined.
    pub fn dialects(&self) -> impl Iterator<Item = &str> {
        self.dialects.iter().map(String::as_str)
    }
    /// Whether an op is of a dialect that is defined here.
    pub fn has_dialect_of(&self, op: &str) -> bool {
        op.split_once('.').is_some_and(|(dialect, _)| self.dialects().any(|d| d == dialect))
    }
    /// What in a module is not as the definitions say.
    pub fn check(&self, ctx: &Context, module: &Module) -> Vec<Diagnostic> {
        let mut check = Check { ctx, all: self, seen: FxHashMap::default(), found: vec![] };
        check.body(&module.body);
        check.found
    }
    /// Ops of dialects that neither the context nor the file knows.
    pub fn foreign(&self, ctx: &Context, module: &Module) -> Vec<Diagnostic> {
        let (mut found, mut bodies) = (vec![], vec![&module.body]);
        while let Some(body) = bodies.pop() {
            for op in body.walk() {
                let name = ctx.op_str(body.op_name(op));
                if ctx.op_def(body.op_name(op)).is_none() && !self.has_dialect_of(name) {
                    let message = format!("neither a registered dialect nor the IRDL file has the op `{name}`");
                    let wrong = Diagnostic::error(FOREIGN, body.loc(op), message);
                    found.push(wrong.help("`--allow-unregistered-dialect` keeps such ops"));
                }
                bodies.extend(body.nested(op));
            }
        }
        found
    }
}

struct Check<'a> {
    ctx: &'a Context,
    all: &'a Definitions,
    /// Types and attributes that were looked at: what is wrong with them is told where they stand first.
    seen: FxHashMap<Attr, ()>,
    found: Vec<Diagnostic>,
}

impl Check<'_> {
    fn error(&mut self, code: &'static str, loc: Loc, message: String) {
        self.found.push(Diagnostic::error(code, loc, message));
    }

    fn body(&mut self, body: &Body) {
        // Bodies in bodies wait on a list: nesting may be deep.
        let mut bodies = vec![body];
        while let Some(body) = bodies.pop() {
            for op in body.walk() {
                self.parts_of(body, op);
                let name = self.ctx.op_str(body.op_name(op));
                match self.all.ops.get(name) {
                    Some(definition) => self.op(body, op, name, definition),
                    None if self.all.has_dialect_of(name) => {
                        let near = did_you_mean(name, self.all.ops.keys().map(String::as_str));
                        let loc = body.loc(op);
                        let mut found =
                            Diagnostic::error(UNKNOWN, loc, format!("the IRDL file defines no op `{name}`"));
                        found.help = near.map(|n| format!("did you mean `{n}`?"));
                        self.found.push(found);
                    }
                    None => {}
                }
                bodies.extend(body.nested(op));
            }
        }
    }

    /// Types and attributes of an op, of arguments of blocks in it too.
    fn parts_of(&mut self, body: &Body, op: OpId) {
        let loc = body.loc(op);
        let nested = body.nested(op).into_iter().flat_map(|b| b.root_regions().iter().map(move |&r| (b, r)));
        let own = body.regions(op).iter().map(|&r| (body, r));
        let blocks = own.chain(nested).flat_map(|(b, r)| b.blocks(r).iter().map(move |&block| (b, block)));
        let args = blocks.flat_map(|(b, block)| b.block_args(block).iter().map(move |&v| b.ty(v)));
        let types: Vec<Type> = body.results(op).iter().map(|&v| body.ty(v)).chain(args).collect();
        types.into_iter().for_each(|ty| self.part(self.ctx.type_attr(ty), loc));
        let properties = body.properties(op).into_iter().flat_map(|p| p.iter());
        let attrs: Vec<Attr> = body.attrs(op).iter().chain(properties).map(|(_, attr)| attr).collect();
        attrs.into_iter().for_each(|attr| self.part(attr, loc));
    }

    /// A type or attribute, and those that it is made of.
    fn part(&mut self, attr: Attr, loc: Loc) {
        if self.seen.insert(attr, ()).is_some() {
            return;
        }
        let inner: Vec<Attr> = match self.ctx.attr_data(attr) {
            AttrData::Array(items) => items.clone(),
            AttrData::Dict(items) => items.iter().map(|&(_, a)| a).collect(),
            AttrData::Type(ty) => {
                let of = |types: &[Type]| types.iter().map(|&t| self.ctx.type_attr(t)).collect();
                match self.ctx.type_data(*ty) {
                    TypeData::Tuple(types) => of(types),
                    TypeData::Function { inputs, results } => of(&[inputs.as_slice(), results].concat()),
                    _ => self.ctx.element_type(*ty).map(|t| self.ctx.type_attr(t)).into_iter().collect(),
                }
            }
            _ => vec![],
        };
        inner.into_iter().for_each(|a| self.part(a, loc));
        let Some(found) = parts(self.ctx, attr).filter(|p| self.all.has_dialect_of(&p.name)) else { return };
        let (table, what) = if found.is_type { (&self.all.types, "type") } else { (&self.all.attrs, "attribute") };
        let name = &found.name;
        let Some(definition) = table.get(name) else {
            let near = did_you_mean(name, table.keys().map(String::as_str));
            let mut found = Diagnostic::error(UNKNOWN, loc, format!("the IRDL file defines no {what} `{name}`"));
            found.help = near.map(|n| format!("did you mean `{n}`?"));
            self.found.push(found);
            return;
        };
        let parameters = match found.parameters {
            Ok(parameters) => parameters,
            Err(why) => return self.error(CONSTRAINT, loc, format!("parameters of `{name}` cannot be read: {why}")),
        };
        let wanted = definition.parameters.len();
        if parameters.len() != wanted {
            let message = format!("the {what} `{name}` has {wanted} parameters, found {}", parameters.len());
            return self.error(COUNT, loc, message);
        }
        let mut assignment = Assignment::new(self.ctx, self.all, definition);
        let mut wrong = vec![];
        for (&parameter, (field, constraint)) in parameters.iter().zip(&definition.parameters) {
            if let Err(why) = assignment.verify(parameter, *constraint) {
                let shown = nim_text::print_attr(self.ctx, parameter);
                wrong.push(format!("the parameter `{field}` of `{name}` is `{shown}`: {why}"));
            }
        }
        wrong.into_iter().for_each(|message| self.error(CONSTRAINT, loc, message));
        parameters.into_iter().for_each(|a| self.part(a, loc));
    }

    fn op(&mut self, body: &Body, op: OpId, name: &str, definition: &Definition) {
        let loc = body.loc(op);
        let mut assignment = Assignment::new(self.ctx, self.all, definition);
        let mut wrong: Vec<(&'static str, String)> = vec![];
        let lists: [(&str, &[Field], Vec<ValueId>); 2] = [
            ("operand", &definition.operands, body.operands(op).to_vec()),
            ("result", &definition.results, body.results(op).to_vec()),
        ];
        for (what, fields, values) in lists {
            let sizes = match self.segments(body, op, what, fields, values.len()) {
                Ok(sizes) => sizes,
                Err(message) => {
                    wrong.push((COUNT, format!("`{name}` {message}")));
                    continue;
                }
            };
            let mut values = values.into_iter();
            for (field, size) in fields.iter().zip(sizes) {
                for value in values.by_ref().take(size) {
                    let ty = self.ctx.type_attr(body.ty(value));
                    if let Err(why) = assignment.verify(ty, field.constraint) {
                        let shown = nim_text::print_attr(self.ctx, ty);
                        wrong.push((CONSTRAINT, format!("the {what} `{}` of `{name}` is {shown}: {why}", field.name)));
                    }
                }
            }
        }
        for (field, constraint) in &definition.attributes {
            let text = self.ctx.name(field);
            let attr = body.attr(op, text).or_else(|| body.properties(op)?.get(text));
            match attr.map(|attr| (attr, assignment.verify(attr, *constraint))) {
                None => wrong.push((COUNT, format!("`{name}` needs the attribute `{field}`"))),
                Some((_, Ok(()))) => {}
                Some((attr, Err(why))) => {
                    let shown = nim_text::print_attr(self.ctx, attr);
                    wrong.push((CONSTRAINT, format!("the attribute `{field}` of `{name}` is `{shown}`: {why}")));
                }
            }
        }
        let (wanted, regions) = (definition.regions.len(), body.regions(op));
        if wanted != regions.len() {
            wrong.push((COUNT, format!("`{name}` takes {wanted} regions, found {}", regions.len())));
        }
        for (field, &region) in definition.regions.iter().zip(regions) {
            let blocks = body.blocks(region);
            if let Some(wanted) = field.blocks.filter(|&n| n != blocks.len() as u64) {
                let message =
                    format!("the region `{}` of `{name}` has {wanted} blocks, found {}", field.name, blocks.len());
                wrong.push((COUNT, message));
            }
            let Some(arguments) = &field.arguments else { continue };
            let args: &[ValueId] = blocks.first().map_or(&[], |&b| body.block_args(b));
            if arguments.len() != args.len() {
                let (wanted, found) = (arguments.len(), args.len());
                wrong.push((
                    COUNT,
                    format!("the region `{}` of `{name}` has {wanted} arguments, found {found}", field.name),
                ));
                continue;
            }
            for (i, (&arg, &constraint)) in args.iter().zip(arguments).enumerate() {
                if let Err(why) = assignment.verify(self.ctx.type_attr(body.ty(arg)), constraint) {
                    wrong.push((CONSTRAINT, format!("argument {i} of the region `{}` of `{name}`: {why}", field.name)));
                }
            }
        }
        wrong.into_iter().for_each(|(code, message)| self.error(code, loc, message));
    }

    /// How many values each field has.
    fn segments(
        &self,
        body: &Body,
        op: OpId,
        what: &str,
        fields: &[Field],
        count: usize,
    ) -> Result<Vec<usize>, String> {
        let open = fields.iter().filter(|f| f.variadicity != Variadicity::Single).count();
        let single = fields.len() - open;
        let wrong = |wanted: String| Err(format!("takes {wanted} {what}s, found {count}"));
        if open == 0 && count != single {
            return wrong(single.to_string());
        }
        if open == 1 {
            let Some(rest) = count.checked_sub(single) else { return wrong(format!("at least {single}")) };
            let optional = fields.iter().any(|f| f.variadicity == Variadicity::Optional);
            if optional && rest > 1 {
                return wrong(format!("at most {}", single + 1));
            }
            let size = |f: &Field| if f.variadicity == Variadicity::Single { 1 } else { rest };
            return Ok(fields.iter().map(size).collect());
        }
        if open == 0 {
            return Ok(vec![1; fields.len()]);
        }
        let name = format!("{what}_segment_sizes");
        let text = self.ctx.name(&name);
        let attr = body.attr(op, text).or_else(|| body.properties(op)?.get(text));
        let Some(attr) = attr else {
            return Err(format!("needs the attribute `{name}`, since several {what}s may be many"));
        };
        let sizes =
            self.ctx.as_ints(attr).map(|s| s.into_iter().map(|n| usize::try_from(n).ok()).collect::<Option<Vec<_>>>());
        let Some(Some(sizes)) = sizes else { return Err(format!("has no list of sizes as `{name}`")) };
        let allowed = |(field, &size): (&Field, &usize)| match field.variadicity {
            Variadicity::Single => size == 1,
            Variadicity::Optional => size <= 1,
            Variadicity::Variadic => true,
        };
        let fits = sizes.len() == fields.len() && sizes.iter().sum::<usize>() == count;
        match fits && fields.iter().zip(&sizes).all(allowed) {
            true => Ok(sizes),
            false => Err(format!("has a `{name}` that does not fit its {count} {what}s")),
        }
    }
}
