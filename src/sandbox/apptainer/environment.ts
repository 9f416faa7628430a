// The variables of the caller that Apptainer itself is given. Its own variables (APPTAINER_BIND and
// many more) add mounts, variables and powers to every container, so they are passed by name only.

/** Needed to run at all. */
const RUN = [
  ...["PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TMPDIR"],
  ...["XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"],
];
/** Needed to get an image: where it is kept, who asks for it, and the way through the network. */
const BUILD = [
  ...["DOCKER_HOST", "DOCKER_CONFIG", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"],
  ...["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"],
  ...["http_proxy", "https_proxy", "no_proxy", "all_proxy"],
  ...["SSL_CERT_FILE", "SSL_CERT_DIR"],
  ...["APPTAINER", "SINGULARITY"].flatMap((program) =>
    [
      ...["CACHEDIR", "TMPDIR", "DISABLE_CACHE", "CONFIGDIR"],
      ...["DOCKER_USERNAME", "DOCKER_PASSWORD"],
    ].map((name) => `${program}_${name}`),
  ),
];

/** The environment of Apptainer when it runs a sandbox. */
export function runEnvironment(): Record<string, string> {
  return pick(RUN);
}

/** The environment of `apptainer build`. */
export function buildEnvironment(): Record<string, string> {
  return pick([...RUN, ...BUILD]);
}

function pick(names: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = process.env[name];
      return value === undefined ? [] : [[name, value] as const];
    }),
  );
}
