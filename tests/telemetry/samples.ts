// The samples of a text in the format of Prometheus.

/** Values by name and labels, without the labels that all samples of a process share. */
export function parseSamples(text: string): ReadonlyMap<string, number> {
  const samples = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    samples.map((line) => {
      const [, name = "", labels = "", value] = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
      const own = labels.replace(/,?matrix_run="coral",matrix_host="host-1"/, "").replace(/^,/, "");
      return [own === "" ? name : `${name}{${own}}`, Number(value)];
    }),
  );
}
