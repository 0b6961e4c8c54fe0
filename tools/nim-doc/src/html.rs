//! One static page of everything, with search: no server, no other file.

use crate::pages::Page;
use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd, html::push_html};
use std::fmt::Write;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The page. Links between the pages become links within it; links to files of the test-suite become text.
pub fn page(pages: &[Page]) -> String {
    let (mut content, mut menu) = (String::new(), String::new());
    for page in pages {
        let mut parser = Parser::new_ext(&page.text, Options::ENABLE_TABLES).peekable();
        let mut events: Vec<Event<'_>> = vec![];
        let mut open = false;
        // Each heading of the second level begins a section that search shows or hides.
        while let Some(event) = parser.next() {
            match event {
                Event::Start(Tag::Heading { level, .. }) => {
                    let mut title = String::new();
                    for inner in parser.by_ref() {
                        match inner {
                            Event::End(TagEnd::Heading(_)) => break,
                            Event::Text(text) | Event::Code(text) => title.push_str(&text),
                            _ => {}
                        }
                    }
                    let id = format!(
                        "{}/{}",
                        page.name,
                        if level == HeadingLevel::H2 { crate::pages::anchor(&title) } else { String::new() }
                    );
                    let (id, shown) = (escaped(&id), escaped(&title));
                    if open {
                        events.push(Event::Html("</section>\n".into()));
                    }
                    open = true;
                    let (tag, class) = if level == HeadingLevel::H2 { ("h2", "entry") } else { ("h1", "page") };
                    let head = format!(
                        "<section class=\"{class}\" id=\"{id}\"><{tag}><a href=\"#{id}\">{shown}</a></{tag}>\n"
                    );
                    let _ = writeln!(menu, "<a class=\"{class}\" href=\"#{id}\">{shown}</a>");
                    events.push(Event::Html(head.into()));
                }
                Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
                    let dest_url = local(&page.name, &dest_url).into();
                    events.push(Event::Start(Tag::Link { link_type, dest_url, title, id }));
                }
                other => events.push(other),
            }
        }
        if open {
            events.push(Event::Html("</section>\n".into()));
        }
        push_html(&mut content, events.into_iter());
    }
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\">\n<title>nim reference</title>\n<style>\n{STYLE}</style>\n</head>\n\
         <body>\n<nav>\n<input id=\"search\" type=\"search\" placeholder=\"search (press /)\" autofocus>\n<p id=\"count\"></p>\n\
         <div id=\"menu\">\n{menu}</div>\n</nav>\n<main>\n{content}</main>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n"
    )
}

/// A link within the one page.
fn local(page: &str, url: &str) -> String {
    match url.split_once(".md") {
        _ if url.starts_with('#') => format!("#{page}/{}", &url[1..]),
        Some((other, rest)) if !other.contains('/') => format!("#{other}/{}", rest.trim_start_matches('#')),
        _ => url.to_string(),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
