// Line icons drawn on a 24 grid, as path data. `<Icon name>` is decorative; give the control its label.

const paths = {
  home: 'M4 11 12 4l8 7M6 10v10h5v-6h2v6h5V10', dashboards: 'M4 4h7v9H4zM13 4h7v5h-7zM13 11h7v9h-7zM4 15h7v5H4z', explore: 'M12 21a9 9 0 1 1 0-18 9 9 0 0 1 0 18ZM15.5 8.5l-2 5-5 2 2-5z', alert: 'M6 17v-6a6 6 0 1 1 12 0v6l1.5 2h-15zM10 21h4',
  search: 'M11 18a7 7 0 1 1 0-14 7 7 0 0 1 0 14ZM16.5 16.5 21 21', plus: 'M12 5v14M5 12h14', close: 'M6 6l12 12M18 6 6 18', check: 'M5 13l5 5L19 7', down: 'M6 9l6 6 6-6', right: 'M9 6l6 6-6 6', left: 'M15 6l-6 6 6 6', up: 'M6 15l6-6 6 6',
  refresh: 'M20 11a8 8 0 0 0-14.5-3.5L4 9M4 4v5h5M4 13a8 8 0 0 0 14.5 3.5L20 15M20 20v-5h-5', clock: 'M12 21a9 9 0 1 1 0-18 9 9 0 0 1 0 18ZM12 7v5l3.5 2', zoomout: 'M11 18a7 7 0 1 1 0-14 7 7 0 0 1 0 14ZM16.5 16.5 21 21M8 11h6', menu: 'M4 7h16M4 12h16M4 17h16',
  more: 'M5 12h.01M12 12h.01M19 12h.01', sun: 'M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8ZM12 2v2M12 20v2M4.9 4.9l1.4 1.4M17.7 17.7l1.4 1.4M2 12h2M20 12h2M4.9 19.1l1.4-1.4M17.7 6.3l1.4-1.4', moon: 'M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5Z',
  help: 'M12 21a9 9 0 1 1 0-18 9 9 0 0 1 0 18ZM9.5 9.5a2.5 2.5 0 1 1 3.5 2.3c-.7.3-1 .8-1 1.7M12 17h.01', edit: 'M4 20l1-4L16 5l3 3L8 19zM14 7l3 3', eye: 'M2 12s3.5-6.5 10-6.5S22 12 22 12s-3.5 6.5-10 6.5S2 12 2 12ZM12 15a3 3 0 1 0 0-6 3 3 0 0 0 0 6Z',
  link: 'M10 14a4 4 0 0 0 5.7 0l3-3a4 4 0 0 0-5.7-5.7l-1 1M14 10a4 4 0 0 0-5.7 0l-3 3a4 4 0 0 0 5.7 5.7l1-1', external: 'M14 4h6v6M20 4l-9 9M18 14v5H5V6h5', copy: 'M9 9h11v11H9zM15 9V4H4v11h5', download: 'M12 4v11M7 11l5 5 5-5M4 20h16', upload: 'M12 16V5M7 9l5-5 5 5M4 20h16',
  save: 'M5 4h11l3 3v13H5zM8 4v5h7V4M8 20v-6h8v6', trash: 'M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13M10 11v5M14 11v5', play: 'M7 5l12 7-12 7z', stop: 'M6 6h12v12H6z', pause: 'M8 5v14M16 5v14', split: 'M4 5h16v14H4zM12 5v14', filterIn: 'M11 18a7 7 0 1 1 0-14 7 7 0 0 1 0 14ZM16.5 16.5 21 21M11 8v6M8 11h6',
  filterOut: 'M11 18a7 7 0 1 1 0-14 7 7 0 0 1 0 14ZM16.5 16.5 21 21M8 11h6', silence: 'M4 4l16 16M6 17v-6c0-1 .2-2 .7-2.8M9.5 5.5A6 6 0 0 1 18 11v3M6 17h11M10 21h4', history: 'M4 12a8 8 0 1 0 2.5-5.8L4 8M4 4v4h4M12 8v4l3 2', folder: 'M3 6h6l2 2h10v11H3z', user: 'M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8ZM4 21c1-4.5 4-6 8-6s7 1.5 8 6',
  server: 'M4 5h16v6H4zM4 13h16v6H4zM8 8h.01M8 16h.01', logs: 'M4 6h16M4 10h11M4 14h16M4 18h8', chart: 'M4 4v16h16M7 15l4-5 3 3 5-7', warn: 'M12 4l9 16H3zM12 10v4M12 17h.01', ok: 'M12 21a9 9 0 1 1 0-18 9 9 0 0 1 0 18ZM8 12l3 3 5-6', fail: 'M12 21a9 9 0 1 1 0-18 9 9 0 0 1 0 18ZM9 9l6 6M15 9l-6 6',
  info: 'M12 21a9 9 0 1 1 0-18 9 9 0 0 1 0 18ZM12 11v5M12 8h.01', expand: 'M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5', wrap: 'M4 6h16M4 12h13a3 3 0 1 1 0 6h-4M15 15l-3 3 3 3M4 18h4', bolt: 'M13 3 5 14h6l-1 7 8-11h-6z', settings: 'M4 7h10M18 7h2M4 17h2M10 17h10M16 5v4M8 15v4', star: 'M12 4l2.4 5.2 5.6.7-4.1 3.9 1 5.6L12 16.700l-4.900 2.700 1-5.600L4 9.900l5.600-.7z',
  keyboard: 'M3 6h18v12H3zM7 10h.01M11 10h.01M15 10h.01M8 14h8', send: 'M4 12 20 4l-5 16-3-7z', drag: 'M9 6h.01M15 6h.01M9 12h.01M15 12h.01M9 18h.01M15 18h.01',
} as const;
export type IconName = keyof typeof paths;

export function Icon({ name, size = 16, cls = '' }: { name: IconName; size?: number; cls?: string }) {
  return (
    <svg class={`icon ${cls}`} width={size} height={size} viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width={name === 'more' || name === 'drag' ? 3 : 1.8} stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" focusable="false">
      <path d={paths[name]} />
    </svg>
  );
}

export function Logo({ size = 24 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <rect width="32" height="32" rx="8" class="logo-bg" />
      <path d="M5 21c4 0 5-9 9-9s4 6 7 6 3-4 6-4" fill="none" class="logo-line" stroke-width="2.6" stroke-linecap="round" />
      <circle cx="14" cy="12" r="2.4" class="logo-dot" />
    </svg>
  );
}
