// The decoder within `unbzip2-stream`, which has no types of its own.

declare module "unbzip2-stream/lib/bit_iterator.js" {
  /** Takes this many bits; null skips to the next byte. */
  export interface BitReader {
    (bits: number | null): number;
    readonly bytesRead: number;
  }
  export default function bitIterator(nextBuffer: () => Uint8Array): BitReader;
}

declare module "unbzip2-stream/lib/bzip2.js" {
  type BitReader = (bits: number | null) => number;

  const bzip2: {
    /** Reads the header of a stream. Gives the size of its blocks in units of 100 kB. */
    header(bits: BitReader): number;
    /** Reads a block. Gives the checksum of the stream so far; null at the end of the stream. */
    decompress(
      bits: BitReader,
      take: (byte: number) => void,
      buffer: Int32Array,
      size: number,
      checksum: number | null,
    ): number | null;
  };
  export default bzip2;
}
