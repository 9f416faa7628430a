// The Apptainer program of a machine, found in PATH.

import { expect, test } from "bun:test";
import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { findApptainer, reportApptainer } from "../../../src/sandbox/apptainer/program.ts";
import { writeApptainer } from "../../parts/apptainer-program.ts";
import { asUser } from "../../parts/as-user.ts";
import { withEnv } from "../../parts/env.ts";
import { withFolder } from "../../parts/folder.ts";

/** A PATH with these programs and what their scripts need. */
const withPrograms = (names: readonly string[], use: (folder: string) => Promise<void>) =>
  withFolder(async (folder) => {
    const bin = join(folder, "bin");
    await mkdir(bin);
    for (const name of names) {
      const { path } = await writeApptainer(join(folder, name));
      await copyFile(path, join(bin, name));
    }
    for (const name of ["dirname", "cat", "sed"])
      await copyFile(`/usr/bin/${name}`, join(bin, name));
    await withEnv({ PATH: bin }, () => use(bin));
  });

test.each([
  [["apptainer", "singularity"], "apptainer"],
  [["singularity"], "singularity"],
  [[], null],
])("with %j in PATH, the program is %p", (names, program) =>
  withPrograms(names, async () => {
    expect(await findApptainer()).toBe(program);
  }),
);

test("a program that fails is passed over", () =>
  withPrograms(["apptainer", "singularity"], async (bin) => {
    await writeFile(join(bin, "apptainer"), "#!/bin/sh\nexit 1\n");
    expect(await findApptainer()).toBe("singularity");
  }));

test("a machine without the program says what to install", () =>
  withPrograms([], async () => {
    expect(await reportApptainer()).toEqual({
      usable: false,
      says: "no apptainer or singularity in PATH",
      unenforced: [],
      hints: ["install Apptainer 1.1 or newer"],
    });
  }));

test("root enforces every limit", () =>
  withPrograms(["apptainer"], () =>
    asUser(0, async () => {
      expect(await reportApptainer()).toEqual({
        usable: true,
        says: "apptainer version 9.9",
        unenforced: [],
        hints: [],
      });
    }),
  ));

test("a plain user without systemd cannot enforce the limits of control groups, and hears why", () =>
  withPrograms(["apptainer"], () =>
    asUser(1000, () =>
      withEnv({ DBUS_SESSION_BUS_ADDRESS: undefined, XDG_RUNTIME_DIR: undefined }, async () => {
        expect(await reportApptainer()).toEqual({
          usable: true,
          says: "apptainer version 9.9",
          unenforced: ["memory", "cpus", "pids"],
          hints: [expect.stringContaining("control groups v2 that systemd delegates to this user")],
        });
      }),
    ),
  ));

test("a plain user of a setuid installation cannot choose the size of writable places", () =>
  withPrograms(["apptainer"], (bin) =>
    asUser(1000, async () => {
      await writeFile(join(bin, "apptainer"), "#!/bin/sh\necho APPTAINER_SUID_INSTALL=1\n");
      const { unenforced, hints } = await reportApptainer();
      expect(unenforced).toContain("disk");
      expect(hints.at(-1)).toContain("`sessiondir max size`");
      await asUser(0, async () => expect((await reportApptainer()).unenforced).toEqual([]));
    }),
  ));
