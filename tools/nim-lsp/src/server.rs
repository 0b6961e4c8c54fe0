//! The protocol: requests and notifications, one after the other.

use crate::{
    actions, complete,
    document::{Document, Part},
    format, hover,
    names::{Thing, occurrences, thing_at},
    outline,
};
use lsp_server::{Connection, ErrorCode, Message, Notification, Request, Response};
use lsp_types::{
    self as lsp,
    notification::{
        DidChangeTextDocument, DidCloseTextDocument, DidOpenTextDocument, Notification as _, PublishDiagnostics,
    },
    request::{
        CodeActionRequest, Completion, DocumentHighlightRequest, DocumentSymbolRequest, Formatting, GotoDefinition,
        HoverRequest, PrepareRenameRequest, References, Rename, Request as _,
    },
};
use nim_ir::DialectDef;
use nim_pass::Registry;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};

/// Why a request has no answer.
struct Refused(ErrorCode, String);

type Answer = Result<Value, Refused>;

/// Serves until the editor says that it is enough.
///
/// # Errors
/// The connection broke, or what came over it is no such protocol.
pub fn serve(connection: Connection) -> Result<(), String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let capabilities = serde_json::to_value(capabilities()).map_err(|e| text(&e))?;
    let (id, _) = connection.initialize_start().map_err(|e| text(&e))?;
    let info = serde_json::json!({ "name": "nim-lsp", "version": env!("CARGO_PKG_VERSION") });
    let answer = serde_json::json!({ "capabilities": capabilities, "serverInfo": info });
    connection.initialize_finish(id, answer).map_err(|e| text(&e))?;
    let mut server = Server::new();
    while let Ok(message) = connection.receiver.recv() {
        match message {
            Message::Request(request) => {
                if connection.handle_shutdown(&request).map_err(|e| text(&e))? {
                    return Ok(());
                }
                let response = server.answer(request);
                connection.sender.send(response.into()).map_err(|e| text(&e))?;
            }
            Message::Notification(notification) => server.hear(notification),
            Message::Response(_) => {}
        }
        // Diagnostics are told when nothing else waits: who types fast is not told about every letter.
        if connection.receiver.is_empty() {
            for params in server.publish() {
                let notification = Notification::new(PublishDiagnostics::METHOD.into(), params);
                connection.sender.send(notification.into()).map_err(|e| text(&e))?;
            }
        }
    }
    Ok(())
}

fn capabilities() -> lsp::ServerCapabilities {
    lsp::ServerCapabilities {
        text_document_sync: Some(lsp::TextDocumentSyncKind::FULL.into()),
        hover_provider: Some(true.into()),
        definition_provider: Some(lsp::OneOf::Left(true)),
        references_provider: Some(lsp::OneOf::Left(true)),
        document_highlight_provider: Some(lsp::OneOf::Left(true)),
        document_symbol_provider: Some(lsp::OneOf::Left(true)),
        document_formatting_provider: Some(lsp::OneOf::Left(true)),
        code_action_provider: Some(true.into()),
        rename_provider: Some(lsp::OneOf::Right(lsp::RenameOptions {
            prepare_provider: Some(true),
            work_done_progress_options: lsp::WorkDoneProgressOptions::default(),
        })),
        completion_provider: Some(lsp::CompletionOptions {
            trigger_characters: Some(["%", "^", "@", "!", "#", ".", "{"].map(String::from).to_vec()),
            ..lsp::CompletionOptions::default()
        }),
        ..lsp::ServerCapabilities::default()
    }
}

struct Server {
    dialects: Vec<&'static DialectDef>,
    registry: Registry,
    /// By their addresses.
    documents: HashMap<String, (lsp::Uri, i32, Document)>,
    /// Texts that were read anew since diagnostics were told.
    changed: BTreeSet<String>,
    /// Texts that were closed: their diagnostics go.
    closed: Vec<lsp::Uri>,
}

fn read<T: DeserializeOwned>(value: Value) -> Result<T, Refused> {
    serde_json::from_value(value).map_err(|error| Refused(ErrorCode::InvalidParams, error.to_string()))
}

fn write(value: impl Serialize) -> Answer {
    serde_json::to_value(value).map_err(|error| Refused(ErrorCode::InternalError, error.to_string()))
}

impl Server {
    fn new() -> Server {
        let mut registry = Registry::new();
        nim_opt::register_passes(&mut registry);
        let (documents, changed) = (HashMap::new(), BTreeSet::new());
        Server { dialects: nim_opt::dialects(), registry, documents, changed, closed: vec![] }
    }

    // ---- what the editor tells

