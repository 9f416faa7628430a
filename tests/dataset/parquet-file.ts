// Parquet files that a test writes.

import { fileWriter, ParquetWriter } from "hyparquet-writer";

/** A file of `groups` row groups of 100 rows with a text each. */
export function writeTexts(path: string, groups: number, text: (row: number) => string): void {
  const schema = [
    { name: "root", num_children: 2 },
    { name: "k", type: "INT64", repetition_type: "REQUIRED" },
    { name: "text", type: "BYTE_ARRAY", converted_type: "UTF8", repetition_type: "REQUIRED" },
  ] as const;
  const writer = new ParquetWriter({ writer: fileWriter(path), schema: [...schema] });
  for (let group = 0; group < groups; group++) {
    const numbers = Array.from({ length: 100 }, (_, i) => group * 100 + i);
    writer.write({
      columnData: [
        { name: "k", data: numbers.map(BigInt) },
        { name: "text", data: numbers.map(text) },
      ],
      rowGroupSize: 100,
    });
  }
  writer.finish();
}
