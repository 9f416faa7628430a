// A value that is here, or comes later. Code in this process answers at once, and code in another
// process later. Steps take microseconds, so a value that is here is not made to wait for a turn of
// the event loop.

export type Later<T> = T | Promise<T>;

/** Calls `use` with the value: now when it is here, else when it has come. */
export function whenHere<T, U>(value: Later<T>, use: (value: T) => Later<U>): Later<U> {
  return value instanceof Promise ? value.then(use) : use(value);
}
