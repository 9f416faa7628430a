// Waiting for a condition: tests never sleep for a fixed time.

/**
 * Polls `holds` until it is true. The limit only names what never came true: a loaded machine may
 * take long, and no test relies on it.
 */
export async function until(
  holds: () => boolean | Promise<boolean>,
  what: string,
  withinMs = 50_000,
): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
