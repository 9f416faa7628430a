// A speaker that answers at once with 1.4 kB of text. Student and teacher differ for three turns
// and agree in the fourth.

import { agent } from "matrix";

const FILLER =
  "We take the numbers of the question one by one and check each step before we go on to the next. ".repeat(
    14,
  );

export default agent(({ role, history }) => {
  const answer = role === "student" || history.length >= 9 ? "A" : "B";
  return { role: "assistant", content: `${FILLER}The answer is (${answer}).` };
});
