// Numbers as people write them.

/** 1,234,567; rounded to a whole number. */
export function grouped(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

/** Durations such as 950 ms, 3.2 s, 4 min 10 s and 2 h 5 min. */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 60) return `${minutes} min ${Math.floor((ms % 60_000) / 1000)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
