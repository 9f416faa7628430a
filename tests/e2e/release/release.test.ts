// The packages of scripts/release, installed on systems without Bun and Node.js, and removed.

import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, readFileSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { withFolder } from "../../parts/folder.ts";
import { ROOT } from "../../parts/repository.ts";
import { until } from "../../parts/until.ts";
import { buildIn, makeFolder, run, TARGETS } from "./built.ts";
import { signatureOf } from "./mach-o.ts";

setDefaultTimeout(240_000);

const VERSION = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")).version;
const IMAGE = `matrix:${VERSION}`;
/** Debian 12 with CPython, without Bun or Node.js. */
const DEBIAN = "python:3.12-slim";
/** With the weakest compression; docs/decisions/package-name.md has the sizes of a release. */
const QUICK_WHEEL_BYTES_MAX = 49.6e6;
const INSTALL_MS_MAX = 60_000;

const first = makeFolder();
const second = makeFolder();
const here = `linux-${process.arch}`;
const [built, again] = await Promise.all([
  buildIn(join(first, "matrix"), TARGETS),
  buildIn(join(second, "elsewhere"), [here]),
]);
chmodSync(first, 0o755);

afterAll(() => {
  for (const folder of [first, second]) rmSync(folder, { recursive: true, force: true });
});

const fileOf = (pattern: RegExp) => {
  const found = built.files.filter((file) => pattern.test(file));
  if (found.length !== 1) throw new Error(`${pattern} fits ${found.join(", ")}`);
  return join(built.folder, found[0] ?? "");
};

async function works(command: readonly string[]): Promise<boolean> {
  const child = Bun.spawn([...command], { stdout: "ignore", stderr: "ignore", stdin: "ignore" });
  return (await child.exited) === 0;
}

const hasDocker =
  Bun.which("docker") !== null && (await works(["docker", "image", "inspect", DEBIAN]));
if (!hasDocker) console.log(`skipped: packages are installed in containers of ${DEBIAN}`);

/** Runs a script of bash in a fresh Debian without a network, with the release at /release. */
function inDebian(script: string, options: readonly string[] = []): Promise<string> {
  const mount = ["--volume", `${built.folder}:/release:ro`];
  const isolated = ["--rm", "--network", "none", ...mount, ...options];
  return run(["docker", "run", ...isolated, DEBIAN, "bash", "-euc", script], ROOT);
}

const HERE = /^[\d.]+ \([0-9a-f]{12}(, changed)?, linux-x64(, English locales)?\)$/m;
const DONE = "expected 40 = ok 40 + failed 0 + lost 0";
/** Lists every file that may be left behind. Python's caches of other packages come and go. */
const FILES =
  "find / $HOME -xdev -path /proc -prune -o -path /tmp/work -prune -o -print | grep -v pycache";

test.skipIf(!hasDocker)(
  "a plain user installs the wheel with pip, runs coral within a minute, and removes all of it",
  async () => {
    const began = performance.now();
    const said = await inDebian(
      `export HOME=/home/me PATH=/home/me/.local/bin:$PATH PYTHONDONTWRITEBYTECODE=1
       mkdir -p /tmp/work && cd /tmp/work
       mkdir -p $HOME/.local && ${FILES} | sort > before
       pip install --quiet --user --no-index --no-compile /release/*manylinux*x86_64.whl
       matrix --version
       matrix-agents --version
       matrix drive coral -o run
       python3 -c 'import matrix_agent; print(matrix_agent.__file__)'
       head -c 4 $(command -v matrix) | tail -c 3
       pip uninstall --quiet --yes matrix-agents
       rm -r $HOME/.cache/matrix
       find $HOME/.local $HOME/.cache -type d -empty -delete
       mkdir -p $HOME/.local && ${FILES} | sort > after
       diff before after && echo; echo nothing is left`,
      ["--user", "1000:1000", "--tmpfs", "/home/me:uid=1000,exec", "--tmpfs", "/tmp:exec"],
    );
    expect(said.match(new RegExp(HERE.source, "gm"))).toHaveLength(2);
    expect(said).toContain(", English locales)");
    expect(said).toContain("/home/me/.local/lib/python3.12/site-packages/matrix_agent.py");
    // The command is the program itself, and not a script of Python.
    expect(said).toContain("\nELF");
    expect(said).toEndWith("nothing is left\n");
    expect(performance.now() - began).toBeLessThan(INSTALL_MS_MAX);
  },
);

