// Numbers, durations and times as people read them.

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const compactNumber = new Intl.NumberFormat("en-US", {
  notation: "compact",
  maximumSignificantDigits: 3,
});
const smallNumber = new Intl.NumberFormat("en-US", {
  minimumSignificantDigits: 3,
  maximumSignificantDigits: 3,
});
const NONE = "–";

export function count(value: number | null): string {
  return value === null ? NONE : whole.format(value);
}

/** Three significant digits: 1.23M. */
export function compact(value: number | null): string {
  if (value === null) return NONE;
  return Math.abs(value) < 10_000 ? whole.format(value) : compactNumber.format(value);
}

export function score(value: number | null): string {
  if (value === null) return NONE;
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return String(value);
  return Math.abs(value) >= 1000 ? compact(value) : value.toFixed(3);
}

export function signed(value: number, show: (value: number) => string): string {
  const text = show(Math.abs(value));
  return /^[0.]+$/.test(text) ? "±0" : `${value > 0 ? "+" : "−"}${text}`;
}

/** An amount in the currency of the recipe's prices, which has no sign of its own. */
export function money(value: number | null): string {
  if (value === null) return NONE;
  if (value === 0) return "0";
  if (Math.abs(value) >= 1000) return compactNumber.format(value);
  if (Math.abs(value) >= 1) return value.toFixed(2);
  return smallNumber.format(value);
}

export function percent(share: number): string {
  if (!Number.isFinite(share)) return NONE;
  if (share > 0 && share < 0.001) return "<0.1 %";
  if (share < 1 && share > 0.999) return ">99.9 %";
  return `${(share * 100).toFixed(share === 0 || share === 1 || share >= 0.1 ? 0 : 1)} %`;
}

export function duration(ms: number | null): string {
  if (ms === null || !Number.isFinite(ms)) return NONE;
  if (ms < 0) return `−${duration(-ms)}`;
  if (ms === 0) return "0 ms";
  if (ms < 0.1) return "<0.1 ms";
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
  const seconds = Math.round(ms / 1000);
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  if (hours >= 48) return `${Math.floor(hours / 24)} d ${hours % 24} h`;
  return hours > 0 ? `${hours} h ${minutes} min` : `${minutes} min ${seconds % 60} s`;
}

export function bytes(value: number): string {
  if (value < 1000) return `${value} B`;
  const units = ["kB", "MB", "GB", "TB"];
  const step = Math.min(Math.floor(Math.log10(value) / 3), units.length);
  const scaled = value / 1000 ** step;
  return `${scaled.toFixed(scaled < 10 ? 1 : 0)} ${units[step - 1]}`;
}

/** The name of a run within its key, which ends with a mark that tells equal names apart. */
export function nameInKey(key: string): string {
  return key.replace(/~[0-9a-f]{8}$/, "");
}

export function age(iso: string | null, now: number): string {
  if (iso === null) return NONE;
  const seconds = Math.max(0, (now - Date.parse(iso)) / 1000);
  if (seconds < 45) return "just now";
  if (seconds < 3600) return `${Math.max(1, Math.round(seconds / 60))} min ago`;
  if (seconds < 86_400) return `${Math.round(seconds / 3600)} h ago`;
  return `${Math.round(seconds / 86_400)} d ago`;
}

export function clock(at: number | string): string {
  const date = new Date(at);
  return Number.isNaN(date.getTime())
    ? NONE
    : date.toLocaleString("sv-SE", { dateStyle: "short", timeStyle: "medium" });
}

export function plural(value: number, one: string, many = `${one}s`): string {
  return `${whole.format(value)} ${value === 1 ? one : many}`;
}
