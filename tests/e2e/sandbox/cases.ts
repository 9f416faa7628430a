// The promises of a sandbox: one suite that Docker, Apptainer and plain processes run. The test of
// a limit is skipped where the engine says that it does not enforce the limit.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Channel } from "../../../src/sandbox/channel.ts";
import type { LimitName, Sandbox, Sandboxes, SandboxSpec } from "../../../src/sandbox/contract.ts";
import { type ExecOptions, type ExecOutcome, exec } from "../../../src/sandbox/exec.ts";
import { download, upload } from "../../../src/sandbox/files.ts";
import { Lease } from "../../../src/sandbox/lease.ts";
import { environmentOf, markedPids } from "../../../src/sandbox/marked-processes.ts";
import { ProcessSandboxes } from "../../../src/sandbox/process.ts";
import type { Log } from "../../../src/telemetry/log.ts";
import { withFolder } from "../../parts/folder.ts";
import { proveOddChanges } from "../../parts/odd-changes.ts";
import { quiet } from "../../parts/quiet.ts";
import { SPEC } from "../../parts/sandbox-spec.ts";
import { until } from "../../parts/until.ts";

export interface EngineUnderTest {
  readonly image: string;
  readonly connect: (lease: Lease, log: Log) => Promise<Sandboxes>;
}

const MIB = 2 ** 20;
const TIME = { timeoutMs: 30_000 };