test.skipIf(!hasDocker || !built.files.some((file) => file.endsWith("_amd64.deb")))(
  "the .deb installs the program, its manual and its completions, and removes all of it",
  async () => {
    const said = await inDebian(
      `mkdir -p /tmp/work && cd /tmp/work
       listed() { ${FILES} | grep -vE '^/var/(lib/dpkg|log|cache)' | sort; }
       listed > before
       dpkg --install /release/*_amd64.deb >/dev/null 2>&1
       chmod 777 /tmp/work
       setpriv --reuid 1000 --regid 1000 --clear-groups env HOME=/tmp/work sh -euc '
         matrix --version; matrix drive coral -o run'
       dpkg --listfiles matrix-agents
       zcat /usr/share/man/man1/matrix.1.gz | head -n 1
       dpkg --purge matrix-agents >/dev/null 2>&1
       listed > after
       diff before after && echo nothing is left`,
    );
    expect(said).toMatch(HERE);
    expect(said).toContain(DONE);
    for (const path of [
      ...["/usr/bin/matrix", "/usr/share/doc/matrix-agents/copyright"],
      ...["/usr/share/bash-completion/completions/matrix", "/usr/share/man/man1/matrix.1.gz"],
      ...["/usr/share/zsh/vendor-completions/_matrix"],
      "/usr/share/fish/vendor_completions.d/matrix.fish",
    ])
      expect(said).toContain(`\n${path}\n`);
    expect(said).toContain(`.TH MATRIX 1`);
    expect(said).toEndWith("nothing is left\n");
  },
);

test.skipIf(!hasDocker)(
  "the image runs coral as a plain user, with a read-only root and no network",
  async () => {
    await run(["docker", "load", "--input", fileOf(/-image-amd64\.tar$/)], ROOT);
    try {
      const closed = ["--read-only", "--network", "none", "--cap-drop", "ALL"];
      const writable = ["--tmpfs", "/tmp", "--tmpfs", "/runs:mode=1777"];
      const start = ["docker", "run", "--rm", ...closed, ...writable, IMAGE];
      expect(await run([...start, "drive", "coral"], ROOT)).toContain(DONE);
      expect(await run([...start, "--version"], ROOT)).toMatch(HERE);
      const format = "{{.Config.User}} {{.Config.Healthcheck.Test}}";
      const inspected = await run(["docker", "inspect", "--format", format, IMAGE], ROOT);
      expect(inspected.trim()).toBe("1000:1000 [CMD matrix --version]");
      const serve = ["--health-interval", "1s", IMAGE, "model", "serve"];
      const id = (await run(["docker", "run", "--detach", ...serve], ROOT)).trim();
      try {
        const status = ["docker", "inspect", "--format", "{{.State.Health.Status}}", id];
        await until(
          async () => (await run(status, ROOT)).trim() === "healthy",
          "the container is healthy",
        );
      } finally {
        await run(["docker", "rm", "--force", id], ROOT);
      }
    } finally {
      await run(["docker", "image", "rm", IMAGE], ROOT);
    }
  },
);

test.skipIf(!built.files.some((file) => file.endsWith(".sif")))(
  "the SIF runs the program",
  async () => {
    const said = await run(["apptainer", "run", fileOf(/\.sif$/), "--version"], ROOT);
    expect(said).toMatch(HERE);
  },
);

const hasNpm = Bun.which("npm") !== null;
if (!hasNpm) console.log("skipped: the npm packages are installed with npm");

test.skipIf(!hasNpm)("npm installs the command and its types, and removes both", async () => {
  await withFolder(async (folder) => {
    const files = [fileOf(/linux-x64-[\d.]+\.tgz$/), fileOf(/^matrix-agents-[\d.]+\.tgz$/)];
    const quiet = ["--offline", "--no-audit", "--no-fund", "--prefix", folder, "--cache"];
    await run(["npm", "install", ...quiet, join(folder, "cache"), ...files], folder);
    const matrix = join(folder, "node_modules/.bin/matrix");
    expect(await run([matrix, "--version"], folder)).toMatch(HERE);
    expect(await run([matrix, "drive", "coral", "-o", "run"], folder)).toContain(DONE);
    const types = join(folder, "node_modules/matrix-agents/matrix.d.ts");
    expect(readFileSync(types, "utf8")).toContain("export");
    const names = ["matrix-agents", "matrix-agents-linux-x64"];
    await run(["npm", "uninstall", ...quiet, join(folder, "cache"), ...names], folder);
    expect(await run(["find", ".", "-name", "*matrix*", "-not", "-path", "./run*"], folder)).toBe(
      "",
    );
  });
});

test("a second build in another folder gives the same files", () => {
  const sums = (folder: string) =>
    new Map(
      readFileSync(join(folder, "SHA256SUMS"), "utf8")
        .trim()
        .split("\n")
        .map((line) => line.split("  ").toReversed() as [string, string]),
    );
  const known = sums(built.folder);
  // Apptainer puts the time of the build into a SIF.
  const compared = [...sums(again.folder)].filter(([file]) => !file.endsWith(".sif"));
  expect(compared.length).toBeGreaterThan(5);
  for (const [file, hash] of compared)
    expect(`${hash}  ${file}`).toBe(`${known.get(file)}  ${file}`);
});

