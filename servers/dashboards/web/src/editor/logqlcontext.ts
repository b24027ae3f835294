// What LogQL completion should offer at a place, told from the text before it. Pure.

/** What stands before the cursor decides: a label, a value, a stage or a function. */
export function logqlContext(before: string): { kind: 'label' | 'value' | 'stage' | 'function' | 'grouping' | 'range' | 'none'; from: number; label?: string; selector?: string } {
  const open = lastOpen(before);
  if (open?.char === '{') {
    const inner = before.slice(open.at + 1), value = /([a-zA-Z_]\w*)\s*(=~|!~|!=|=)\s*["`]([^"`]*)$/.exec(inner);
    const others = [...inner.matchAll(/([a-zA-Z_]\w*)\s*(=~|!~|!=|=)\s*("(?:[^"\\]|\\.)*"|`[^`]*`)/g)].map((m) => m[0]);
    const selector = others.length ? `{${others.join(',')}}` : undefined;
    if (value) return { kind: 'value', from: before.length - value[3]!.length, label: value[1], selector };
    const word = /(?:^|,)\s*([a-zA-Z_]\w*)?$/.exec(inner);
    return word ? { kind: 'label', from: before.length - (word[1]?.length ?? 0), selector } : { kind: 'none', from: before.length };
  }
  if (inString(before)) return { kind: 'none', from: before.length };
  const group = /\b(?:by|without|on|ignoring)\s*\(([^)]*)$/.exec(before);
  if (group) { const w = /[\w]*$/.exec(group[1]!)![0]; return { kind: 'grouping', from: before.length - w.length }; }
  if (open?.char === '[') return { kind: 'range', from: open.at + 1 };
  const stage = /\|\s*([a-z_]*)$/.exec(before);
  if (stage) return { kind: 'stage', from: before.length - stage[1]!.length };
  const word = /[a-zA-Z_]*$/.exec(before)![0];
  return /[}"`]\s*$/.test(before) ? { kind: 'stage', from: before.length } : { kind: 'function', from: before.length - word.length };
}

function inString(s: string): boolean {
  let q = '';
  for (let i = 0; i < s.length; i++) { const c = s[i]!; if (q) { if (c === '\\' && q !== '`') i++; else if (c === q) q = ''; } else if (c === '"' || c === '`') q = c; }
  return q !== '';
}

function lastOpen(s: string): { char: string; at: number } | null {
  const stack: { char: string; at: number }[] = [];
  let q = '';
  for (let i = 0; i < s.length; i++) {
    const c = s[i]!;
    if (q) { if (c === '\\' && q !== '`') i++; else if (c === q) q = ''; continue; }
    if (c === '"' || c === '`') q = c;
    else if ('{[('.includes(c)) stack.push({ char: c, at: i });
    else if ('}])'.includes(c)) stack.pop();
  }
  return stack.at(-1) ?? null;
}
