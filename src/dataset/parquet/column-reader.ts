// One column of a row group of a Parquet file, read page by page. Memory holds a page of each leaf
// of the column, and not the column (src/dataset/parquet/page-memory.ts).

import { isUtf8 } from "node:buffer";
import type { FileHandle } from "node:fs/promises";
import type { ColumnMetaData, RowGroup, SchemaTree } from "hyparquet";
import { assembleNested } from "hyparquet/src/assemble.js";
import { parquetHeader, readPage } from "hyparquet/src/column.js";
import { convert, DEFAULT_PARSERS } from "hyparquet/src/convert.js";
import { getMaxDefinitionLevel, getMaxRepetitionLevel, getTreePath } from "hyparquet/src/schema.js";
import { type Header, type Leaf, openPage, type Page } from "./page.ts";
import type { PageMemory } from "./page-memory.ts";

/** The size that a page may claim. Writers make pages of about 1 MiB, or one for each column. */
const PAGE_BYTES_MAX = 512 * 2 ** 20;
const PAGE_VALUES_MAX = 64 * 2 ** 20;

/** Bytes that are read at once. */
const WINDOW_BYTES = 128 * 1024;

type PageOf = ReturnType<typeof readPage>;
type Values = NonNullable<PageOf["data"]>;
type Decoder = Parameters<typeof readPage>[2];

/** The state that the columns of a file share. */
export interface Opened {
  readonly file: FileHandle;
  readonly root: SchemaTree;
  readonly memory: PageMemory;
}

/** Values of one column in the order of the rows of a row group. */
export class ColumnReader {
  readonly #node: SchemaTree;
  readonly #leaves: readonly LeafReader[];

