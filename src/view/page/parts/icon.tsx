// Icons, drawn with the colour of the text around them. They never stand alone for a meaning: a
// label is beside them, or the element that holds them has one.

const PATHS = {
  check: "M3.5 8.5l3 3 6-7",
  cross: "M4 4l8 8M12 4l-8 8",
  lost: "M8 2.5v5M8 10.5v.01M3 8a5 5 0 1 0 10 0",
  play: "M5.5 3.5v9l7-4.5z",
  pause: "M5.5 3.5v9M10.5 3.5v9",
  alert: "M8 2.5l6 11H2zM8 6.5v3M8 11.5v.01",
  sun: "M8 5.2a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 0 0 0-5.6M8 1.5v1.2M8 13.3v1.2M1.5 8h1.2M13.3 8h1.2M3.4 3.4l.9.9M11.7 11.7l.9.9M12.6 3.4l-.9.9M4.3 11.7l-.9.9",
  moon: "M13 9.5A5.5 5.5 0 0 1 6.5 3a5.5 5.5 0 1 0 6.5 6.5z",
  auto: "M8 2.5a5.5 5.5 0 1 0 0 11zM8 2.5a5.5 5.5 0 0 1 0 11",
  help: "M6 6.2a2 2 0 1 1 2.9 1.8c-.6.3-.9.7-.9 1.4M8 11.6v.01M8 1.8a6.2 6.2 0 1 0 0 12.4A6.2 6.2 0 0 0 8 1.8",
  right: "M6 3.5L10.5 8 6 12.5",
  left: "M10 3.5L5.5 8l4.5 4.5",
  down: "M3.5 6L8 10.5 12.5 6",
  up: "M3.5 10L8 5.5l4.5 4.5",
  copy: "M6 5.5h7v8H6zM3 10.5v-8h7",
  search: "M7 2.8a4.2 4.2 0 1 0 0 8.4 4.2 4.2 0 0 0 0-8.4M10.2 10.2l3.3 3.3",
  columns: "M2.5 3h11v10h-11zM6.2 3v10M9.8 3v10",
  tool: "M9.5 6.5l4-4M13.5 2.5a3.6 3.6 0 0 1-4.6 4.6l-4.6 4.6a1.4 1.4 0 1 1-2-2L7 5.1A3.6 3.6 0 0 1 11.6.6z",
  thought:
    "M8 2.5c-3 0-5.5 1.8-5.5 4.3S5 11 8 11c.4 0 .8 0 1.2-.1L12 13v-3c1-.7 1.5-1.8 1.5-3.2C13.5 4.3 11 2.5 8 2.5z",
  image: "M2.5 3.5h11v9h-11zM2.5 11l3.2-3.2 2.6 2.4 2.2-2 3 2.8M10.5 6.2v.01",
  download: "M8 2.5v7.5M4.8 7L8 10.2 11.2 7M3 13.5h10",
  comment: "M2.5 3h11v7.5H7L4 13v-2.5H2.5z",
  tag: "M2.5 2.5h5l6 6-5 5-6-6zM5.2 5.2v.01",
  clock: "M8 2.2a5.8 5.8 0 1 0 0 11.6A5.8 5.8 0 0 0 8 2.2M8 5v3.2l2.2 1.4",
  person: "M8 8a2.6 2.6 0 1 0 0-5.2A2.6 2.6 0 0 0 8 8M3 13.5c.5-2.4 2.5-3.7 5-3.7s4.500 1.3 5 3.7",
  prompt: "M3 4.500l3.500 3.500L3 11.500M8 12h5",
  live: "M8 6.800a1.200 1.200 0 1 0 0 2.400 1.200 1.200 0 0 0 0-2.400M5 11a4.200 4.200 0 0 1 0-6M11 5a4.200 4.200 0 0 1 0 6M3 13a7 7 0 0 1 0-10M13 3a7 7 0 0 1 0 10",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 16 }: { readonly name: IconName; readonly size?: number }) {
  return (
    <svg class="icon" width={size} height={size} viewBox="0 0 16 16" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
