// `process.exit` in user code. It would end the whole program, with every task in flight and a run
// directory that nothing closed, and exit code 0 would say that all went well. So it is an error of
// the step that calls it.

import { currentOwner, UserError } from "./stray-error.ts";

/** Turns `process.exit` into an error until the returned function is called. */
export function catchExits(): () => void {
  const { exit } = process;
  process.exit = (code) => {
    const error = new UserError(
      `user code called process.exit(${code ?? ""}), which would end the whole program: ` +
        "return a result or throw an error instead",
    );
    // The first place in the stack is the user's.
    Error.captureStackTrace(error, process.exit);
    // A step whose code catches the error has still failed.
    currentOwner()?.fail(error);
    throw error;
  };
  return () => {
    process.exit = exit;
  };
}