    fn hear(&mut self, notification: Notification) {
        // What cannot be read changes nothing.
        let Notification { method, params } = notification;
        match method.as_str() {
            DidOpenTextDocument::METHOD => {
                if let Ok(params) = read::<lsp::DidOpenTextDocumentParams>(params) {
                    let lsp::TextDocumentItem { uri, version, text, .. } = params.text_document;
                    self.update(uri, version, text);
                }
            }
            DidChangeTextDocument::METHOD => {
                if let Ok(mut params) = read::<lsp::DidChangeTextDocumentParams>(params)
                    && let Some(change) = params.content_changes.pop()
                {
                    self.update(params.text_document.uri, params.text_document.version, change.text);
                }
            }
            DidCloseTextDocument::METHOD => {
                if let Ok(params) = read::<lsp::DidCloseTextDocumentParams>(params) {
                    self.documents.remove(params.text_document.uri.as_str());
                    self.closed.push(params.text_document.uri);
                }
            }
            _ => {}
        }
    }

    fn update(&mut self, uri: lsp::Uri, version: i32, text: String) {
        let key = uri.as_str().to_string();
        self.documents.insert(key.clone(), (uri, version, Document::new(&self.dialects, text)));
        self.changed.insert(key);
    }

    fn publish(&mut self) -> Vec<lsp::PublishDiagnosticsParams> {
        let mut all = vec![];
        for uri in std::mem::take(&mut self.closed) {
            all.push(lsp::PublishDiagnosticsParams::new(uri, vec![], None));
        }
        for key in std::mem::take(&mut self.changed) {
            if let Some((uri, version, document)) = self.documents.get(&key) {
                let found = document.diagnostics(uri);
                all.push(lsp::PublishDiagnosticsParams::new(uri.clone(), found, Some(*version)));
            }
        }
        all
    }

    // ---- what the editor asks

    fn answer(&self, request: Request) -> Response {
        let Request { id, method, params } = request;
        let answer = match method.as_str() {
            HoverRequest::METHOD => self.hover(params),
            GotoDefinition::METHOD => self.definition(params),
            References::METHOD => self.references(params),
            DocumentHighlightRequest::METHOD => self.highlight(params),
            DocumentSymbolRequest::METHOD => self.outline(params),
            Formatting::METHOD => self.formatting(params),
            CodeActionRequest::METHOD => self.code_actions(params),
            PrepareRenameRequest::METHOD => self.prepare_rename(params),
            Rename::METHOD => self.rename(params),
            Completion::METHOD => self.completion(params),
            _ => Err(Refused(ErrorCode::MethodNotFound, format!("`{method}` is not offered"))),
        };
        match answer {
            Ok(value) => Response::new_ok(id, value),
            Err(Refused(code, message)) => Response::new_err(id, code as i32, message),
        }
    }

    fn document(&self, uri: &lsp::Uri) -> Result<&Document, Refused> {
        let open = self.documents.get(uri.as_str()).map(|(_, _, document)| document);
        open.ok_or_else(|| Refused(ErrorCode::InvalidParams, format!("`{}` is not open", uri.as_str())))
    }

