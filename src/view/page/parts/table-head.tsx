// The head of a table whose columns do not change.

import type { ComponentChildren } from "preact";

interface Column {
  readonly name: string;
  /** The head in place of the name. */
  readonly label?: ComponentChildren;
  /** Numbers stand at the right. */
  readonly isNumber?: boolean;
}

export function numbers(...names: readonly string[]): readonly Column[] {
  return names.map((name) => ({ name, isNumber: true }));
}

export function TableHead({ columns }: { readonly columns: readonly (string | Column)[] }) {
  const heads = columns.map((one): Column => (typeof one === "string" ? { name: one } : one));
  return (
    <thead>
      <tr>
        {heads.map(({ name, label = name, isNumber = false }) => (
          <th key={name} scope="col" class={isNumber ? "right" : undefined}>
            {label}
          </th>
        ))}
      </tr>
    </thead>
  );
}
