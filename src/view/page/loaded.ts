// Loading of answers for views: the last value stays while the next one is on its way.

import { createContext } from "preact";
import { useContext, useEffect, useState } from "preact/hooks";
import type { Source } from "./source/contract.ts";

export interface Loaded<T> {
  readonly value: T | null;
  readonly problem: Error | null;
  readonly isLoading: boolean;
  reload(): void;
}

export const SourceContext = createContext<Source | null>(null);

export function useSource(): Source {
  const source = useContext(SourceContext);
  if (source === null) throw new Error("the page has no source");
  return source;
}

/** Loads when `key` changes. An answer that another one has overtaken is dropped. */
export function useLoaded<T>(key: string, load: (source: Source) => Promise<T>): Loaded<T> {
  const source = useSource();
  const [turn, setTurn] = useState(0);
  const [state, setState] = useState<Omit<Loaded<T>, "reload"> & { readonly key: string }>({
    ...{ key, value: null, problem: null, isLoading: true },
  });
  useEffect(() => {
    let isCurrent = true;
    setState((before) => ({
      ...{ key, problem: null, isLoading: true },
      value: before.key === key ? before.value : null,
    }));
    load(source).then(
      (value) => {
        if (isCurrent) setState({ key, value, problem: null, isLoading: false });
      },
      (problem: unknown) => {
        const error = problem instanceof Error ? problem : new Error(String(problem));
        if (isCurrent) setState((before) => ({ ...before, key, problem: error, isLoading: false }));
      },
    );
    return () => {
      isCurrent = false;
    };
  }, [key, turn, source]);
  const isOther = state.key !== key;
  return {
    value: isOther ? null : state.value,
    problem: isOther ? null : state.problem,
    isLoading: isOther || state.isLoading,
    reload: () => setTurn((before) => before + 1),
  };
}
