// The command of an Apptainer sandbox: what it may use, what it sees, and where it may write.

import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { commandFor, type Way } from "../../../src/sandbox/apptainer/settings.ts";
import type { SandboxSpec } from "../../../src/sandbox/contract.ts";
import { HOLDER } from "../../../src/sandbox/holder.ts";
import { Lease } from "../../../src/sandbox/lease.ts";
import { withFolder } from "../../parts/folder.ts";
import { SPEC } from "../../parts/sandbox-spec.ts";

const PLAIN: Way = { program: "/bin/ap", configures: true, isRoot: false, unenforced: [] };
const FULL: SandboxSpec = {
  ...SPEC,
  image: "/x.sif",
  cpus: 1.5,
  mounts: [
    { source: "/data", target: "/in", writable: true },
    { source: '/a, "b"', target: "/c d", writable: false },
  ],
};

const commandOf = (spec: Partial<SandboxSpec> = {}, way: Partial<Way> = {}) =>
  withFolder(async (root) => {
    await using lease = await Lease.take({ run: "r", host: "h" }, { root });
    const parts = { folder: "/pipes", marks: { MATRIX_SANDBOX: "s" } };
    const command = await commandFor({ ...FULL, ...spec }, { ...PLAIN, ...way }, lease, parts);
    const options = command.args.slice(0, command.args.indexOf("/x.sif"));
    const text = async (start: string) => {
      const named = options.find((option) => option.includes(`${lease.folder}/${start}`)) ?? "";
      const path = named.replace(/^.*source=/, "").replace(/,destination.*$/, "");
      return readFile(path, "utf8").catch(() => null);
    };
    return {
      ...{ file: command.file, script: command.args.at(-1) ?? "" },
      options: options.map((option) => option.replace(lease.folder, "LEASE")),
      configuration: await text("apptainer.conf"),
      hosts: await text("hosts"),
      hostname: await text("hostname"),
    };
  });
const kernel = (paths: readonly string[], source: (path: string) => string) =>
  paths
    .filter((path) => existsSync(path))
    .flatMap((path) => ["--mount", `type=bind,source=${source(path)},destination=${path},ro`]);

test("a sandbox has its limits, its mounts, and nothing of the machine's own settings", async () => {
  const { file, options, configuration, hosts, hostname } = await commandOf();
  expect(file).toBe("/bin/ap");
  const named = (name: string) => options.find((option) => option.includes(`LEASE/${name}`)) ?? "";
  expect(options).toEqual([
    ...["--quiet", "--config", named("apptainer.conf"), "exec"],
    ...["--containall", "--cleanenv", "--no-home", "--pid", "--no-init", "--no-nv", "--no-rocm"],
    ...["--uts", "--hostname", "sandbox", "--no-mount", "bind-paths,hostfs,cwd", "--no-privs"],
    ...["--net", "--network", "none", "--scratch", "/work,/dev/shm", "--pwd", "/work"],
    ...kernel(["/proc/sys", "/proc/bus", "/proc/fs", "/proc/irq"], (path) => path),
    ...kernel(
      ["kcore", "keys", "kmsg", "sched_debug", "sysrq-trigger", "timer_list"].map(
        (name) => `/proc/${name}`,
      ),
      () => "/dev/null",
    ),
    ...["--mount", named("hosts")],
    ...["--mount", named("hostname")],
    ...["--mount", "type=bind,source=LEASE/bridge,destination=/matrix,ro"],
    ...["--mount", "type=bind,source=/pipes,destination=/matrix-pipes,ro"],
    ...["--mount", "type=bind,source=/data,destination=/in"],
    ...["--mount", 'type=bind,"source=/a, ""b""",destination=/c d,ro'],
    ...["--memory", "268435456", "--memory-swap", "268435456"],
    ...["--cpus", "1.5", "--pids-limit", "64"],
  ]);
  expect(named("hosts")).toEndWith(",destination=/etc/hosts,ro");
  expect(named("hostname")).toEndWith(",destination=/etc/hostname,ro");
  expect(hostname).toBe("sandbox\n");
  expect(hosts).toBe("127.0.0.1 localhost sandbox\n::1 localhost\n");
  expect(configuration?.trim().split("\n")).toEqual([
    ...["allow setuid = no", "mount home = no", "mount hostfs = no", "mount sys = no"],
    ...["mount dev = minimal", "config resolv_conf = no", "sessiondir max size = 128"],
    ...["systemd cgroups = yes", "root default capabilities = no"],
  ]);
});

