// Makes a verdict of the judge's points: who won, and how clearly, from 0 to 1.

import { agent } from "matrix";

export const verdictOf = ({ pro, con }: { readonly pro: number; readonly con: number }) => ({
  winner: pro === con ? null : pro > con ? "pro" : "con",
  score: Math.abs(pro - con) / 9,
});

export default agent(({ history }) => {
  const last = history.at(-1)?.result as { parsed: { pro: number; con: number } };
  const { parsed } = last;
  return verdictOf(parsed);
});