    /// The document, the part and the thing at a place.
    fn place(&self, at: &lsp::TextDocumentPositionParams) -> Result<Option<Place<'_>>, Refused> {
        let document = self.document(&at.text_document.uri)?;
        let byte = document.lines.byte(&document.text, at.position);
        let found = document.part_at(byte).and_then(|(part, byte)| Some((part, thing_at(part, byte)?)));
        Ok(found.map(|(part, (thing, range))| Place { document, part, thing, range }))
    }

    fn hover(&self, params: Value) -> Answer {
        let params: lsp::HoverParams = read(params)?;
        let at = params.text_document_position_params;
        let document = self.document(&at.text_document.uri)?;
        let byte = document.lines.byte(&document.text, at.position);
        let found = hover::hover(document, &self.registry, byte);
        write(found.map(|(value, range)| lsp::Hover {
            contents: lsp::HoverContents::Markup(lsp::MarkupContent { kind: lsp::MarkupKind::Markdown, value }),
            range: Some(document.lines.range(&document.text, range)),
        }))
    }

    fn definition(&self, params: Value) -> Answer {
        let params: lsp::GotoDefinitionParams = read(params)?;
        let at = params.text_document_position_params;
        let Some(place) = self.place(&at)? else { return Ok(Value::Null) };
        let found = occurrences(place.part, &place.thing).into_iter().find(|o| o.definition);
        write(found.map(|o| lsp::Location::new(at.text_document.uri, place.document.range(place.part, o.range))))
    }

    fn references(&self, params: Value) -> Answer {
        let params: lsp::ReferenceParams = read(params)?;
        let at = params.text_document_position;
        let Some(place) = self.place(&at)? else { return Ok(Value::Null) };
        let all = occurrences(place.part, &place.thing).into_iter();
        let wanted = all.filter(|o| params.context.include_declaration || !o.definition);
        let uri = at.text_document.uri;
        let places = wanted.map(|o| lsp::Location::new(uri.clone(), place.document.range(place.part, o.range)));
        write(places.collect::<Vec<_>>())
    }

    fn highlight(&self, params: Value) -> Answer {
        let params: lsp::DocumentHighlightParams = read(params)?;
        let Some(place) = self.place(&params.text_document_position_params)? else { return Ok(Value::Null) };
        let all = occurrences(place.part, &place.thing).into_iter().map(|o| lsp::DocumentHighlight {
            range: place.document.range(place.part, o.range),
            kind: Some(if o.definition { lsp::DocumentHighlightKind::WRITE } else { lsp::DocumentHighlightKind::READ }),
        });
        write(all.collect::<Vec<_>>())
    }

    fn outline(&self, params: Value) -> Answer {
        let params: lsp::DocumentSymbolParams = read(params)?;
        write(outline::outline(self.document(&params.text_document.uri)?))
    }

    fn formatting(&self, params: Value) -> Answer {
        let params: lsp::DocumentFormattingParams = read(params)?;
        let document = self.document(&params.text_document.uri)?;
        let formatted = format::format(&document.text);
        if formatted == document.text {
            return write(Vec::<lsp::TextEdit>::new());
        }
        let whole = document.lines.range(&document.text, 0..document.text.len());
        write([lsp::TextEdit::new(whole, formatted)])
    }

    fn code_actions(&self, params: Value) -> Answer {
        let params: lsp::CodeActionParams = read(params)?;
        let uri = params.text_document.uri;
        let document = self.document(&uri)?;
        let own = params.context.diagnostics.iter().filter(|d| d.source.as_deref() == Some("nim"));
        write(own.filter_map(|d| actions::expect(document, &uri, d)).collect::<Vec<_>>())
    }

    fn prepare_rename(&self, params: Value) -> Answer {
        let Some(place) = self.place(&read(params)?)? else { return Ok(Value::Null) };
        write(place.document.range(place.part, place.range))
    }

    fn rename(&self, params: Value) -> Answer {
        let params: lsp::RenameParams = read(params)?;
        let at = params.text_document_position;
        let Some(place) = self.place(&at)? else {
            return Err(Refused(ErrorCode::InvalidRequest, "there is nothing here that has a name".into()));
        };
        let name = place.new_name(&params.new_name).map_err(|why| Refused(ErrorCode::InvalidParams, why))?;
        let edits = occurrences(place.part, &place.thing)
            .into_iter()
            .map(|o| lsp::TextEdit::new(place.document.range(place.part, o.range), name.clone()))
            .collect::<Vec<_>>();
        #[allow(clippy::mutable_key_type)] // The protocol's own map.
        let changes = HashMap::from([(at.text_document.uri, edits)]);
        write(lsp::WorkspaceEdit { changes: Some(changes), ..lsp::WorkspaceEdit::default() })
    }

    fn completion(&self, params: Value) -> Answer {
        let params: lsp::CompletionParams = read(params)?;
        let at = params.text_document_position;
        let document = self.document(&at.text_document.uri)?;
        let byte = document.lines.byte(&document.text, at.position);
        write(complete::complete(document, &self.registry, byte))
    }
}

/// A thing and where it was pointed at.
struct Place<'a> {
    document: &'a Document,
    part: &'a Part,
    thing: Thing,
    range: std::ops::Range<usize>,
}

impl Place<'_> {
    /// The text of a new name, with the sign of what it names.
    fn new_name(&self, asked: &str) -> Result<String, String> {
        let old = &self.part.text()[self.range.clone()];
        let sign = old.chars().next().filter(|c| "%^@".contains(*c));
        let bare = sign.map_or(asked, |sign| asked.strip_prefix(sign).unwrap_or(asked));
        let first =
            |c: char| c.is_ascii_alphabetic() || c == '_' || (matches!(sign, Some('%' | '^')) && "$.-".contains(c));
        let other = |c: char| {
            c.is_ascii_alphanumeric()
                || c == '_'
                || (sign.is_some() && "$.".contains(c))
                || (matches!(sign, Some('%' | '^')) && c == '-')
        };
        if !bare.starts_with(first) || !bare.chars().all(other) {
            return Err(format!("`{asked}` is no name"));
        }
        let new = sign.map_or(bare.to_string(), |sign| format!("{sign}{bare}"));
        let text = self.part.text();
        let taken = match &self.thing {
            Thing::Local(_) => {
                let scope = crate::names::scope_of(self.part, self.range.start);
                let mine = |at: usize| crate::names::scope_of(self.part, at) == scope;
                self.part.index.definitions.iter().any(|d| text[d.range.clone()] == *new && mine(d.range.start))
            }
            other => {
                let renamed = match other {
                    Thing::Symbol(_) => Thing::Symbol(new.clone()),
                    Thing::Dim(_, scope) => Thing::Dim(new.clone(), scope.clone()),
                    Thing::Local(_) => return Ok(new),
                };
                !occurrences(self.part, &renamed).is_empty()
            }
        };
        if taken && new != *old { Err(format!("`{new}` is a name already")) } else { Ok(new) }
    }
}
