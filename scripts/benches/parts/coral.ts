// The Coral recipes as the benches run them.

/** Rows of the dataset that ships with them: more tasks are more trials. */
const QUESTIONS = 40;

/** Flags for at least so many tasks. */
export function coralTasks(tasks: number): readonly string[] {
  return ["--trials", String(Math.ceil(tasks / QUESTIONS))];
}

const SECONDS_LONG = '{ kind = "lognormal", median = "1s", sigma = 0.5 }';

/** Overrides for a model that takes 1 s in the median, whatever it writes. */
export function secondsLongAnswers(maxTurns: number): readonly string[] {
  return [
    `models.speaker.latency=${SECONDS_LONG}`,
    "models.speaker.tokens_per_second=1e12",
    `orchestrator.max_turns=${maxTurns}`,
  ];
}
