// Colours: the names dashboards use, the palettes of series, thresholds and continuous schemes, and small colour maths.
// The theme is an argument where it matters; charts get plain CSS colours.

export type Theme = 'dark' | 'light';

const hues: Record<string, [superLight: string, light: string, plain: string, semiDark: string, dark: string]> = {
  red: ['#ffb3ae', '#ff8a84', '#ef5b5b', '#d63c46', '#b3262f'],
  orange: ['#ffd0a3', '#ffb476', '#f79145', '#e5752a', '#c25a12'],
  yellow: ['#fff2b8', '#ffe680', '#f2cc3f', '#dcae1f', '#b98d0c'],
  green: ['#c6efc4', '#98dd9b', '#63bf73', '#43a25a', '#2b7f43'],
  blue: ['#c3defc', '#8fc0f7', '#5a9bea', '#3a7bd0', '#265fae'],
  purple: ['#e2cdfa', '#c8a5f3', '#aa7de6', '#8c5bd0', '#6d3fb0'],
};
const shades = ['super-light-', 'light-', '', 'semi-dark-', 'dark-'];
const named = new Map<string, string>();
for (const [hue, five] of Object.entries(hues)) five.forEach((c, i) => named.set(shades[i]! + hue, c));

/** CSS colour of a dashboard's colour text: a named hue, `text`, `transparent`, `panel-bg`, or CSS as it stands. */
export function resolveColor(color: string | undefined | null, theme: Theme): string {
  if (!color) return theme === 'dark' ? '#9aa7b5' : '#66717f';
  const hit = named.get(color);
  if (hit) return hit;
  if (color === 'text') return theme === 'dark' ? '#dfe5ec' : '#1c2530';
  if (color === 'transparent') return 'rgba(0,0,0,0)';
  if (color === 'panel-bg' || color === 'background') return theme === 'dark' ? '#14191f' : '#ffffff';
  if (color === 'semi-dark-grey' || color === 'gray' || color === 'grey') return '#8a94a0';
  return color;
}

export const classicPalette = [
  '#6cbf84', '#e9c14b', '#5fa8e6', '#ee8a4a', '#e4626f', '#8e7fe8', '#4dc4c0', '#c47fd6', '#a3c95a', '#d9956b', '#7b93f0', '#e67fb0', '#50a37c', '#bfa24a', '#3f86c9', '#c86a35',
  '#b84a5c', '#6f60c9', '#3a9a9a', '#9b5fb0', '#7f9f3d', '#a8704d', '#5b70c7', '#b95d8b', '#9fd9ae', '#f3db8e', '#a5cff2', '#f7bd92', '#f2a3aa', '#bdb4f4', '#96e0dd', '#dfb6ea',
];
export const colorblindPalette = ['#0072b2', '#e69f00', '#009e73', '#cc79a7', '#56b4e9', '#d55e00', '#f0e442', '#999999'];

export const continuous: Record<string, string[]> = {
  'continuous-GrYlRd': ['#43a25a', '#f2cc3f', '#ef5b5b'], 'continuous-RdYlGr': ['#ef5b5b', '#f2cc3f', '#43a25a'], 'continuous-BlYlRd': ['#3a7bd0', '#f2cc3f', '#ef5b5b'],
  'continuous-YlRd': ['#f2cc3f', '#ef5b5b'], 'continuous-BlPu': ['#5a9bea', '#8c5bd0'], 'continuous-YlBl': ['#f2cc3f', '#3a7bd0'],
  'continuous-blues': ['#17324f', '#8fc0f7'], 'continuous-reds': ['#4d1619', '#ff8a84'], 'continuous-greens': ['#153d22', '#98dd9b'], 'continuous-purples': ['#2d1a4a', '#c8a5f3'],
  'continuous-viridis': ['#440154', '#414487', '#2a788e', '#22a884', '#7ad151', '#fde725'], 'continuous-magma': ['#000004', '#3b0f70', '#8c2981', '#de4968', '#fe9f6d', '#fcfdbf'],
  'continuous-plasma': ['#0d0887', '#6a00a8', '#b12a90', '#e16462', '#fca636', '#f0f921'], 'continuous-inferno': ['#000004', '#420a68', '#932667', '#dd513a', '#fca50a', '#fcffa4'],
  'continuous-cividis': ['#00224e', '#35456c', '#666970', '#948e77', '#c8b866', '#fee838'],
};

