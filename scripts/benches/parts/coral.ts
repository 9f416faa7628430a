// Flags and overrides with which the benches run the Coral recipes.

/** Rows of the dataset that ships with the recipes. More tasks than rows need more trials. */
const QUESTIONS = 40;

/** Flags for a run of at least `tasks` tasks. */
export function coralTasks(tasks: number): readonly string[] {
  return ["--trials", String(Math.ceil(tasks / QUESTIONS))];
}

const SECONDS_LONG = '{ kind = "lognormal", median = "1s", sigma = 0.5 }';

/** Overrides for a model whose median latency is 1 s, independent of the length of its answers. */
export function secondsLongAnswers(maxTurns: number): readonly string[] {
  return [
    `models.speaker.latency=${SECONDS_LONG}`,
    "models.speaker.tokens_per_second=1e12",
    `orchestrator.max_turns=${maxTurns}`,
  ];
}
