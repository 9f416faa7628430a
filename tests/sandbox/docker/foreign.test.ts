import { expect, test } from "bun:test";
import { foreignMounts, foreignNames } from "../../../src/sandbox/docker/foreign.ts";

const line = (root: string, place: string) =>
  `2186 2103 0:4 ${root} ${place} rw,nosuid - ext4 /dev/vda rw`;

test("mounts of the engine, of the recipe and of the image are expected, and all others are reported", () => {
  const own = [
    ...["/", "/proc", "/proc/kcore", "/sys", "/sys/fs/cgroup", "/dev", "/dev/pts", "/dev/shm"],
    ...["/dev/null", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/run/.containerenv"],
    ...["/run", "/var/tmp", "/work", "/data"],
  ];
  const targets = new Set(["/work", "/data"]);
  const mountinfo = own.map((place) => line("/", place)).join("\n");
  expect(foreignMounts(`${mountinfo}\n`, targets)).toEqual([]);
  expect(
    foreignMounts(
      [
        line("/home/me/.ssh", "/leaked"),
        line("/x", "/run/secrets"),
        line("/x", "/work/inner"),
        line("/x", "/etc/hosts2"),
        line("/dev/sda", "/dev/sda"),
        line(String.raw`/a\040b`, String.raw`/c\011d`),
      ].join("\n"),
      targets,
    ),
  ).toEqual([
    "a mount at /leaked (from /home/me/.ssh)",
    "a mount at /run/secrets (from /x)",
    "a mount at /work/inner (from /x)",
    "a mount at /etc/hosts2 (from /x)",
    "a mount at /dev/sda (from /dev/sda)",
    "a mount at /c\td (from /a b)",
  ]);
});

test("variables of the engine, of the recipe and of the image are expected, and all others are reported", () => {
  const engine = ["PATH=/bin", "TERM=xterm", "HOME=/", "HOSTNAME=x", "container=podman"];
  expect(foreignNames([...engine, "A=1", "B=2"], ["A=", "B=2=3"])).toEqual([]);
  expect(foreignNames([...engine, "LEAK=1", "A=1", "TOKEN"], ["A=1"])).toEqual([
    "the variable LEAK",
    "the variable TOKEN",
  ]);
});