/** Heatmap scheme names (d3 interpolators in the files) as colour stops. */
export const heatSchemes: Record<string, string[]> = {
  Oranges: ['#fff3e6', '#fdc28c', '#f9843b', '#d1510c', '#7f2704'], Blues: ['#eff5fc', '#a6cde4', '#5aa1cf', '#2070b4', '#08306b'], Greens: ['#eff9ec', '#b0dfaa', '#6abf71', '#258d47', '#00441b'],
  Greys: ['#fafafa', '#cfcfcf', '#959595', '#545454', '#101010'], Reds: ['#fff0ea', '#fca98c', '#f5644a', '#c5161c', '#67000d'], Purples: ['#f7f5fa', '#cfcfe5', '#9f9ac8', '#6d53a5', '#3f007d'],
  Turbo: ['#23171b', '#4860e6', '#2ab4ee', '#2eefac', '#95fb51', '#feba2d', '#f66217', '#900c00'], Viridis: continuous['continuous-viridis']!, Magma: continuous['continuous-magma']!, Plasma: continuous['continuous-plasma']!,
  Inferno: continuous['continuous-inferno']!, Cividis: continuous['continuous-cividis']!, Spectral: ['#9e0142', '#f46d43', '#fee08b', '#e6f598', '#66c2a5', '#5e4fa2'], RdYlGn: ['#a50026', '#f46d43', '#fee08b', '#d9ef8b', '#66bd63', '#006837'],
  RdYlBu: ['#a50026', '#f46d43', '#fee090', '#e0f3f8', '#74add1', '#313695'], RdBu: ['#67001f', '#d6604d', '#f7f7f7', '#4393c3', '#053061'], YlOrRd: ['#ffffcc', '#fed976', '#fd8d3c', '#e31a1c', '#800026'],
  YlGnBu: ['#ffffd9', '#c7e9b4', '#41b6c4', '#225ea8', '#081d58'], BuPu: ['#f7fcfd', '#bfd3e6', '#8c96c6', '#88419d', '#4d004b'], GnBu: ['#f7fcf0', '#ccebc5', '#7bccc4', '#2b8cbe', '#084081'], OrRd: ['#fff7ec', '#fdd49e', '#fc8d59', '#d7301f', '#7f0000'],
};

export type Rgb = [number, number, number, number];
const cache = new Map<string, Rgb>();

export function parseRgb(c: string): Rgb {
  let hit = cache.get(c);
  if (hit) return hit;
  const hex = /^#([0-9a-f]{3,8})$/i.exec(c);
  if (hex) {
    let h = hex[1]!;
    if (h.length <= 4) h = [...h].map((x) => x + x).join('');
    const n = (i: number) => parseInt(h.slice(i, i + 2), 16);
    hit = [n(0), n(2), n(4), h.length >= 8 ? n(6) / 255 : 1];
  } else {
    const m = /^rgba?\(([^)]+)\)$/i.exec(c);
    const p = m ? m[1]!.split(/[,\s/]+/).filter(Boolean).map((x) => (x.endsWith('%') ? parseFloat(x) * 2.55 : parseFloat(x))) : [140, 150, 160, 1];
    hit = [p[0] ?? 0, p[1] ?? 0, p[2] ?? 0, p[3] ?? 1];
  }
  cache.set(c, hit);
  return hit;
}

export function alpha(c: string, a: number): string {
  const [r, g, b, o] = parseRgb(c);
  return `rgba(${Math.round(r)},${Math.round(g)},${Math.round(b)},${Math.round(a * o * 1000) / 1000})`;
}

export function mix(a: string, b: string, t: number): string {
  const x = parseRgb(a), y = parseRgb(b), k = Math.min(1, Math.max(0, t));
  const m = (i: 0 | 1 | 2) => Math.round(x[i] + (y[i] - x[i]) * k);
  return `rgb(${m(0)},${m(1)},${m(2)})`;
}

/** Colour at `t` in 0..1 along equally spaced stops. */
export function ramp(stops: readonly string[], t: number): string {
  if (stops.length === 1) return stops[0]!;
  const k = Math.min(1, Math.max(0, Number.isFinite(t) ? t : 0)) * (stops.length - 1), i = Math.min(stops.length - 2, Math.floor(k));
  return mix(stops[i]!, stops[i + 1]!, k - i);
}

/** Black or white, whichever reads better on `c`. */
export function readableOn(c: string): string {
  const [r, g, b] = parseRgb(c).map((v) => { const s = v / 255; return s <= 0.03928 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4; }) as Rgb;
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.2 ? '#10151b' : '#ffffff';
}

const luminance = (c: string): number => {
  const [r, g, b] = parseRgb(c).map((v) => { const s = v / 255; return s <= 0.03928 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4; }) as Rgb;
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const inks = new Map<string, string>();

/** The colour made dark or light enough to be read as text on the theme's panels (contrast 4.5). */
export function inkOf(c: string, theme: Theme): string {
  const key = theme + c;
  let hit = inks.get(key);
  if (hit) return hit;
  const back = luminance(theme === 'dark' ? '#141a21' : '#ffffff'), ok = (x: string) => { const l = luminance(x); return (Math.max(l, back) + 0.05) / (Math.min(l, back) + 0.05) >= 4.6; };
  hit = c;
  for (let k = 0.06; k < 1 && !ok(hit); k += 0.06) hit = mix(c, theme === 'dark' ? '#ffffff' : '#000000', k);
  if (inks.size > 500) inks.clear();
  inks.set(key, hit);
  return hit;
}

export function hashName(name: string): number {
  let h = 5381;
  for (let i = 0; i < name.length; i++) h = ((h << 5) + h + name.charCodeAt(i)) | 0;
  return Math.abs(h);
}
