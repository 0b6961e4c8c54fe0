//! Where memory is: on the host, or on a device that has a name.
//!
//! A buffer's type says it, as upstream's types do, by its memory space: `memref<4xf32>` is on the host, `memref<4xf32, "npu">` on
//! the device called `npu`. A kernel has the attribute `device`; it reads and writes buffers of its device only.

use nim_ir::{Attr, Body, Context, Diagnostic, OpId, Type, TypeData, verifier::SymbolTable};

/// The host, or a device with its name.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Device(Option<Attr>);

/// What the host is called where a name has to stand; `host` is read, too. No device can be called so.
pub const HOST: &str = "cpu";

impl Device {
    /// The host.
    pub const HOST: Device = Device(None);

    /// The device of a name.
    pub fn named(ctx: &Context, name: &str) -> Device {
        Device((![HOST, "host"].contains(&name)).then(|| ctx.string_attr(name)))
    }

    /// Where buffers of a type are.
    pub fn of_type(ctx: &Context, ty: Type) -> Device {
        match ctx.type_data(ty) {
            TypeData::MemRef { space, .. } | TypeData::UnrankedMemRef { space, .. } => {
                let name = space.and_then(|attr| ctx.as_string(attr));
                name.map_or(Device(*space), |name| Device::named(ctx, name))
            }
            _ => Device::HOST,
        }
    }

    /// The type of the same buffer on this device.
    pub fn place(self, ctx: &Context, ty: Type) -> Type {
        match ctx.type_data(ty) {
            TypeData::MemRef { dims, element, layout, .. } => {
                ctx.ty(TypeData::MemRef { dims: dims.clone(), element: *element, layout: *layout, space: self.0 })
            }
            &TypeData::UnrankedMemRef { element, .. } => ctx.ty(TypeData::UnrankedMemRef { element, space: self.0 }),
            _ => ty,
        }
    }

    /// What ops that make memory there have as `device`; nothing on the host.
    pub fn attr(self) -> Option<Attr> {
        self.0
    }

    /// Its name.
    pub fn name(self, ctx: &Context) -> &str {
        self.0.map_or(HOST, |a| ctx.as_string(a).unwrap_or("?"))
    }

    /// As it stands in messages.
    pub fn describe(self, ctx: &Context) -> String {
        match self {
            Device::HOST => "the host".into(),
            device => format!("`{}`", device.name(ctx)),
        }
    }
}

/// The device that an op or a kernel names in its attribute `device`.
pub fn device_attr(ctx: &Context, body: &Body, op: OpId) -> Option<Device> {
    let name = body.attr_named(ctx, op, "device").and_then(|a| ctx.as_string(a))?;
    Some(Device::named(ctx, name))
}

/// A view is where its memory is.
pub(crate) fn verify_view(ctx: &Context, body: &Body, op: OpId, found: &mut Vec<Diagnostic>) {
    let Some(alloc) = body.defining_op(body.operand(op, 0)) else { return };
    let memory = device_attr(ctx, body, alloc).unwrap_or_default();
    let buffer = Device::of_type(ctx, body.ty(body.result(op)));
    if memory != buffer {
        let message = format!("a view on {} of memory on {}", buffer.describe(ctx), memory.describe(ctx));
        found.push(Diagnostic::error("N0588", body.loc(op), message).label(body.loc(alloc), "the memory"));
    }
}

/// A kernel gets buffers of its own device.
pub(crate) fn verify_invoke(
    ctx: &Context,
    table: &SymbolTable<'_>,
    body: &Body,
    op: OpId,
    found: &mut Vec<Diagnostic>,
) {
    let name = body.attr_named(ctx, op, "callee").and_then(|a| ctx.as_symbol_ref(a));
    let Some((name, kernel)) = name.and_then(|name| Some((name, table.get(name)?))) else { return };
    let device = device_attr(ctx, table.body, kernel).unwrap_or_default();
    for (i, v) in body.operands_iter(op).enumerate() {
        let place = Device::of_type(ctx, body.ty(v));
        if place != device {
            let (name, place, device) = (ctx.str(name), place.describe(ctx), device.describe(ctx));
            let message = format!("operand {i} of `@{name}` is on {place}, the kernel runs on {device}");
            let diagnostic = Diagnostic::error("N0589", body.loc(op), message);
            found.push(diagnostic.label(table.body.loc(kernel), "the kernel").help("dyn-place-devices inserts copies"));
        }
    }
}
