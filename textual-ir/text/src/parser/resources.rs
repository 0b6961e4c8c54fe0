//! `{-# dialect_resources: {...}, external_resources: {...} #-}`: large constants behind the module.

use super::Parser;
use crate::{blobs, codes, lexer::Kind, strings};
use nim_ir::{Context, Name, syntax::Parse};
use nim_tensor::Blob;

impl Parser<'_> {
    /// The section; the next token is `{-#`.
    pub(super) fn resource_section(&mut self) -> Parse<()> {
        self.expect_token("{-#")?;
        self.list_until("#-}", |p| {
            let group = p.attribute_key()?;
            p.expect_token(":")?;
            p.expect_token("{")?;
            p.list_until("}", |p| {
                let owner = p.attribute_key()?;
                p.expect_token(":")?;
                p.expect_token("{")?;
                p.list_until("}", |p| p.resource_entry(group, owner))
            })
        })?;
        Ok(())
    }

    fn resource_entry(&mut self, group: Name, owner: Name) -> Parse<()> {
        let key = self.attribute_key()?;
        self.expect_token(":")?;
        let token = self.tokens.peek();
        // Resources of others may be words and numbers too; they mean nothing to us.
        let ours = matches!(
            (self.ctx.str(group), self.ctx.str(owner)),
            ("dialect_resources", "builtin") | ("external_resources", blobs::OWNER)
        );
        if !ours {
            self.tokens.bump();
            if self.ctx.str(group) == "external_resources" {
                self.ctx.add_foreign_resource(self.ctx.str(owner), self.ctx.str(key), self.tokens.text(token));
            }
            return Ok(());
        }
        if token.kind != Kind::String {
            return Err(self.unexpected("a string"));
        }
        self.tokens.bump();
        let inner = &self.tokens.text(token)[1..self.tokens.text(token).len() - 1];
        let mut alignment = None;
        let blob = match inner.strip_prefix('@') {
            Some(_) => match strings::unquote(self.tokens.text(token)) {
                Ok(reference) => blobs::load(&reference, self.opts.blob_dir.as_deref()),
                Err((_, message)) => Err(message),
            },
            // Four bytes say the alignment, then come the data.
            None => match strings::unhex(inner) {
                Some(mut bytes) if bytes.len() >= 4 => {
                    let data = bytes.split_off(4);
                    alignment = <[u8; 4]>::try_from(bytes).ok().map(u32::from_le_bytes);
                    Ok(Blob::new(data))
                }
                _ => {
                    Err("a resource is written `\"0x...\"` with four bytes of alignment, or `\"@file:offset:length\"`"
                        .into())
                }
            },
        };
        match blob {
            Ok(blob) => {
                if let Some(alignment) = alignment.filter(|&a| a != self.ctx.resource_alignment(key)) {
                    self.ctx.set_resource_alignment(key, alignment);
                }
                if !keep(self.ctx, key, blob) {
                    let text = self.ctx.str(key);
                    let message = format!("the resource `{text}` has other bytes in this context already");
                    self.error(codes::BAD_RESOURCE, token, message);
                }
            }
            Err(message) => {
                self.error(codes::BAD_RESOURCE, token, message);
            }
        }
        Ok(())
    }
}

/// Adds a resource under exactly this key. Reading the same text twice is fine; other bytes under the key are not.
fn keep(ctx: &Context, key: Name, blob: Blob) -> bool {
    match ctx.resource(key) {
        Some(known) => known == blob,
        None => ctx.add_resource(ctx.str(key), blob) == key,
    }
}

/// The bytes that stand in the text for a resource: its alignment, then the data as the host has it.
pub(crate) fn resource_text(blob: &[u8], alignment: u32) -> String {
    let mut bytes = alignment.to_le_bytes().to_vec();
    bytes.extend_from_slice(blob);
    strings::hex(&bytes)
}