test("SHA256SUMS fits every other file", async () => {
  const checked = await run(["sha256sum", "--check", "--strict", "SHA256SUMS"], built.folder);
  expect(checked.trim().split("\n")).toHaveLength(built.files.length - 1);
});

test("wheels stay below their limit", () => {
  const wheels = built.files.filter((file) => file.endsWith(".whl"));
  expect(wheels).toHaveLength(TARGETS.length);
  const large = wheels.filter(
    (file) => statSync(join(built.folder, file)).size > QUICK_WHEEL_BYTES_MAX,
  );
  expect(large).toEqual([]);
});

test("the bill of materials is CycloneDX and names the runtime", () => {
  const bill = JSON.parse(readFileSync(fileOf(/\.cdx\.json$/), "utf8"));
  expect([bill.bomFormat, bill.specVersion]).toEqual(["CycloneDX", "1.6"]);
  const names = bill.components.map(({ name }: { name: string }) => name);
  expect(names).toEqual(expect.arrayContaining(["bun", "commander", "valibot"]));
});

async function unpacked(target: string, folder: string): Promise<string> {
  const archive = fileOf(new RegExp(`^matrix-[\\d.]+-${target}\\.tar\\.gz$`));
  await run(["tar", "--extract", "--file", archive, "--strip-components", "1"], folder);
  return join(folder, "bin/matrix");
}

test("an archive has program, manual, completions and licenses, and runs where it is unpacked", () =>
  withFolder(async (folder) => {
    const program = await unpacked(here, folder);
    expect(await run([program, "--version"], folder)).toMatch(HERE);
    // Nothing tells where it was built.
    const bytes = readFileSync(program);
    expect([ROOT, first].filter((path) => bytes.includes(`${path}/`))).toEqual([]);
    const files = await run(["find", ".", "-type", "f"], folder);
    expect(files.trim().split("\n").sort()).toEqual([
      "./bin/matrix",
      "./share/bash-completion/completions/matrix",
      "./share/fish/vendor_completions.d/matrix.fish",
      "./share/licenses/matrix-agents/LICENSE",
      "./share/licenses/matrix-agents/THIRD-PARTY-NOTICES",
      "./share/man/man1/matrix.1",
      "./share/zsh/site-functions/_matrix",
    ]);
  }));

/** Machine of an ELF file, its loader, and the text of its dynamic section. */
function elf(file: string) {
  const program = readFileSync(file);
  expect(program.toString("latin1", 0, 4)).toBe("\x7fELF");
  const loader = /\/lib(64)?\/ld-[\w.-]+/.exec(program.toString("latin1", 0, 8192))?.[0];
  return { program, machine: program.readUInt16LE(18), loader };
}

test("the program for arm64 is one for that processor and glibc", () =>
  withFolder(async (folder) => {
    const { machine, loader, program } = elf(await unpacked("linux-arm64", folder));
    expect([machine, loader]).toEqual([183, "/lib/ld-linux-aarch64.so.1"]);
    expect(program.includes("linux-arm64")).toBe(true);
  }));

test("the program for musl finds its C++ library beside itself", () =>
  withFolder(async (folder) => {
    const file = await unpacked("linux-x64-musl", folder);
    expect([elf(file).machine]).toEqual([62]);
    const { program } = elf(file);
    expect(program.includes("/lib/ld-musl-x86_64.so.1")).toBe(true);
    expect(program.includes("$ORIGIN/../lib/matrix-agents\0")).toBe(true);
    const library = join(dirname(file), "../lib/matrix-agents");
    const names = (await run(["ls", library], folder)).trim().split("\n");
    expect(names.map((name) => name.replace(/-\w+\.so.*$/, ""))).toEqual(["libgcc_s", "libstdc++"]);
    for (const name of names.filter((one) => one.includes("stdc++")))
      expect(program.includes(`${name}\0`)).toBe(true);
    const notices = join(folder, "share/licenses/matrix-agents/THIRD-PARTY-NOTICES");
    expect(readFileSync(notices, "utf8")).toStartWith("libstdc++ and libgcc of GCC");
  }));

test("the program for macOS is signed, and every page has the hash that the signature states", () =>
  withFolder(async (folder) => {
    const program = readFileSync(await unpacked("darwin-arm64", folder));
    expect(program.readUInt32LE(0)).toBe(0xfeedfacf);
    const { cpu, pages, broken } = signatureOf(program);
    expect(cpu).toBe(0x0100000c);
    expect(pages).toBeGreaterThan(5000);
    expect(broken).toBe(0);
  }));