export function sandboxCases({ image, connect }: EngineUnderTest): void {
  let lease: Lease;
  let sandboxes: Sandboxes;
  let shared: Sandbox;
  const start = (changes: Partial<SandboxSpec> = {}) =>
    sandboxes.start({ ...SPEC, image, ...changes });
  const within = async <T>(
    changes: Partial<SandboxSpec>,
    use: (sandbox: Sandbox) => Promise<T>,
  ): Promise<T> => {
    await using sandbox = await start(changes);
    return await use(sandbox);
  };

  beforeAll(async () => {
    lease = await Lease.take({ run: "cases", host: "test" });
    sandboxes = await connect(lease, quiet);
    shared = await start();
  }, 120_000);

  afterAll(async () => {
    await shared?.stop();
    await lease?.release();
  }, 60_000);

  const run = (
    args: readonly string[],
    options: Partial<ExecOptions> = {},
    sandbox: Sandbox = shared,
  ): Promise<Ended> =>
    exec(sandbox, { args, timeoutMs: 30_000, outputBytesMax: MIB, ...options }).then((outcome) => ({
      ...outcome,
      out: Buffer.from(outcome.stdout).toString("utf8"),
      err: Buffer.from(outcome.stderr).toString("utf8"),
    }));
  const sh = (script: string, options: Partial<ExecOptions> = {}, sandbox: Sandbox = shared) =>
    run(["/bin/sh", "-c", script], options, sandbox);
  const python = (script: string, options: Partial<ExecOptions> = {}, sandbox: Sandbox = shared) =>
    run(["python3", "-c", script], options, sandbox);
  /** False, with a printed line, when the engine says that it does not enforce the limit. */
  const enforces = (limit: LimitName): boolean => {
    const does = !shared.unenforced.includes(limit);
    if (!does) console.log(`by design: ${sandboxes.engine} says that it does not enforce ${limit}`);
    return does;
  };
  const codeOf = async (promise: Promise<unknown>): Promise<unknown> =>
    promise.then(
      () => "nothing was thrown",
      (thrown) => thrown.code,
    );

  test("a command gives its output, its errors and its exit code", async () => {
    expect(await sh("echo out; echo err >&2; exit 7")).toMatchObject({
      ending: "exit",
      exitCode: 7,
      out: "out\n",
      err: "err\n",
    });
  });

  test("a command that succeeds without a word exits with 0 and no output", async () => {
    expect(await run(["true"])).toMatchObject({
      ending: "exit",
      exitCode: 0,
      out: "",
      err: "",
      droppedBytes: 0,
    });
  });

  test("a command that is missing exits with 127, and stderr names it", async () => {
    const { exitCode, err } = await run(["no-such-command-here"]);
    expect(exitCode).toBe(127);
    expect(err).toContain("no-such-command-here");
  });

  test("a command gets its words whole: spaces, quotes, dollars, newlines, an empty word", async () => {
    const words = [
      "two words",
      "it's",
      '"double"',
      "$HOME `id` \\n",
      "a\nb",
      "",
      "*",
      "-n",
      "ünïcödé 漢字 🎲",
    ];
    const { out } = await run([
      "python3",
      "-c",
      "import sys, json; print(json.dumps(sys.argv[1:]))",
      ...words,
    ]);
    expect(JSON.parse(out)).toEqual(words);
  });

  test("a command that no kernel could start is refused, and the sandbox goes on", async () => {
    expect(await codeOf(run(["echo", "a\0b"]))).toBe("agent_failed");
    expect(await codeOf(run(["echo", "x".repeat(200_000)]))).toBe("agent_failed");
    expect((await run(["/bin/sh", "-c", 'printf "${#1}"', "sh", "x".repeat(120_000)])).out).toBe(
      "120000",
    );
  });

  test("a command reads its stdin to the end", async () => {
    expect(await sh("cat; echo end", { stdin: Buffer.from("given\n") })).toMatchObject({
      out: "given\nend\n",
    });
  });

  test("a command that is given no stdin reads the end at once", async () => {
    expect((await run(["cat"])).exitCode).toBe(0);
  });

  test("a command that does not read its stdin ends", async () => {
    expect(await run(["true"], { stdin: Buffer.alloc(4 * MIB, "x") })).toMatchObject({
      ending: "exit",
      exitCode: 0,
    });
  });

  test("a command passes text of every script through unchanged", async () => {
    const text = "naïve 日本語 العربية 🎉 \u0000 e\u0301\n";
    expect((await run(["cat"], { stdin: Buffer.from(text) })).out).toBe(text);
  });

  test("a command passes every byte through unchanged", async () => {
    const bytes = Buffer.from(
      Array.from({ length: 65_536 }, (_, index) => (index * 7 + (index >> 8)) % 256),
    );
    const { stdout } = await run(["cat"], { stdin: bytes });
    expect(Buffer.from(stdout).equals(bytes)).toBe(true);
  });

  test("a command that ends within a character gives the part that it wrote", async () => {
    const { stdout } = await sh("printf 'a\\303'");
    expect([...stdout]).toEqual([0x61, 0xc3]);
  });

  test("a command takes 20 MB of input", async () => {
    const input = Buffer.alloc(20 * MIB, "0123456789abcdef");
    const { out } = await run(["sha256sum"], { stdin: input });
    expect(out.split(" ")[0]).toBe(createHash("sha256").update(input).digest("hex"));
  });

  test("a command gives 100 MB of output byte for byte", async () => {
    const script = "import sys\nfor i in range(100): sys.stdout.buffer.write(bytes([i]) * 1000000)";
    const { stdout, droppedBytes, exitCode } = await python(script, {
      outputBytesMax: 101_000_000,
      timeoutMs: 60_000,
    });
    const expected = createHash("sha256");
    for (let index = 0; index < 100; index++) expected.update(Buffer.alloc(1_000_000, index));
    expect({ length: stdout.length, droppedBytes, exitCode }).toEqual({
      length: 100_000_000,
      droppedBytes: 0,
      exitCode: 0,
    });
    expect(createHash("sha256").update(stdout).digest("hex")).toBe(expected.digest("hex"));
  }, 90_000);

  test("output that is longer than wanted is cut and counted, and the command ends by itself", async () => {
    const { stdout, droppedBytes, exitCode, ending } = await sh(
      "head -c 5000000 /dev/zero; exit 3",
      { outputBytesMax: 1000 },
    );
    const note = "\n[4999000 bytes of output are left out here]\n";
    expect({ length: stdout.length - note.length, droppedBytes, exitCode, ending }).toEqual({
      length: 1000,
      droppedBytes: 4_999_000,
      exitCode: 3,
      ending: "exit",
    });
  });

  test("a command with much on stdout and stderr at once loses nothing of either", async () => {
    const script =
      "import sys\nfor i in range(2000): sys.stdout.write('o' * 499 + '\\n'); sys.stderr.write('e' * 499 + '\\n')";
    const { out, err } = await python(script);
    expect([out.length, err.length]).toEqual([1_000_000, 1_000_000]);
    expect([/^[o\n]*$/.test(out), /^[e\n]*$/.test(err)]).toEqual([true, true]);
  });

  test("a command that dies of a signal exits with 128 + its number", async () => {
    expect((await sh("kill -TERM $$")).exitCode).toBe(143);
    expect((await sh("kill -KILL $$")).exitCode).toBe(137);
    expect((await python("import os; os.abort()")).exitCode).toBe(134);
  });

  test("a command starts with the default reaction to Ctrl-C", async () => {
    const script =
      "import signal; print(signal.getsignal(signal.SIGINT) == signal.default_int_handler)";
    expect((await python(script)).out).toBe("True\n");
  });

  test("a command starts in the working directory, and can write there", async () => {
    const { out, exitCode } = await sh("pwd; echo x > here && cat here; rm here");
    expect(exitCode).toBe(0);
    expect(out.split("\n")[1]).toBe("x");
    if (shared.engine !== "process") expect(out.split("\n")[0]).toBe("/work");
  });

  test("a command starts in the folder that it names, also one with spaces", async () => {
    await sh('mkdir -p "a folder/with spaces"');
    const here = (await run(["pwd"])).out.trim();
    expect((await run(["pwd"], { cwd: `${here}/a folder/with spaces` })).out).toBe(
      `${here}/a folder/with spaces\n`,
    );
  });

  test("a command in a missing folder fails and names the folder", async () => {
    const outcome = await run(["pwd"], { cwd: "/no/such/folder" }).catch((thrown) => ({
      exitCode: 1,
      err: String(thrown),
    }));
    expect(outcome.exitCode).not.toBe(0);
    expect(outcome.err).toContain("/no/such/folder");
  });

  test("a command has the variables that it is given, and none of ours", async () => {
    const value = "a, b = \"c\" 'd' $e\n\\f ü";
    const { out } = await run(
      [
        "python3",
        "-c",
        "import os; print(os.environ['GIVEN'] + '|' + os.environ.get('HOST_SECRET', 'none'))",
      ],
      {
        env: { GIVEN: value },
      },
    );
    expect(out).toBe(`${value}|none\n`);
  });

  test("a command in a container sees no mark of its sandbox, and no folder of its host", async () => {
    if (shared.engine === "process") return;
    const { out } = await sh("tr '\\0' '\\n' </proc/self/environ; env");
    expect(out).not.toContain(lease.folder);
    const ours = new Set(
      out.split("\n").filter((line) => /^(MATRIX|APPTAINER|SINGULARITY)_/.test(line)),
    );
    expect([...ours].map((line) => line.split("=")[0]).sort()).toEqual(
      shared.engine === "docker" ? ["MATRIX_COMMAND"] : ["MATRIX_COMMAND", "MATRIX_SANDBOX"],
    );
  });

  test("a command starts in the folder of the image that the recipe names", async () => {
    if (shared.engine === "process") return;
    await within({ workdir: "/usr" }, async (sandbox) => {
      expect((await sh("pwd; ls -d bin", {}, sandbox)).out).toBe("/usr\nbin\n");
    });
  });

  test("a command may write to /tmp", async () => {
    expect((await sh('f=$(mktemp) && echo ok > "$f" && cat "$f" && rm "$f"')).out).toBe("ok\n");
  });

  test("a command past its time is killed, and what it wrote is kept", async () => {
    const { ending, exitCode, out } = await sh("echo begun; sleep 600; echo never", {
      timeoutMs: 700,
    });
    expect({ ending, exitCode, out }).toEqual({
      ending: "timeout",
      exitCode: 137,
      out: "begun\n",
    });
  });

  test("a command past its time is killed with its children, however they hid", async () => {
    const script =
      "(trap '' TERM HUP INT; sleep 601) & setsid sh -c 'sleep 601' & nohup sleep 601 >/dev/null 2>&1 & wait";
    expect((await sh(script, { timeoutMs: 700 })).ending).toBe("timeout");
    const left = await sh(
      "grep -las 601 /proc/[0-9]*/cmdline | grep -v -e /$$/ | xargs -r cat | tr '\\0' ' '",
    );
    expect(left.out).not.toContain("sleep 601");
  });

  test("a command that ignores every signal it can is killed in time", async () => {
    const script =
      "import signal, time\nfor s in range(1, 32):\n  try: signal.signal(s, signal.SIG_IGN)\n  except OSError: pass\ntime.sleep(600)";
    expect((await python(script, { timeoutMs: 1000 })).ending).toBe("timeout");
    const { ending, exitCode, out, err, droppedBytes } = await run(["echo", "next"]);
    expect({ ending, exitCode, out, err, droppedBytes }).toEqual({
      ...{ ending: "exit", exitCode: 0, out: "next\n", err: "", droppedBytes: 0 },
    });
  });

  test("a caller that gives up hears its own reason, and the command ends", async () => {
    const controller = new AbortController();
    const waiting = sh("echo begun; sleep 602", { signal: controller.signal });
    setImmediate(() => controller.abort(new Error("given up")));
    expect(await waiting.catch((thrown) => thrown.message)).toBe("given up");
    const left = await sh(
      "grep -las 602 /proc/[0-9]*/cmdline | grep -v -e /$$/ | xargs -r cat | tr '\\0' ' '",
    );
    expect(left.out).not.toContain("sleep 602");
  });

  test("a command whose output has no end is stopped, and the next command works", async () => {
    const { ending, stdout, droppedBytes } = await sh("yes", {
      timeoutMs: 60_000,
      outputBytesMax: 1000,
    });
    expect(ending).toBe("flood");
    expect(stdout.length).toBeLessThan(1100);
    expect(droppedBytes).toBeGreaterThan(2 ** 30);
    expect((await run(["echo", "next"])).out).toBe("next\n");
  }, 90_000);

  test("a command that takes too much memory is killed, and the next command works", async () => {
    if (!enforces("memory")) return;
    await within({ memoryBytes: 64 * MIB }, async (sandbox) => {
      const { exitCode, out } = await python(
        "x = []\nwhile True: x.append(bytearray(1 << 20))",
        {},
        sandbox,
      );
      expect({ exitCode, out }).toEqual({ exitCode: 137, out: "" });
      expect((await run(["echo", "next"], {}, sandbox)).out).toBe("next\n");
    });
  });

  test("a program that fills /tmp and /work hears that there is no space, and the next one works", async () => {
    if (!enforces("disk")) return;
    for (const diskBytes of [null, 40 * MIB])
      await within({ memoryBytes: 128 * MIB, diskBytes }, async (sandbox) => {
        const fill = "for at in /tmp /work; do head -c 200000000 /dev/zero >$at/big; done";
        const { exitCode, err } = await sh(`${fill}; exit 3`, {}, sandbox);
        expect(exitCode).toBe(3);
        expect(err.split("\n").filter((line) => line.includes("No space left"))).toHaveLength(2);
        const room = await sh("cat /tmp/big /work/big | wc -c; rm /tmp/big /work/big", {}, sandbox);
        expect(Number(room.out)).toBeWithin(60 * MIB, 82 * MIB);
        const failed = upload(sandbox, "big", Buffer.alloc(90 * MIB), TIME);
        expect(await failed.catch((thrown) => thrown.message)).toContain("there is no space left");
        expect((await run(["echo", "next"], {}, sandbox)).out).toBe("next\n");
      });
  }, 60_000);

  test("a program that fills every folder and file it can write to leaves room for the next command", async () => {
    if (!enforces("disk") || !enforces("memory")) return;
    await within({ memoryBytes: 256 * MIB }, async (sandbox) => {
      const places =
        "find / -path /proc -prune -o '(' -type d -o -type f ')' -writable -print 2>/dev/null";
      const fill = `for at in $(${places}); do
        [ ! -d $at ] || at=$at/big; head -c 600000000 /dev/zero >$at; done; echo end`;
      const { ending, out, err } = await sh(fill, {}, sandbox);
      expect([ending, out]).toEqual(["exit", "end\n"]);
      expect(err).toContain("No space left");
      expect((await run(["echo", "next"], { timeoutMs: 8000 }, sandbox)).out).toBe("next\n");
    });
  }, 60_000);

  test("a program cannot change the devices, nor the files that name users and the machine", async () => {
    if (shared.engine === "process") return;
    const mode = async () => (await stat("/dev/full")).mode;
    const before = await mode();
    const { out } = await sh(
      "chmod 667 /dev/full; for f in passwd group hosts hostname; do " +
        "(echo x >>/etc/$f) 2>/dev/null && echo wrote $f; done; " +
        'cat /dev/null; echo "$(head -c 2 /dev/zero | wc -c) $(head -c 3 /dev/urandom | wc -c)"; ' +
        "echo x >/dev/null && echo y >/dev/stdout; ls -d /dev/pts /dev/shm",
    );
    expect(out).toBe("2 3\ny\n/dev/pts\n/dev/shm\n");
    expect(await mode()).toBe(before);
    const python3 = "import os, multiprocessing as m; m.Lock(); print(len(os.openpty()))";
    expect((await python(python3)).out).toBe("2\n");
  });

  test("a command has no power over the machine, and cannot gain one", async () => {
    if (shared.engine === "process") return;
    const { out } = await sh(
      "grep -E '^(Cap(Prm|Eff|Bnd|Amb)|NoNewPrivs)' /proc/self/status; id -u",
    );
    const none = "0".repeat(16);
    expect(out.split(/\s+/)).toEqual([
      ...["CapPrm:", none, "CapEff:", none, "CapBnd:", none, "CapAmb:", none],
      ...["NoNewPrivs:", "1", String(process.getuid?.()), ""],
    ]);
  });

  test("the settings of the kernel cannot be changed", async () => {
    if (shared.engine === "process") return;
    const script =
      "for f in /proc/sys/vm/swappiness /proc/sys/kernel/core_pattern; do " +
      "(cat $f >$f) 2>/dev/null && echo wrote $f; done; cat /proc/kmsg; echo end";
    expect((await sh(script)).out).toBe("end\n");
  });

  test("the home folder exists, and can be written to", async () => {
    expect((await sh('cd ~ && echo x >~/own && cat "$HOME/own" && rm ~/own')).out).toBe("x\n");
  });

  test("memory below the limit can be used", async () => {
    expect((await python("x = bytearray(100 << 20); print(len(x))")).out).toBe(`${100 * MIB}\n`);
  });

  test("a fork bomb is contained, and the next sandbox works", async () => {
    if (!enforces("pids")) return;
    await within({ pids: 40 }, async (sandbox) => {
      const bomb =
        "import os, time\nwhile True:\n  try: os.fork()\n  except OSError: time.sleep(0.01)";
      const ended = await python(bomb, { timeoutMs: 2000 }, sandbox).then(
        ({ ending }) => ending,
        (thrown) => thrown.code,
      );
      expect(["timeout", "sandbox_lost"]).toContain(ended);
    });
    await within({}, async (sandbox) =>
      expect((await run(["echo", "next"], {}, sandbox)).out).toBe("next\n"),
    );
  }, 60_000);

  test("processes can be started up to the limit, and no more", async () => {
    if (!enforces("pids")) return;
    await within({ pids: 40 }, async (sandbox) => {
      const script =
        "import subprocess\nn = 0\nprocs = []\ntry:\n  while n < 200: procs.append(subprocess.Popen(['sleep', '30'])); n += 1\nexcept OSError: pass\nprint(n)\nfor p in procs: p.kill()";
      const started = Number((await python(script, {}, sandbox)).out);
      expect(started).toBeGreaterThan(10);
      expect(started).toBeLessThan(40);
    });
  }, 60_000);

  test("a busy process gets no more than the processor limit", async () => {
    if (!enforces("cpus")) return;
    await within({ cpus: 0.5 }, async (sandbox) => {
      const script =
        "import time\nt = time.monotonic()\nc = time.process_time()\nwhile time.monotonic() - t < 1.5: pass\nprint((time.process_time() - c) / 1.5)";
      expect(Number((await python(script, {}, sandbox)).out)).toBeLessThan(0.75);
    });
  }, 30_000);

  test("a sandbox without a network reaches neither the outside nor this machine", async () => {
    if (!enforces("network")) return;
    using server = Bun.serve({
      hostname: "0.0.0.0",
      port: 0,
      fetch: () => new Response("reached"),
    });
    const script = `import socket
for address in [("127.0.0.1", ${server.port}), ("169.254.169.254", 80), ("1.1.1.1", 53)]:
    try:
        socket.create_connection(address, 2); print("connected", address)
    except OSError: pass
try: print("resolved", socket.gethostbyname("example.org"))
except OSError: pass`;
    expect((await python(script)).out).toBe("");
  });

  test("the root file system is read-only", async () => {
    if (!enforces("read_only")) return;
    const { out } = await sh(
      "for f in /x /etc/x /usr/bin/x /matrix/x /bin/sh; do (echo y > $f) 2>/dev/null && echo wrote $f; done; true",
    );
    expect(out).toBe("");
  });

  test("a writable root forgets with its sandbox what was written", async () => {
    if (!enforces("read_only")) return;
    await within({ readOnly: false }, async (sandbox) => {
      expect((await sh("echo y > /opt/x && cat /opt/x", {}, sandbox)).out).toBe("y\n");
    });
    await within({ readOnly: false }, async (sandbox) =>
      expect((await sh("cat /opt/x", {}, sandbox)).exitCode).not.toBe(0),
    );
  });

  test("the bridge cannot be changed from inside", async () => {
    if (!enforces("read_only")) return;
    const { out } = await sh(
      "cd /matrix && (echo 1 > lease; rm -f lease; mv matrix_agent.py x; ln -s a b) 2>/dev/null; cat lease; ls",
    );
    expect(out).toBe(
      `${await readFile(join(lease.bridge, "lease"), "utf8")}lease\nmatrix-agent.mjs\nmatrix_agent.py\n`,
    );
  });

  test("process 1 cannot be killed or stopped from inside", async () => {
    if (shared.engine === "process") return;
    await within({}, async (sandbox) => {
      await sh("kill -KILL 1; kill -STOP 1; kill -SEGV 1; kill -INT 1; true", {}, sandbox);
      expect((await run(["echo", "alive"], {}, sandbox)).out).toBe("alive\n");
    });
  });

  test("other processes of this machine cannot be seen", async () => {
    if (shared.engine === "process") return;
    expect((await sh(`ls /proc | grep -c '^[0-9]'`)).out.trim().length).toBeLessThan(3);
    expect((await sh(`kill -0 ${process.pid} && echo seen`)).out).toBe("");
  });

  test("a file is written with its folders, and read back byte for byte", async () => {
    const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, index) => (index * 31) % 256));
    await upload(shared, "deep/er/file name.bin", bytes, TIME);
    expect(
      Buffer.from(await download(shared, "deep/er/file name.bin", MIB, TIME)).equals(bytes),
    ).toBe(true);
  });

  test("a file's name may have spaces, quotes, dashes and any letters", async () => {
    for (const name of ["with space", "it's", "-rf", "ünï 漢字", 'a"b', "$(id)"]) {
      await upload(shared, name, Buffer.from(name), TIME);
      expect(Buffer.from(await download(shared, name, MIB, TIME)).toString("utf8")).toBe(name);
    }
  });

  test("an empty file is written and read", async () => {
    await upload(shared, "empty", new Uint8Array(), TIME);
    expect((await download(shared, "empty", MIB, TIME)).length).toBe(0);
  });

  test("a file that is missing or too large is refused by name", async () => {
    await upload(shared, "large", Buffer.alloc(2000), TIME);
    expect(
      await download(shared, "missing", MIB, TIME).catch((thrown) => thrown.message),
    ).toContain("cannot read missing");
    expect(await download(shared, "large", 1999, TIME).catch((thrown) => thrown.message)).toContain(
      "cannot read large: it is larger than 1999 bytes",
    );
  });

  test("changes of every odd kind are listed, and git applies the patch", async () => {
    await using plain = await new ProcessSandboxes(lease).start(SPEC);
    await proveOddChanges(shared, plain);
  }, 60_000);

  test("a mount shows a folder of this machine read-only, also one with spaces and a comma", () =>
    withFolder(async (folder) => {
      if (shared.engine === "process") return;
      const source = join(folder, "my data, all");
      await mkdir(source);
      await writeFile(join(source, "in.txt"), "from outside");
      await within(
        { mounts: [{ source, target: "/data in", writable: false }] },
        async (sandbox) => {
          const { out, exitCode } = await sh(
            "cat '/data in/in.txt'; echo x > '/data in/out.txt'",
            {},
            sandbox,
          );
          expect(out).toBe("from outside");
          expect(exitCode).not.toBe(0);
        },
      );
    }));

  test("a write to a writable mount reaches this machine", () =>
    withFolder(async (folder) => {
      if (shared.engine === "process") return;
      await within(
        { mounts: [{ source: folder, target: "/data", writable: true }] },
        async (sandbox) => {
          expect((await sh("echo y > /data/out.txt", {}, sandbox)).exitCode).toBe(0);
        },
      );
      expect(await readFile(join(folder, "out.txt"), "utf8")).toBe("y\n");
    }));

  test("files that a sandbox made set-user-id are plain when it has ended, while its host goes on", () =>
    withFolder(async (folder) => {
      if (shared.engine === "process") return;
      const mounts = [{ source: folder, target: "/data", writable: true }];
      const modeOf = async (name: string) => (await stat(join(folder, name))).mode & 0o7777;
      await within({ mounts }, async (sandbox) => {
        const make = "cp /bin/true /data/own; cp /bin/true /data/plain; chmod 6755 /data/own";
        expect((await sh(make, {}, sandbox)).exitCode).toBe(0);
        expect(await modeOf("own")).toBe(0o6755);
      });
      await until(async () => (await modeOf("own")) === 0o755, "the file is plain");
      expect(await modeOf("plain")).toBe(0o755);
    }));

  test("commands run side by side, each with its own output", async () => {
    const outcomes = await Promise.all(
      Array.from({ length: 12 }, (_, index) => sh(`sleep 0.2; echo ${index}`)),
    );
    expect(outcomes.map(({ out }) => out)).toEqual(
      Array.from({ length: 12 }, (_, index) => `${index}\n`),
    );
  }, 60_000);

  test("a sandbox keeps a command's files for the next command", async () => {
    await sh("echo kept > state");
    expect((await sh("cat state")).out).toBe("kept\n");
  });

  test("a sandbox shares nothing with another sandbox", async () => {
    await sh("echo mine > /tmp/secret-of-shared; echo mine > only-here");
    await within({}, async (other) => {
      expect((await sh("cat only-here", {}, other)).exitCode).not.toBe(0);
      if (other.engine !== "process")
        expect((await sh("cat /tmp/secret-of-shared", {}, other)).exitCode).not.toBe(0);
    });
  });

  test("a sandbox has the variables of its recipe", async () => {
    await within({ env: { FROM_RECIPE: "a, b\n'c'" } }, async (sandbox) => {
      expect(
        (await run(["python3", "-c", "import os; print(os.environ['FROM_RECIPE'])"], {}, sandbox))
          .out,
      ).toBe("a, b\n'c'\n");
    });
  });

  test("a command ends without waiting for its background process, which runs on", async () => {
    const { ending } = await sh("sleep 603 & echo started");
    expect(ending).toBe("exit");
    expect((await sh("grep -las 603 /proc/[0-9]*/cmdline | wc -l")).out.trim()).not.toBe("0");
  }, 30_000);

  test("a stopped sandbox leaves no process, not even an orphan", async () => {
    const sandbox = await start();
    await sh("(setsid sleep 604 &) ; nohup sleep 604 >/dev/null 2>&1 &", {}, sandbox);
    const mark = `MATRIX_SANDBOX=${sandbox.id}`;
    expect(markedPids(mark).length).toBeGreaterThan(0);
    await sandbox.stop();
    await until(() => markedPids(mark).length === 0, "nothing of the sandbox runs");
    await sandbox.stop();
  }, 60_000);

  test("a stopped sandbox fails its running commands as lost, and refuses more", async () => {
    const sandbox = await start();
    const waiting = codeOf(sh("sleep 605", {}, sandbox));
    await until(
      async () =>
        (await sh("grep -las 605 /proc/[0-9]*/cmdline | wc -l", {}, sandbox)).out.trim() !== "0",
      "the command runs",
    );
    await sandbox.stop();
    expect(await waiting).toBe("sandbox_lost");
    expect(await codeOf(sh("true", {}, sandbox))).toBe("sandbox_lost");
    expect(await sandbox.ended).toContain("stopped");
  }, 60_000);

  test("a channel answers many requests at once, in any order", async () => {
    const agent = `import sys, json, threading, time
def answer(r):
    time.sleep(r["wait"]); print(json.dumps({"id": r["id"], "ok": True, "result": r["n"]}), flush=True)
for line in sys.stdin: threading.Thread(target=answer, args=[json.loads(line)]).start()`;
    const channel = new Channel(await shared.open({ args: ["python3", "-c", agent] }), {
      name: "echo",
      lineBytesMax: MIB,
      onStderr: () => undefined,
    });
    const order: number[] = [];
    const ask = async (n: number) => {
      const reply = await channel.request({ op: "x", n, wait: 0.2 - n * 0.015 }, TIME);
      order.push(n);
      return reply;
    };
    const replies = await Promise.all(Array.from({ length: 10 }, (_, n) => ask(n)));
    expect(replies).toEqual(Array.from({ length: 10 }, (_, n) => ({ ok: true, result: n })));
    expect(order).not.toEqual(Array.from({ length: 10 }, (_, n) => n));
    await channel.stop();
  }, 30_000);

  test("an agent that dies fails the waiting requests with its last words", async () => {
    const answer = "print(json.dumps({'id': json.loads(input())['id'], 'ok': True, 'result': 1}))";
    const dies = "input(); sys.exit('so long, ünd danke')";
    for (const [lines, code] of [
      [[answer, "sys.stdout.flush()", dies], "sandbox_lost"],
      // A program that never answered cannot work at all.
      [[dies], "program_failed"],
    ] as const) {
      const agent = ["import json, sys", ...lines].join("\n");
      const channel = new Channel(await shared.open({ args: ["python3", "-c", agent] }), {
        name: "mortal",
        lineBytesMax: MIB,
        onStderr: () => undefined,
      });
      const ask = () => channel.request({ op: "x" }, TIME).catch((thrown) => thrown);
      if (lines.length > 1) expect(await ask()).toMatchObject({ ok: true });
      expect(await ask()).toMatchObject({
        code,
        message: expect.stringContaining("exit 1; its last words: so long, ünd danke"),
      });
      await channel.stop();
    }
  });

  test("a missing image is refused as invalid, with what to do", async () => {
    if (shared.engine === "process") return;
    const failure = await start({ image: "/no/such/image.sif" }).catch((thrown) => thrown);
    expect(failure.code).toBe("sandbox_invalid");
    expect(failure.hint).not.toBe("");
  });

  test("a start that is given up leaves nothing behind", async () => {
    const controller = new AbortController();
    setImmediate(() => controller.abort(new Error("given up")));
    const running = () =>
      new Set(
        markedPids(`MATRIX_LEASE=${lease.folder}`).flatMap((pid) =>
          environmentOf(pid).filter(isName),
        ),
      );
    const isName = (entry: string) => entry.startsWith("MATRIX_SANDBOX=");
    const before = running();
    const started = await sandboxes.start({ ...SPEC, image }, controller.signal).catch(() => null);
    await started?.stop();
    await until(() => [...running()].every((name) => before.has(name)), "nothing new runs");
  }, 60_000);
}

interface Ended extends ExecOutcome {
  readonly out: string;
  readonly err: string;
}
