//! The page: a channel, newest message at the bottom as in Slack, refreshed every few seconds.

use std::collections::VecDeque;
use std::fmt::Write;

use super::mrkdwn::{escape, render as markup, safe_url};
use super::{Attachment, Block, Received};

pub(super) const STYLE: &str = include_str!("style.css");

pub(super) fn render(messages: &VecDeque<Received>) -> String {
    let mut html = String::from(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Messages</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><meta http-equiv=\"refresh\" content=\"5\">\
         <link rel=\"stylesheet\" href=\"/style.css\"></head><body><header><h1># alerts</h1>\
         <p>What Foursight would have sent to Slack. Start it with <code>--slack-url</code> to send it there.</p></header><main>",
    );
    if messages.is_empty() {
        html.push_str(
            "<p class=\"empty\">No message yet. <code>foursight traffic --profile error-burst</code> makes some.</p>",
        );
    }
    for received in messages.iter().rev() {
        message(&mut html, received);
    }
    html.push_str("</main></body></html>");
    html
}

fn message(html: &mut String, received: &Received) {
    let message = &received.message;
    let name = if message.username.is_empty() { "Foursight" } else { &message.username };
    let channel = if message.channel.is_empty() {
        String::new()
    } else {
        format!("<span class=\"channel\">{}</span>", escape(&message.channel))
    };
    let _ = write!(
        html,
        "<article><div class=\"who\"><b>{}</b> {channel} <time>{}</time></div>",
        escape(name),
        kit::time::Rfc3339(received.time_ms)
    );
    // Beside blocks the text is what a notification shows, not the message.
    let has_blocks = !message.blocks.is_empty() || message.attachments.iter().any(|a| !a.blocks.is_empty());
    if !message.text.is_empty() && !has_blocks {
        let _ = write!(html, "<p>{}</p>", markup(&message.text));
    }
    message.blocks.iter().for_each(|block| self::block(html, block));
    for attachment in &message.attachments {
        self::attachment(html, attachment);
    }
    html.push_str("</article>");
}

fn attachment(html: &mut String, a: &Attachment) {
    if !a.pretext.is_empty() {
        let _ = write!(html, "<p>{}</p>", markup(&a.pretext));
    }
    // Colours come as names or #rrggbb; a class keeps style attributes out of the page.
    let tone = match a.color.to_ascii_lowercase().as_str() {
        "danger" | "#d63232" | "#e01e5a" => "danger",
        "warning" | "#ecb22e" | "#daa038" => "warning",
        "good" | "#36a64f" | "#2eb67d" => "good",
        _ => "other",
    };
    let _ = write!(html, "<section class=\"attachment {tone}\">");
    if !a.title.is_empty() {
        match safe_url(&a.title_link) {
            Some(url) => {
                let _ = write!(html, "<h2><a href=\"{url}\" rel=\"noreferrer\">{}</a></h2>", escape(&a.title));
            }
            None => {
                let _ = write!(html, "<h2>{}</h2>", escape(&a.title));
            }
        }
    }
    if !a.text.is_empty() {
        let _ = write!(html, "<div>{}</div>", markup(&a.text));
    } else if a.title.is_empty() && a.fields.is_empty() && a.blocks.is_empty() {
        let _ = write!(html, "<div>{}</div>", markup(&a.fallback));
    }
    a.blocks.iter().for_each(|block| self::block(html, block));
    if !a.fields.is_empty() {
        html.push_str("<dl>");
        for field in &a.fields {
            let class = if field.short { "short" } else { "long" };
            let _ = write!(
                html,
                "<div class=\"{class}\"><dt>{}</dt><dd>{}</dd></div>",
                escape(&field.title),
                markup(&field.value)
            );
        }
        html.push_str("</dl>");
    }
    if let Some(url) = safe_url(&a.image_url) {
        let _ = write!(html, "<img src=\"{url}\" alt=\"panel\">");
    }
    let links: Vec<_> = a.actions.iter().filter_map(|action| Some((safe_url(&action.url)?, action))).collect();
    if !links.is_empty() {
        html.push_str("<nav>");
        for (url, action) in links {
            let _ = write!(html, "<a class=\"button\" href=\"{url}\" rel=\"noreferrer\">{}</a>", escape(&action.text));
        }
        html.push_str("</nav>");
    }
    if !a.footer.is_empty() {
        let _ = write!(html, "<footer>{}</footer>", escape(&a.footer));
    }
    html.push_str("</section>");
}

fn block(html: &mut String, block: &Block) {
    match block {
        Block::Header { text } => {
            let _ = write!(html, "<h2>{}</h2>", escape(&text.text));
        }
        Block::Section { text, fields } => {
            if !text.text.is_empty() {
                let _ = write!(html, "<div>{}</div>", markup(&text.text));
            }
            if !fields.is_empty() {
                html.push_str("<dl>");
                for field in fields {
                    let _ = write!(html, "<div class=\"short\">{}</div>", markup(&field.text));
                }
                html.push_str("</dl>");
            }
        }
        Block::Context { elements } => {
            html.push_str("<footer>");
            for element in elements {
                let _ = write!(html, "<span>{}</span> ", markup(&element.text));
            }
            html.push_str("</footer>");
        }
        Block::Actions { elements } => {
            html.push_str("<nav>");
            for button in elements {
                if let Some(url) = safe_url(&button.url) {
                    let text = escape(&button.text.text);
                    let _ = write!(html, "<a class=\"button\" href=\"{url}\" rel=\"noreferrer\">{text}</a>");
                }
            }
            html.push_str("</nav>");
        }
        Block::Image { image_url, alt_text } => {
            if let Some(url) = safe_url(image_url) {
                let _ = write!(html, "<img src=\"{url}\" alt=\"{}\">", escape(alt_text));
            }
        }
        Block::Divider => html.push_str("<hr>"),
        Block::Unknown => {}
    }
}