test("the script of a sandbox sets the recipe's variables and unsets those of Apptainer", async () => {
  const { script } = await commandOf({ env: { A: "b, c" } });
  expect(script).toStartWith("unset APPTAINER_BIND SINGULARITY_BIND ");
  expect(script).toContain("export HOME='/tmp'\nexport A='b, c'\n");
  expect(script).toContain("export MATRIX_SANDBOX='s'\n");
  expect(script).toContain(HOLDER.replaceAll("'", "'\\''"));
  expect((await commandOf({ env: { HOME: "/own" } })).script).toContain("export HOME='/own'\n");
});

test.each([
  [{ diskBytes: 300 * 2 ** 20 }, 600, 2],
  [{ diskBytes: 300 * 2 ** 20, workdir: "/usr" }, 300, 1],
  [{ diskBytes: 2 ** 20 + 1 }, 16, 2],
  [{ diskBytes: 8 * 2 ** 20 + 1 }, 17, 2],
])(
  "with %j the session holds %d MiB, and the memory grows by %d places",
  async (spec, mib, places) => {
    const { configuration, options } = await commandOf(spec);
    expect(configuration).toContain(`sessiondir max size = ${mib}\n`);
    const memory = options[options.indexOf("--memory") + 1];
    expect(memory).toBe(String(2 ** 28 + places * spec.diskBytes));
  },
);

test("a host network is the machine's, with its names", async () => {
  const { options, configuration } = await commandOf({ network: "host" });
  expect(options).not.toContain("--net");
  expect(options).toContain("type=bind,source=/etc/hosts,destination=/etc/hosts,ro");
  expect(configuration).toContain("config resolv_conf = yes\n");
});

test("a writable root is in memory, and a working folder of the image is no place of its own", async () => {
  const { options } = await commandOf({ readOnly: false, workdir: "/usr" });
  expect(options.join(" ")).toContain(" --scratch /dev/shm --writable-tmpfs --pwd /usr --mount ");
});

test("root has its places in a file system of the sandbox's own", async () => {
  const { file, options, configuration } = await commandOf({ readOnly: false }, { isRoot: true });
  expect(file).toBe("unshare");
  expect(options.slice(0, 5)).toEqual(["--mount", "--propagation", "private", "/bin/sh", "-c"]);
  expect(options.slice(6, 10)).toEqual([
    ...["matrix-disk", `size=${2 ** 27},mode=755,nosuid,nodev`, "LEASE/disk", "/bin/ap"],
  ]);
  expect(options.join(" ")).toContain(
    " --no-mount bind-paths,hostfs,cwd,dev,devpts --no-privs --net --network none --workdir LEASE/disk --scratch /work --overlay LEASE/disk/root --pwd /work --mount type=bind,source=LEASE/disk/dev,destination=/dev,ro --mount ",
  );
  expect(configuration).toContain("systemd cgroups = no\n");
  expect(configuration).toContain("config passwd = no\nconfig group = no\n");
  const elsewhere = await commandOf({ workdir: "/usr" }, { isRoot: true });
  expect(elsewhere.options).not.toContain("--scratch");
});

test("root inside has few powers, and those of a plain user reach only what is his", async () => {
  const root = await commandOf({ user: "root" }, { isRoot: true });
  expect(root.options.join(" ")).toContain(
    " --no-privs --add-caps CAP_CHOWN,CAP_DAC_OVERRIDE,CAP_FOWNER,CAP_KILL,CAP_SETGID,CAP_SETUID --net ",
  );
  expect(root.script).toContain("export HOME='/tmp'\n");
  const plain = await commandOf({ user: "root", readOnly: false });
  expect([plain.file, plain.options[0]]).toEqual(["unshare", "--map-root-user"]);
  expect(plain.options).not.toContain("--no-privs");
  expect(plain.configuration).toContain("config passwd = no\nconfig group = no\n");
  expect(plain.script).toContain("export HOME='/root'\n");
});

test("without a configuration of ours, the limits of the machine hold", async () => {
  const { options, configuration } = await commandOf(
    {},
    { configures: false, unenforced: ["memory", "cpus", "disk"] },
  );
  expect(configuration).toBeNull();
  expect(options.slice(0, 2)).toEqual(["--quiet", "exec"]);
  expect(options.slice(-2)).toEqual(["--pids-limit", "64"]);
});

test("sandboxes of one lease share their files, and those of another size have their own", () =>
  withFolder(async (root) => {
    await using lease = await Lease.take({ run: "r", host: "h" }, { root });
    const parts = { folder: "/pipes", marks: {} };
    const first = await commandFor(FULL, PLAIN, lease, parts);
    expect(await commandFor(FULL, PLAIN, lease, parts)).toEqual(first);
    const other = await commandFor({ ...FULL, diskBytes: 2 ** 30 }, PLAIN, lease, parts);
    expect(other.args[2]).not.toBe(first.args[2]);
    expect(existsSync(join(lease.folder, "disk"))).toBe(false);
  }));
