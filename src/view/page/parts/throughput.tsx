// Records that ended over time, drawn by uPlot.

import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import type { TimeLine } from "../../api.ts";
import { count } from "../format.ts";
import { theme } from "../theme.ts";

const HEIGHT = 180;

export function Throughput({ line }: { readonly line: TimeLine }) {
  const box = useRef<HTMLDivElement>(null);
  const colours = theme.value;
  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const plot = new uPlot(optionsOf(element, line), dataOf(line), element);
    const observer = new ResizeObserver(() =>
      plot.setSize({ width: element.clientWidth, height: HEIGHT }),
    );
    observer.observe(element);
    return () => {
      observer.disconnect();
      plot.destroy();
    };
  }, [line, colours]);
  const total = sum(line.ok) + sum(line.failed) + sum(line.lost);
  const label = `${count(total)} records over ${count(line.ok.length)} steps of time`;
  return <div ref={box} class="throughput" role="img" aria-label={label} />;
}

function dataOf({ from, stepMs, ok, failed, lost }: TimeLine): uPlot.AlignedData {
  const perSecond = (value: number) => value / (stepMs / 1000);
  return [
    ok.map((_, index) => (from + index * stepMs) / 1000),
    ok.map(perSecond),
    ...[failed, lost].filter(hasAny).map((values) => values.map(perSecond)),
  ];
}

function hasAny(values: readonly number[]): boolean {
  return values.some((value) => value > 0);
}

/** The parts of a time that tell the steps apart: seconds only where steps are short. */
function timeOf(seconds: number, { stepMs, ok }: TimeLine): string {
  const text = new Date(seconds * 1000).toLocaleString("sv-SE");
  if (stepMs * ok.length > 2 * 86_400_000) return text.slice(0, 10);
  if (stepMs >= 60_000) return text.slice(11, 16);
  const fraction = stepMs < 1000 ? (seconds % 1).toFixed(stepMs < 100 ? 2 : 1).slice(1) : "";
  return `${text.slice(11)}${fraction}`;
}

function optionsOf(element: HTMLElement, line: TimeLine): uPlot.Options {
  const style = getComputedStyle(element);
  const colour = (name: string) => resolved(element, name);
  const font = `11px ${style.fontFamily}`;
  const axis = { stroke: colour("--muted"), font, ticks: { show: false }, gap: 6 };
  const grid = { stroke: colour("--line"), width: 1 };
  const series = (label: string, name: string, dash: number[]) => ({
    label,
    stroke: colour(name),
    width: 1.75,
    dash,
    points: { show: line.ok.length < 3 },
    value: (_: uPlot, value: number | null) => (value === null ? "–" : `${value.toFixed(1)}/s`),
  });
  return {
    width: element.clientWidth,
    height: HEIGHT,
    padding: [8, 32, 0, 0],
    cursor: { drag: { x: true, y: false }, points: { size: 6 } },
    scales: { y: { range: (_, _low, high) => [0, high === 0 ? 1 : high * 1.1] } },
    axes: [
      {
        ...{ ...axis, grid: { show: false }, space: 90 },
        values: (_, values) => values.map((value) => timeOf(value, line)),
      },
      { ...axis, grid, size: 44, values: (_, values) => values.map((value) => `${value}/s`) },
    ],
    series: [
      { label: "time", value: (_, value) => (value === null ? "–" : timeOf(value, line)) },
      series("ok", "--ok-fill", []),
      ...(hasAny(line.failed) ? [series("failed", "--failed-fill", [5, 3])] : []),
      ...(hasAny(line.lost) ? [series("lost", "--lost-fill", [2, 2])] : []),
    ],
  };
}

/** The colour that a property holds in the present theme; a canvas needs it resolved. */
function resolved(element: HTMLElement, name: string): string {
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  element.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
