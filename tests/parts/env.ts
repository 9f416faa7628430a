// Environment variables for the time of a test.

/** Sets the variables, or removes those that are undefined, until `use` has ended. */
export async function withEnv<T>(
  variables: Readonly<Record<string, string | undefined>>,
  use: () => Promise<T>,
): Promise<T> {
  const before = Object.keys(variables).map((name) => [name, process.env[name]] as const);
  const set = (name: string, value: string | undefined): void => {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  };
  for (const [name, value] of Object.entries(variables)) set(name, value);
  try {
    return await use();
  } finally {
    for (const [name, value] of before) set(name, value);
  }
}
