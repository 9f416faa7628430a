// A value that is here, or comes later. A rule in this process decides at once, and a rule in
// another process later. Steps take microseconds, so what is here is not made to wait for a turn of
// the event loop.

export type Later<T> = T | Promise<T>;

/** Calls `use` with the value: now when it is here, else when it has come. */
export function whenHere<T, U>(value: Later<T>, use: (value: T) => Later<U>): Later<U> {
  return value instanceof Promise ? value.then(use) : use(value);
}