  constructor(opened: Opened, node: SchemaTree, group: RowGroup) {
    this.#node = node;
    this.#leaves = group.columns.flatMap(({ meta_data: meta, file_path: path }) => {
      if (meta === undefined || path) throw new Error("its columns are in other files");
      return meta.path_in_schema[0] === node.element.name ? [new LeafReader(opened, meta)] : [];
    });
  }

  /** The values of the next `count` rows. */
  async take(count: number): Promise<ArrayLike<unknown>> {
    const parts = new Map<string, Values>();
    for (const leaf of this.#leaves) parts.set(leaf.path, await leaf.take(count));
    if (this.#node.children.length > 0) assembleNested(parts, this.#node, PARSERS);
    const values = parts.get(this.#node.element.name);
    if (values === undefined) throw new Error(`the column "${this.#node.element.name}" is missing`);
    return values;
  }
}

/** The values of a leaf, which lists and objects consist of. */
class LeafReader {
  readonly path: string;
  readonly #pages: PageStream;
  readonly #decoder: Decoder;
  readonly #memory: PageMemory;
  /** True when a row has several values, so that a page may end within a row. */
  readonly #repeated: boolean;
  #dictionary: Values | undefined;
  /** Rows that are decoded; those before `#taken` are taken. */
  #rows: Values = [];
  #taken = 0;
  /** Bytes of the pages that the last row may consist of. */
  #rowBytes = 0;

  constructor({ file, root, memory }: Opened, meta: ColumnMetaData) {
    const schemaPath = getTreePath(root, meta.path_in_schema);
    const element = schemaPath.at(-1)?.element;
    if (element === undefined) throw new Error("a column has no schema");
    this.path = meta.path_in_schema.join(".");
    const repetitionMax = getMaxRepetitionLevel(schemaPath);
    const definitionMax = getMaxDefinitionLevel(schemaPath);
    const { type, codec } = meta;
    this.#pages = new PageStream(file, meta, { type, codec, repetitionMax, definitionMax });
    this.#memory = memory;
    this.#repeated = repetitionMax > 0;
    this.#decoder = {
      ...{ ...meta, pathInSchema: meta.path_in_schema, element, schemaPath, parsers: PARSERS },
      ...{ codec: "UNCOMPRESSED", utf8: false },
    };
  }

  async take(count: number): Promise<Values> {
    const taken: unknown[] = [];
    while (taken.length < count) {
      // The next page may go on with the last row.
      const ready = this.#rows.length - (this.#repeated && this.#pages.more ? 1 : 0);
      const end = Math.min(this.#taken + count - taken.length, ready);
      for (; this.#taken < end; this.#taken++) taken.push(this.#rows[this.#taken]);
      if (taken.length < count) await this.#decodePage();
    }
    return taken;
  }

  async #decodePage(): Promise<void> {
    const { header, bytes, decodedBytes } = await this.#pages.next();
    const isDictionary = header.type === "DICTIONARY_PAGE";
    // A row with several values may go on from page to page.
    const goesOn = this.#repeated && this.#rows.length - this.#taken === 1;
    if (!isDictionary) this.#rowBytes = decodedBytes + (goesOn ? this.#rowBytes : 0);
    if (isDictionary) this.#memory.hold("dictionary", this.path, decodedBytes);
    else this.#memory.hold("page", this.path, this.#rowBytes);
    const reader = { view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length), offset: 0 };
    const rest = this.#repeated ? Array.from(this.#rows).slice(this.#taken) : undefined;
    const { data } = readPage(reader, header, this.#decoder, this.#dictionary, rest, 0);
    if (isDictionary) {
      if (data !== undefined) this.#dictionary = convert(data, this.#decoder);
    } else if (data !== undefined && data.length > 0) {
      this.#rows = data;
      this.#taken = 0;
    }
  }
}

/** The pages of a leaf, with their headers. */
class PageStream {
  readonly #file: FileHandle;
  /** The position after `#window` in the file. */
  #position: number;
  readonly #end: number;
  readonly #column: string;
  readonly #leaf: Leaf;
  #window: Buffer = Buffer.alloc(0);

  constructor(file: FileHandle, meta: ColumnMetaData, leaf: Leaf) {
    this.#file = file;
    this.#leaf = leaf;
    this.#column = meta.path_in_schema.join(".");
    // Some writers give 0 for a column without a dictionary.
    this.#position = Number(meta.dictionary_page_offset || meta.data_page_offset);
    this.#end = this.#position + Number(meta.total_compressed_size);
  }

  /** False after the last page. */
  get more(): boolean {
    return this.#window.length > 0 || this.#position < this.#end;
  }

  async next(): Promise<Page> {
    if (!this.more) throw new Error("a column has fewer values than the file says");
    const { header, length } = await this.#header();
    const size = header.compressed_page_size;
    if (!(size >= 0)) throw new Error("the file is damaged: a page has no size");
    this.#refuseTooLarge(header);
    await this.#fill(length + size);
    const bytes = this.#window.subarray(length, length + size);
    if (bytes.length < size) throw cutShort();
    this.#window = this.#window.subarray(length + size);
    return openPage(header, bytes, this.#leaf);
  }

  #refuseTooLarge(header: Header): void {
    const { uncompressed_page_size: bytes, compressed_page_size: stored } = header;
    const { num_values: values = 0 } =
      header.data_page_header ?? header.data_page_header_v2 ?? header.dictionary_page_header ?? {};
    const what = `a page of the column "${this.#column}"`;
    const hint = "the file is damaged, or has to be written with smaller pages";
    if (Math.max(bytes, stored) > PAGE_BYTES_MAX)
      throw new Error(`${what} has more than ${PAGE_BYTES_MAX / 2 ** 20} MiB; ${hint}`);
    if (values > PAGE_VALUES_MAX)
      throw new Error(`${what} has more than ${PAGE_VALUES_MAX} values; ${hint}`);
  }

  /** A header does not tell its length, so it is read from more and more bytes. */
  async #header(): Promise<{ header: Header; length: number }> {
    for (let wanted = WINDOW_BYTES; ; wanted *= 4) {
      await this.#fill(wanted);
      const { buffer, byteOffset, length } = this.#window;
      const reader = { view: new DataView(buffer, byteOffset, length), offset: 0 };
      try {
        return { header: parquetHeader(reader), length: reader.offset };
      } catch (cause) {
        if (this.#position >= this.#end) throw cause;
      }
    }
  }

  /** Makes the window at least `bytes` long, or as long as the column. */
  async #fill(bytes: number): Promise<void> {
    if (this.#window.length >= bytes || this.#position >= this.#end) return;
    const wanted = Math.max(bytes, WINDOW_BYTES) - this.#window.length;
    const { size } = await this.#file.stat();
    if (this.#end > size) throw cutShort();
    const more = Buffer.allocUnsafeSlow(Math.min(wanted, this.#end - this.#position));
    for (let at = 0; at < more.length; ) {
      const { bytesRead } = await this.#file.read(more, at, more.length - at, this.#position + at);
      if (bytesRead === 0) throw cutShort();
      at += bytesRead;
    }
    this.#position += more.length;
    this.#window = this.#window.length === 0 ? more : Buffer.concat([this.#window, more]);
  }
}

function cutShort(): Error {
  return new Error("the file is cut short");
}

/** Times and JSON stay as they are stored until their row is made. Texts are decoded at once. */
const PARSERS = {
  ...DEFAULT_PARSERS,
  timestampFromMilliseconds: (value: bigint) => value,
  timestampFromMicroseconds: (value: bigint) => value,
  timestampFromNanoseconds: (value: bigint) => value,
  dateFromDays: (value: number) => value,
  jsonFromBytes: (value: Uint8Array) => value,
  // Bytes that are no text are a problem of the rows that hold them.
  stringFromBytes: (value: Uint8Array) => {
    if (value === undefined) return value;
    const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    return isUtf8(bytes) ? bytes.toString("utf8") : value;
  },
};
