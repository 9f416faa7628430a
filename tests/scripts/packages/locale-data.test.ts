// The locale data of a wheel: English stays, other languages go, and nothing else changes.

import { expect, test } from "bun:test";
import { withEnglishAlone } from "../../../scripts/packages/locale-data.ts";

const HEADER_BYTES = 32;
const ITEM = Buffer.from("12345678");

/** A package of these items, as ICU lays it out, between other bytes of a program. */
function programWith(items: readonly string[]): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt16LE(HEADER_BYTES, 0);
  Buffer.from([0xda, 0x27, 0x14, 0, 0, 0, 0, 0, 2, 0]).copy(header, 2);
  header.write("CmnD", 12);
  const names = items.map((item) => Buffer.from(`icudt78l/${item}\0`));
  const table = Buffer.alloc(4 + items.length * 8);
  table.writeUInt32LE(items.length, 0);
  let name = table.length;
  let data = names.reduce((sum, one) => sum + one.length, table.length);
  for (const [index, one] of names.entries()) {
    table.writeUInt32LE(name, 4 + index * 8);
    table.writeUInt32LE(data, 8 + index * 8);
    name += one.length;
    data += ITEM.length;
  }
  const bodies = items.map(() => ITEM);
  return Buffer.concat([Buffer.from("before"), header, table, ...names, ...bodies]);
}

/** Items that a lookup in the package finds, with their bytes. */
function itemsIn(program: Buffer): ReadonlyMap<string, string> {
  const base = "before".length + HEADER_BYTES;
  const found = Array.from({ length: program.readUInt32LE(base) }, (_, index) => {
    const name = base + program.readUInt32LE(base + 4 + index * 8);
    const data = base + program.readUInt32LE(base + 8 + index * 8);
    const text = program.toString("latin1", name, program.indexOf(0, name));
    return [text.replace("icudt78l/", ""), program.toString("latin1", data, data + 8)] as const;
  });
  return new Map(found);
}

const OTHERS = [
  ...["brkitr/cjdict.dict", "brkitr/ja.res", "coll/sv.res", "curr/de.res", "de.res", "de_AT.res"],
  ...["brkitr/line_cj.brk", "brkitr/title.brk", "curr/en_AU.res", "nfkc_scf.nrm", "rbnf/root.res"],
  ...["lang/fr.res", "region/zh_Hant.res", "unit/ru.res", "zone/haw.res"],
];
const KEPT = [
  ...["brkitr/root.res", "brkitr/word.brk", "coll/root.res", "coll/ucadata.icu", "curr/en.res"],
  ...["curr/supplementalData.res", "en.res", "en_GB.res", "lang/res_index.res", "nfkc.nrm"],
  ...["numberingSystems.res", "plurals.res", "root.res", "timezoneTypes.res"],
  ...["unit/en.res", "zone/tzdbNames.res", "zoneinfo64.res"],
];
/** The size of the last item is not known. */
const LAST = "zzz.res";

test("a package of locale data keeps English and what all languages share", () => {
  const program = programWith([...OTHERS, ...KEPT, LAST].sort());
  const lean = withEnglishAlone(program);
  expect([...itemsIn(lean).keys()]).toEqual([...KEPT, LAST].sort());
  expect([...new Set(itemsIn(lean).values())]).toEqual(["12345678"]);
});

test("the bytes of what is left out are zeros, and the program keeps its size and other bytes", () => {
  const program = programWith(["de.res", "en.res", "root.res"]);
  const lean = withEnglishAlone(program);
  expect(lean.length).toBe(program.length);
  expect(lean.toString("latin1", 0, 6)).toBe("before");
  expect(lean.includes("de.res")).toBe(false);
  expect(lean.subarray(-24)).toEqual(Buffer.concat([Buffer.alloc(8), ITEM, ITEM]));
  expect([...itemsIn(program).keys()]).toEqual(["de.res", "en.res", "root.res"]);
});

test("a program without such data is refused, so that a change of the runtime is noticed", () => {
  expect(() => withEnglishAlone(Buffer.from("nothing"))).toThrow("no locale data");
});
