// Takes all languages but English out of the locale data in a binary for Linux: the wheel must stay
// small, and these data are the largest part that the program does not need.
// On macOS the data belong to the system.
//
// The data are a package of ICU: a header, a table of (name, place) in the order of names, and the
// items. An item that is not in the table is one that ICU does not have, and it goes on with the
// root of its kind, as a build of ICU for English does. The bytes of such items become zeros.

/** Bytes after the size of the header: the magic, the rest of its first part, and the format. */
const MARK = Buffer.from([0xda, 0x27, 0x14, 0, 0, 0, 0, 0, 2, 0, 0x43, 0x6d, 0x6e, 0x44]);
const ENTRY_BYTES = 8;
/** Folders of names: of languages, regions, units, zones and currencies; and orders of letters. */
const OF_LANGUAGES = ["lang", "region", "unit", "zone", "curr", "coll"];
/** Items that all languages share. */
const SHARED = ["root", "res_index", "pool", "supplementalData", "tzdbNames", "ucadata"];
/** Breaks of lines, spelled numbers, and a way to compare that no program in JavaScript can use. */
const UNREACHABLE = /^(brkitr\/(line|title)\w*\.brk|rbnf\/.*|nfkc_scf\.nrm)$/;
const IS_ENGLISH = /^en(_|$)/;
const IS_LANGUAGE = /^[a-z]{2,3}(_|$)/;

/** The same program, without the data of other languages. */
export function withEnglishAlone(binary: Buffer): Buffer {
  const mark = binary.indexOf(MARK);
  if (mark === -1) throw new Error("the binary has no locale data of the kind that is known");
  const lean = Buffer.from(binary);
  const header = mark - 2;
  const base = header + lean.readUInt16LE(header);
  const count = lean.readUInt32LE(base);
  const table = base + 4;
  const entries = Array.from({ length: count }, (_, index) => {
    const at = table + index * ENTRY_BYTES;
    const name = base + lean.readUInt32LE(at);
    return {
      entry: Buffer.from(lean.subarray(at, at + ENTRY_BYTES)),
      name,
      nameEnd: lean.indexOf(0, name),
      item: itemOf(lean.toString("latin1", name, lean.indexOf(0, name))),
      start: base + lean.readUInt32LE(at + 4),
    };
  });
  // The size of the last item is not known, so it stays.
  const kept = entries.filter(({ item }, index) => index === count - 1 || !isOfOthers(item));
  for (const [index, { item, start, name, nameEnd }] of entries.entries()) {
    const next = entries[index + 1];
    if (next === undefined || !isOfOthers(item)) continue;
    lean.fill(0, start, next.start);
    lean.fill(0, name, nameEnd);
  }
  lean.fill(0, table, table + count * ENTRY_BYTES);
  for (const [index, { entry }] of kept.entries()) entry.copy(lean, table + index * ENTRY_BYTES);
  lean.writeUInt32LE(kept.length, base);
  return lean;
}

/** A name such as `icudt78l/curr/de.res` without the version of the data. */
function itemOf(name: string): string {
  return name.slice(name.indexOf("/") + 1);
}

function isOfOthers(item: string): boolean {
  const [folder, file] = item.includes("/") ? item.split("/") : ["", item];
  const [stem = "", kind = ""] = (file ?? "").split(".");
  if (UNREACHABLE.test(item)) return true;
  // English has other dates in each country. Its names fall back to those of the language.
  if (SHARED.includes(stem) || (folder === "" ? IS_ENGLISH.test(stem) : stem === "en"))
    return false;
  // Words of Chinese, Japanese, Thai and others are told apart by dictionaries.
  if (folder === "brkitr") return kind === "dict" || kind === "res";
  if (kind !== "res") return false;
  return folder === "" ? IS_LANGUAGE.test(stem) : OF_LANGUAGES.includes(folder ?? "");
}
