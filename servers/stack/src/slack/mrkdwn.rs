//! Slack's markup to HTML: `*bold*`, `_italic_`, `~strike~`, `` `code` ``, fenced code, `> quote`, `<url|text>`.

/// Characters that HTML would read as markup, escaped. Slack's own escapes (`&lt;`, `&gt;`, `&amp;`) stay what they are.
pub(super) fn escape(text: &str) -> String {
    let plain = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    let mut out = String::with_capacity(plain.len() + 16);
    for c in plain.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// A link that a page may carry: nothing but `http`, `https` and `mailto`.
pub(super) fn safe_url(url: &str) -> Option<String> {
    let known = ["http://", "https://", "mailto:"].iter().any(|scheme| url.starts_with(scheme));
    known.then(|| escape(url))
}

/// Renders a text of any length; unbalanced marks stay as they are.
pub(super) fn render(text: &str) -> String {
    let mut out = String::new();
    let text = text.replace(":red_circle:", "🔴").replace(":large_green_circle:", "🟢");
    for (at, part) in text.split("```").enumerate() {
        if at % 2 == 1 {
            out.push_str("<pre>");
            out.push_str(&escape(part.trim_matches('\n')));
            out.push_str("</pre>");
            continue;
        }
        let part = if at > 0 { part.strip_prefix('\n').unwrap_or(part) } else { part };
        for (line_at, line) in part.split('\n').enumerate() {
            if line_at > 0 {
                out.push_str("<br>");
            }
            let (quote, line) = match line.strip_prefix("&gt; ").or_else(|| line.strip_prefix("> ")) {
                Some(rest) => (true, rest),
                None => (false, line),
            };
            if quote {
                out.push_str("<span class=\"quote\">");
            }
            inline(&mut out, line);
            if quote {
                out.push_str("</span>");
            }
        }
    }
    out
}

fn inline(out: &mut String, line: &str) {
    let mut rest = line;
    let mut previous: Option<char> = None;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        let tag = match c {
            '*' => "b",
            '_' => "i",
            '~' => "s",
            '`' => "code",
            _ => "",
        };
        let starts_word = previous.is_none_or(|p| !p.is_alphanumeric());
        if !tag.is_empty()
            && starts_word
            && let Some(end) = closing(after, c)
        {
            out.push_str(&format!("<{tag}>"));
            if c == '`' {
                out.push_str(&escape(&after[..end]))
            } else {
                inline(out, &after[..end])
            }
            out.push_str(&format!("</{tag}>"));
            previous = Some(c);
            rest = &after[end + 1..];
            continue;
        }
        if c == '<'
            && let Some(end) = after.find('>')
        {
            link(out, &after[..end]);
            previous = Some('>');
            rest = &after[end + 1..];
            continue;
        }
        // Slack's own escapes are one character.
        let taken = ["&lt;", "&gt;", "&amp;"].iter().find(|e| rest.starts_with(**e)).map_or(c.len_utf8(), |e| e.len());
        out.push_str(&escape(&rest[..taken]));
        previous = Some(c);
        rest = &rest[taken..];
    }
}

/// Where the mark that ends a run stands: not right at the start, not after a blank, and followed by no letter.
fn closing(text: &str, mark: char) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = text[from..].find(mark).map(|at| at + from) {
        let before = text[..at].chars().next_back();
        let after = text[at + 1..].chars().next();
        if before.is_some_and(|c| !c.is_whitespace()) && after.is_none_or(|c| !c.is_alphanumeric()) {
            return Some(at);
        }
        from = at + 1;
    }
    None
}

fn link(out: &mut String, inner: &str) {
    let (target, text) = inner.split_once('|').unwrap_or((inner, inner));
    match target.chars().next() {
        Some('@' | '#' | '!') => {
            out.push_str(&format!("<span class=\"mention\">{}</span>", escape(text.trim_start_matches('!'))));
        }
        _ => match safe_url(target) {
            Some(url) => out.push_str(&format!("<a href=\"{url}\" rel=\"noreferrer\">{}</a>", escape(text))),
            None => out.push_str(&escape(&format!("<{inner}>"))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_becomes_html_and_html_does_not_get_through() {
        let cases = [
            ("*bold* and _it_", "<b>bold</b> and <i>it</i>"),
            ("snake_case_name 2*3*4", "snake_case_name 2*3*4"),
            ("`a*b*`", "<code>a*b*</code>"),
            ("```\nx < y\n```\nend", "<pre>x &lt; y</pre>end"),
            ("<http://h/p?a=1&amp;b=2|the link>", "<a href=\"http://h/p?a=1&amp;b=2\" rel=\"noreferrer\">the link</a>"),
            ("<javascript:alert(1)|x>", "&lt;javascript:alert(1)|x&gt;"),
            ("<script>", "&lt;script&gt;"),
            ("a &lt;b&gt; &amp; c", "a &lt;b&gt; &amp; c"),
            ("<!here> go", "<span class=\"mention\">here</span> go"),
            ("> said\nnext", "<span class=\"quote\">said</span><br>next"),
            ("*open", "*open"),
        ];
        for (text, want) in cases {
            assert_eq!(render(text), want, "{text}");
        }
    }
}
