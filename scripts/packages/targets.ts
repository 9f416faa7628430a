// The platforms that a release has binaries for, and what packagers call them.

export interface Target {
  /** The word of scripts/build, and of the release's files. */
  readonly name: string;
  readonly os: "linux" | "darwin";
  readonly arch: "x64" | "arm64";
  readonly libc: "glibc" | "musl" | null;
  /** Platform tags of the wheel. */
  readonly wheel: readonly string[];
  /** The architecture of the `.deb` and of the image, for the targets that have them. */
  readonly debian: "amd64" | "arm64" | null;
}

const linux = { os: "linux" } as const;
const darwin = { os: "darwin", libc: null, debian: null } as const;

/**
 * Bun's x64 builds need SSE4.2 alone, and take AVX2 where the processor has it. So there is no
 * further build for old processors.
 */
export const TARGETS: readonly Target[] = [
  {
    ...linux,
    ...{ name: "linux-x64", arch: "x64", libc: "glibc", debian: "amd64" },
    wheel: ["manylinux_2_17_x86_64", "manylinux2014_x86_64"],
  },
  {
    ...linux,
    ...{ name: "linux-arm64", arch: "arm64", libc: "glibc", debian: "arm64" },
    wheel: ["manylinux_2_17_aarch64", "manylinux2014_aarch64"],
  },
  {
    ...linux,
    ...{ name: "linux-x64-musl", arch: "x64", libc: "musl", debian: null },
    wheel: ["musllinux_1_2_x86_64"],
  },
  {
    ...linux,
    ...{ name: "linux-arm64-musl", arch: "arm64", libc: "musl", debian: null },
    wheel: ["musllinux_1_2_aarch64"],
  },
  { ...darwin, name: "darwin-arm64", arch: "arm64", wheel: ["macosx_13_0_arm64"] },
  { ...darwin, name: "darwin-x64", arch: "x64", wheel: ["macosx_13_0_x86_64"] },
];
