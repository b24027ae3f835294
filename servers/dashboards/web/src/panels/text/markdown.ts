// A small Markdown to DOM-safe HTML translator and an HTML sanitiser. Everything that is not on the list of allowed elements
// and attributes is dropped; there is no way to a script, a style or a foreign frame. Works on strings; the sanitiser uses DOMParser.

const esc = (s: string): string => s.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;').replace(/"/g, '&quot;');

/** True for link targets that a click may follow. */
export function safeUrl(url: string): boolean {
  // eslint-disable-next-line no-control-regex
  const u = url.replace(/[\u0000-\u0020]/g, '').toLowerCase();
  return !/^[a-z][a-z0-9+.-]*:/.test(u) || /^(https?|mailto|tel):/.test(u);
}

function inline(s: string): string {
  const keep: string[] = [];
  const hold = (html: string) => { keep.push(html); return `\u0001${keep.length - 1}\u0001`; };
  let t = s.replace(/(`+)([^`]|[^`].*?[^`])\1(?!`)/g, (_, _q, code: string) => hold(`<code>${esc(code.trim())}</code>`));
  t = t.replace(/!\[([^\]]*)\]\(([^)\s]+)(?:\s+"[^"]*")?\)/g, (_, alt: string, url: string) => hold(safeUrl(url) ? `<img src="${esc(url)}" alt="${esc(alt)}">` : esc(alt)));
  t = t.replace(/\[([^\]]+)\]\(([^)\s]+)(?:\s+"[^"]*")?\)/g, (_, text: string, url: string) => hold(safeUrl(url) ? `<a href="${esc(url)}">${inline(text)}</a>` : esc(text)));
  t = t.replace(/<(https?:\/\/[^>\s]+)>/g, (_, url: string) => hold(`<a href="${esc(url)}">${esc(url)}</a>`));
  t = t.replace(/(^|[\s(])(https?:\/\/[^\s<)]+[^\s<).,;:!?])/g, (_, pre: string, url: string) => `${pre}${hold(`<a href="${esc(url)}">${esc(url)}</a>`)}`);
  t = t.replace(/<\/?[a-zA-Z][^>]*>/g, (tag) => hold(tag)); // raw HTML goes through the sanitiser later
  t = esc(t).replace(/&amp;(#?\w+;)/g, '&$1');
  t = t.replace(/\*\*(\S(?:.*?\S)?)\*\*|__(\S(?:.*?\S)?)__/g, (_, a?: string, b?: string) => `<strong>${a ?? b}</strong>`).replace(/\*(\S(?:.*?\S)?)\*|(?<![\w])_(\S(?:.*?\S)?)_(?![\w])/g, (_, a?: string, b?: string) => `<em>${a ?? b}</em>`).replace(/~~(.+?)~~/g, '<del>$1</del>').replace(/ {2,}\n|\\\n/g, '<br>');
  for (let n = 0; n < 3; n++) t = t.replace(/\u0001(\d+)\u0001/g, (_, i: string) => keep[Number(i)]!);
  return t;
}

export function markdownToHtml(source: string, depth = 0): string {
  const lines = source.replace(/\r\n?/g, '\n').split('\n'), out: string[] = [];
  let i = 0;
  const isBlock = (l: string): boolean => /^(#{1,6}\s|```|~~~|>|\s*([-*+]|\d+[.)])\s|\s*([-*_])(\s*\3){2,}\s*$|\|)/.test(l) || /^<\/?(div|p|table|ul|ol|h[1-6]|section|center|pre|hr|br)\b/i.test(l);
  while (i < lines.length) {
    const l = lines[i]!;
    let m: RegExpExecArray | null;
    if (!l.trim()) { i++; continue; }
    if ((m = /^(```|~~~)\s*\S*\s*$/.exec(l))) {
      const body: string[] = [];
      for (i++; i < lines.length && !lines[i]!.startsWith(m[1]!); i++) body.push(lines[i]!);
      i++;
      out.push(`<pre><code>${esc(body.join('\n'))}</code></pre>`);
    } else if ((m = /^(#{1,6})\s+(.*?)\s*#*\s*$/.exec(l))) { out.push(`<h${m[1]!.length}>${inline(m[2]!)}</h${m[1]!.length}>`); i++; }
    else if (/^\s*([-*_])(\s*\1){2,}\s*$/.test(l)) { out.push('<hr>'); i++; }
    else if (/^>/.test(l)) {
      const body: string[] = [];
      for (; i < lines.length && /^>/.test(lines[i]!); i++) body.push(lines[i]!.replace(/^>\s?/, ''));
      out.push(`<blockquote>${depth < 6 ? markdownToHtml(body.join('\n'), depth + 1) : esc(body.join('\n'))}</blockquote>`);
    } else if ((m = /^(\s*)([-*+]|\d+[.)])\s+/.exec(l))) {
      const ordered = /\d/.test(m[2]!), indent = m[1]!.length, items: string[][] = [];
      for (; i < lines.length; i++) {
        const x = lines[i]!, im = /^(\s*)([-*+]|\d+[.)])\s+(.*)$/.exec(x);
        if (im && im[1]!.length <= indent + 1) { if (/\d/.test(im[2]!) !== ordered) break; items.push([im[3]!]); } else if (x.trim() && (/^\s{2,}/.test(x) || (!isBlock(x) && items.length))) items.at(-1)!.push(x.replace(new RegExp(`^\\s{0,${indent + 2}}`), ''));
        else if (!x.trim() && lines[i + 1] && /^\s{2,}\S|^\s*([-*+]|\d+[.)])\s/.test(lines[i + 1]!)) continue;
        else break;
      }
      out.push(`<${ordered ? 'ol' : 'ul'}>${items.map((it) => { const nested = it.slice(1).some((x) => /^\s*([-*+]|\d+[.)])\s/.test(x)); return `<li>${nested && depth < 6 ? inline(it[0]!) + markdownToHtml(it.slice(1).join('\n'), depth + 1) : inline(it.join('\n'))}</li>`; }).join('')}</${ordered ? 'ol' : 'ul'}>`);
    } else if (l.includes('|') && /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/.test(lines[i + 1] ?? '')) {
      const cells = (x: string) => x.trim().replace(/^\||\|$/g, '').split('|').map((c) => inline(c.trim()));
      const head = cells(l), body: string[][] = [];
      for (i += 2; i < lines.length && lines[i]!.includes('|'); i++) body.push(cells(lines[i]!));
      out.push(`<table><thead><tr>${head.map((h) => `<th>${h}</th>`).join('')}</tr></thead><tbody>${body.map((r) => `<tr>${r.map((c) => `<td>${c}</td>`).join('')}</tr>`).join('')}</tbody></table>`);
    } else if (/^</.test(l) && isBlock(l)) {
      const body: string[] = [];
      for (; i < lines.length && lines[i]!.trim(); i++) body.push(lines[i]!);
      out.push(body.join('\n'));
    } else {
      const body = [l];
      for (i++; i < lines.length && lines[i]!.trim() && !isBlock(lines[i]!); i++) body.push(lines[i]!);
      out.push(`<p>${inline(body.join('\n'))}</p>`);
    }
  }
  return out.join('\n');
}

const elements = new Set('a abbr b blockquote br caption center code col colgroup dd del details div dl dt em figcaption figure font h1 h2 h3 h4 h5 h6 hr i img ins kbd li mark ol p pre q s samp section small span strike strong sub summary sup table tbody td tfoot th thead tr u ul var'.split(' '));
const attributes = new Set('href src alt title width height align valign colspan rowspan class id style color target'.split(' '));
const styles = /^(color|background|background-color|font-size|font-weight|font-style|text-align|text-decoration|padding(-\w+)?|margin(-\w+)?|border(-\w+)?|border-radius|width|height|max-width|max-height|min-width|min-height|display|line-height|letter-spacing|vertical-align|flex(-\w+)?|justify-content|align-items|gap|opacity|white-space)$/;

/** Builds clean nodes from HTML text. Inline styles are set through the CSSOM, so that a strict policy may stay. */
export function sanitizeInto(target: HTMLElement, html: string): void {
  // event handlers would be dropped below anyway; taking them out before parsing spares the page a policy report
  const quiet = html.replace(/<[a-z][^>]*>/gi, (tag) => tag.replace(/[\s/]on\w+\s*=\s*("[^"]*"|'[^']*'|[^\s>]+)/gi, ' '));
  const doc = new DOMParser().parseFromString(quiet, 'text/html');
  const copy = (from: Node, to: Node, depth: number): void => {
    for (const n of [...from.childNodes]) {
      if (n.nodeType === 3) to.appendChild(document.createTextNode(n.textContent ?? ''));
      else if (n.nodeType === 1 && depth < 60) {
        const e = n as HTMLElement, name = e.tagName.toLowerCase();
        if (!elements.has(name)) { if (!/^(script|style|iframe|object|embed|svg|math|template|noscript|form|textarea|select|title|link|meta|base)$/.test(name)) copy(e, to, depth + 1); continue; }
        const made = document.createElement(name);
        for (const a of [...e.attributes]) {
          const k = a.name.toLowerCase();
          if (!attributes.has(k)) continue;
          if (k === 'style') { for (const rule of a.value.split(';')) { const c = rule.indexOf(':'), prop = rule.slice(0, c).trim().toLowerCase(), v = rule.slice(c + 1).trim(); if (c > 0 && styles.test(prop) && !/url\(|expression|javascript:|position|@import/i.test(v)) made.style.setProperty(prop, v.replace(/!important/i, '').trim()); } }
          else if ((k === 'href' || k === 'src') && !safeUrl(a.value) && !(k === 'src' && /^data:image\/(png|gif|jpeg|webp);/i.test(a.value))) continue;
          else if (k === 'id') made.id = `md-${a.value}`;
          else made.setAttribute(k, a.value);
        }
        if (name === 'a') { made.setAttribute('rel', 'noreferrer noopener'); if (/^https?:/.test(made.getAttribute('href') ?? '')) made.setAttribute('target', '_blank'); }
        to.appendChild(made);
        copy(e, made, depth + 1);
      }
    }
  };
  target.replaceChildren();
  copy(doc.body, target, 0);
}
